/// Rows of public benchmarks of code: what an answer is asked for, and what is to be recorded by
/// running the reference. Nothing is run here (sandbox/recorder/recorder.h does).
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "base/known_fields.h"

namespace weft {

/// One field of tests of a benchmark's row, with what it takes to run them.
struct ReferenceTask {
  enum class Form {
    kCheck,    ///< `tests[0]` defines check(candidate) with asserts (HumanEval)
    kAsserts,  ///< asserts that call the function by its name (MBPP)
    kProgram,  ///< `tests[0]` is a program: inputs, results, a loop that compares (EvalPlus' MBPP+)
    kInputs,   ///< lists of arguments; what is expected is the reference's value (EvalPlus). Where
               ///< tests[0] has asserts, their arguments tell tuples and sets from JSON's lists
  };
  Form form = Form::kCheck;
  std::string code;         ///< the whole reference program
  std::string entry_point;  ///< kAsserts, kProgram: where it is empty, it is found
  std::string before;       ///< kAsserts, kProgram: statements to run after the code
  std::vector<std::string> tests;
  Json inputs = Json::array();    ///< kInputs: array of argument arrays
  double absolute_tolerance = 0;  ///< kInputs, of floats; 0 stands for 1e-6
  /// kInputs: Python around the call `__call__`, on which alone the value is compared.
  std::string shape = "__call__";
};

struct BenchmarkRow {
  std::string id;
  std::string prompt;
  std::string setup;  ///< of the prompt: what stands before the entry point
  /// In the order of the row. Of two tests with the same arguments the later one's comparison
  /// holds: it is the benchmark's own.
  std::vector<ReferenceTask> references;
  std::string guarded_code;  ///< the reference with its contract, which raises for bad input
  FieldCounts unread;        ///< columns that hold no tests and are not read
};

/// "humaneval, humaneval_plus, ..." of the benchmarks that can be read.
std::string benchmark_names();

bool is_benchmark(const std::string& name);

/// Reads a row of a benchmark. Throws InputError opened by `where`: for a field that is missing or
/// of another form, a misspelt one, and one that seems to hold tests and is none that the benchmark
/// has.
BenchmarkRow parse_benchmark_row(const std::string& dataset, const Json& row,
                                 const std::string& where);

}  // namespace weft
