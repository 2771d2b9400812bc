/// Runs of a prepared request on leased slots. One run's state lives on the stack.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "sandbox/jail/job_run.h"
#include "sandbox/jail/slot_pool.h"
#include "sandbox/judge/judge.h"
#include "sandbox/value/compare.h"

namespace weft {

/// A declared test, ready to run.
struct PreparedTest {
  PythonValue call;      ///< kCall: (args, kwargs); kJudge: the test; kInproc: its text
  PythonValue expected;  ///< kCall
  Comparer comparer;     ///< kCall
  std::string input;     ///< kStdio
  std::string output;    ///< kStdio
  OutputComparer output_comparer;
};

struct PreparedRequest {
  const JudgeRequest& request;
  std::vector<PreparedTest> tests;
  double time_scale = 1;

  JobLimits limits() const;  ///< of the candidate's jobs
};

/// Thrown inside a run when the slot fails; the message says how.
class InfraError : public Error {
 public:
  using Error::Error;
};

/// Each runs every test and fills `verdict.tests` and the sums. Throws InfraError.
void run_calls(const PreparedRequest& prepared, ZygoteProcess& zygote, Verdict& verdict);
void run_stdio(const PreparedRequest& prepared, ZygoteProcess& zygote, Verdict& verdict);
void run_checked(const PreparedRequest& prepared, ZygoteProcess& zygote, ZygoteProcess& checker,
                 Verdict& verdict);

/// The value of one call of trusted code with `args`, or why there is none. `job` is the kJob
/// frame's; run_builtin calls a helper of runtime/helpers.py. Throws InfraError.
struct BuiltinResult {
  std::optional<PythonValue> value;
  std::string failure;
};
BuiltinResult call_once(ZygoteProcess& zygote, const JobSpec& spec, const JobLimits& limits,
                        const PythonValue& job, std::vector<PythonValue> args);
BuiltinResult run_builtin(ZygoteProcess& zygote, const std::string& name,
                          std::vector<PythonValue> args, double time_scale);

/// The pieces that the runs share.
JobSpec spec_of(const JudgeRequest& request, ChildKind kind);
JobLimits limits_of(const Limits& limits, double time_scale);
PythonValue job_of(const JudgeRequest& request);

/// What the end of a job, or a frame that stands for a failure, says about the test at hand.
TestResult result_of_event(JobRun::Event event, const JobRun& run);
TestResult result_of_failure(const Frame& frame);

/// Adds a finished run's times to the verdict.
void add_usage(const JobRun& run, Verdict& verdict);

}  // namespace weft
