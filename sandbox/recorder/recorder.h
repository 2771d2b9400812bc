/// Records what a reference solution is tested for as tests that need no trust in a candidate.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "data/benchmarks/benchmark.h"
#include "sandbox/jail/limits.h"
#include "sandbox/jail/sandbox.h"
#include "sandbox/jail/single_call.h"
#include "sandbox/value/value.h"

namespace weft {

/// What a recorded test is run on.
struct TestInput {
  std::string identity;  ///< equal for two tests of one entry point with the same arguments
  /// (args, kwargs, shape, expected, comparer or None, statements before) as runtime/mutator.py
  /// takes them; None where the arguments are no plain data.
  PythonValue seed;
};

struct Recording {
  std::string entry_point;
  std::vector<Json> tests;            ///< as in a call-mode row of `judge`
  std::vector<TestInput> inputs;      ///< one a test
  std::vector<std::string> problems;  ///< tests left out, with the reason
};

class Recorder {
 public:
  /// `sandbox` is borrowed. `limits` are those of one whole recording. Where `cancelled`, which may
  /// be null, is set, recordings end at once, with that as a problem.
  Recorder(Sandbox& sandbox, Limits limits,
           std::shared_ptr<const std::atomic<bool>> cancelled = nullptr)
      : sandbox_(sandbox), limits_(limits), cancelled_(std::move(cancelled)) {}

  /// Runs reference and tests in a slot of the sandbox. What goes wrong there is a problem in the
  /// recording; throws Error when the sandbox fails. Thread-safe.
  Recording record(const ReferenceTask& task) const;

  /// Up to `count` tests on mutations of the recording's inputs, their expected values those of
  /// `code`, each the same at two calls in one process; which, depends on the arguments alone.
  /// Source and deviations: runtime/mutator.py. A `random` of `code` is seeded otherwise than the
  /// judge's. Problems and errors as above; `entry_point` and `inputs` of the result stay empty.
  Recording further_tests(const Recording& recording, const std::string& code, int64_t count,
                          uint64_t seed) const;

 private:
  Recording record_part(const ReferenceTask& task, const Json& inputs) const;
  CallResult run_embedded(uint64_t seed, const std::string& function,
                          const std::vector<PythonValue>& arguments) const;

  Sandbox& sandbox_;
  Limits limits_;
  std::shared_ptr<const std::atomic<bool>> cancelled_;
};

}  // namespace weft
