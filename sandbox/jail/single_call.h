/// One call of trusted or given code in a job of its own.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "sandbox/jail/job_result.h"
#include "sandbox/jail/limits.h"

namespace weft {

/// The value of the call, or why there is none.
struct CallResult {
  std::optional<PythonValue> value;
  TestResult end;  ///< where there is no value

  std::string failure() const;  ///< "ERROR(ValueError) the message"
};

/// Answers what a job asks the outside: (True, value) or (False, text). Runs while the job's clock
/// of the wall does.
using AnswerRequest = std::function<PythonValue(const PythonValue& request)>;

/// `job` is the kJob frame's: (code, setup, entry point), or what the kind of child takes; `args`
/// are the call's, as are `keywords`, a kDict, where there are any. Without `answer` a request ends
/// the job as a breach of the protocol. Throws InfraError.
CallResult call_once(ZygoteProcess& zygote, const JobSpec& spec, const JobLimits& limits,
                     const PythonValue& job, std::vector<PythonValue> args,
                     PythonValue keywords = {}, const AnswerRequest& answer = nullptr);

/// A call of a helper of runtime/helpers.py. Throws InfraError.
CallResult run_builtin(ZygoteProcess& zygote, const std::string& name,
                       std::vector<PythonValue> args, double time_scale);

/// What a job's clocks and counters are held to, times multiplied by `time_scale`; no limit of the
/// whole job.
JobLimits limits_of(const Limits& limits, double time_scale);

}  // namespace weft
