/// What became of a job, or of one piece of its work, as it is seen from outside.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "sandbox/jail/job_run.h"

namespace weft {

enum class TestVerdict {
  kPass,
  kWrong,           ///< a plain value or output that differs
  kError,           ///< an exception that nothing caught
  kExit,            ///< the process ended by itself: before its answer, or a program not with 0
  kUnserialisable,  ///< the value is no plain data
  kNoEntry,         ///< the code defines no entry point
  kTimeCpu,
  kTimeWall,
  kMemory,
  kOutput,    ///< more output than the limit
  kProtocol,  ///< the process wrote something else than answers to the channel
  kSignal,
  kPolicy,   ///< killed by the system-call filter
  kSkipped,  ///< not run: the job ended before, or the restarts were used up
  kInfra,    ///< the sandbox failed, twice; never a reward
};

struct TestResult {
  TestVerdict verdict = TestVerdict::kSkipped;
  std::string detail;  ///< exception type, exit status, signal number, or a short text for people

  // Of kError and kMemory by an exception, bounded plain text; may lie, as the candidate wrote it.
  std::string error_message;
  std::vector<std::string> traceback;  ///< innermost last, "line 3, in f"

  std::string got;  ///< Python literal of the value of a kWrong, cut to 500 bytes

  std::string name() const;  ///< "PASS", "ERROR(ValueError)", "EXIT(3)", "SIGNAL(11)", ...
};

TestResult make_result(TestVerdict verdict, std::string detail = {});

/// Thrown inside a run when the slot fails; the message says how.
class InfraError : public Error {
 public:
  using Error::Error;
};

/// What the end of a job, or a frame that stands for a failure, says about the work at hand. Throws
/// InfraError where it says something about the slot alone.
TestResult result_of_event(JobRun::Event event, const JobRun& run);
TestResult result_of_failure(const Frame& frame);

}  // namespace weft
