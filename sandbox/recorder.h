/// Records what a reference solution is tested for as tests that need no trust in a candidate.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "sandbox/limits.h"
#include "sandbox/sandbox.h"

namespace weft {

/// What a benchmark gives with a task.
struct ReferenceTask {
  enum class Form {
    kCheck,    ///< `tests[0]` defines check(candidate) with asserts (HumanEval)
    kAsserts,  ///< asserts that call the function by its name (MBPP)
    kInputs,   ///< lists of arguments; what is expected is the reference's value (EvalPlus)
  };
  Form form = Form::kCheck;
  std::string code;         ///< the whole reference program
  std::string entry_point;  ///< kAsserts: empty, it is found
  std::string before;       ///< kAsserts: statements to run after the code
  std::vector<std::string> tests;
  Json inputs = Json::array();    ///< kInputs: array of argument arrays
  double absolute_tolerance = 0;  ///< kInputs, of floats; 0 stands for 1e-6
};

struct Recording {
  std::string entry_point;
  std::vector<Json> tests;            ///< as in a call-mode row of `judge`
  std::vector<std::string> problems;  ///< asserts left out, with the reason
};

class Recorder {
 public:
  /// `sandbox` is borrowed. `limits` are those of one whole recording.
  Recorder(Sandbox& sandbox, Limits limits) : sandbox_(sandbox), limits_(limits) {}

  /// Runs reference and asserts in a slot of the sandbox. What goes wrong there is a problem in the
  /// recording; throws Error when the sandbox fails. Thread-safe.
  Recording record(const ReferenceTask& task) const;

 private:
  Recording record_part(const ReferenceTask& task, const Json& inputs) const;

  Sandbox& sandbox_;
  Limits limits_;
};

}  // namespace weft
