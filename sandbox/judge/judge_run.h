/// Runs of a prepared request on leased slots. One run's state lives on the stack.
#pragma once

#include <cstdint>

#include "sandbox/jail/job_result.h"
#include "sandbox/jail/job_run.h"
#include "sandbox/judge/judge.h"
#include "sandbox/judge/prepared_tests.h"

namespace weft {

/// Borrows the request and its tests.
struct PreparedRequest {
  const JudgeRequest& request;
  const PreparedTests& tests;
  double time_scale = 1;
  std::string tier;

  JobSpec spec(ChildKind kind) const;  ///< of the candidate's jobs
  /// Of the candidate's next job, after others that took `spent_us` of wall time.
  JobLimits limits(int64_t spent_us) const;
};

/// Tests after one that ended its process are tried in so many further ones.
constexpr int kMaxRestarts = 2;

/// Each runs every test and fills `verdict.tests` and the sums. Throws InfraError.
void run_calls(const PreparedRequest& prepared, ZygoteProcess& zygote, Verdict& verdict);
void run_stdio(const PreparedRequest& prepared, ZygoteProcess& zygote, Verdict& verdict);
void run_checked(const PreparedRequest& prepared, ZygoteProcess& zygote, ZygoteProcess& checker,
                 Verdict& verdict);

/// What a kJob frame of a request's code holds.
PythonValue job_of(const JudgeRequest& request);

/// Adds a finished run's times to the verdict.
void add_usage(const JobRun& run, Verdict& verdict);

}  // namespace weft
