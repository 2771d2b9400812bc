/// Rows of public benchmarks: what an answer is asked for, and what is right. Of code whose
/// reference has to be run for that, what is to be recorded; nothing is run here
/// (sandbox/recorder/recorder.h does).
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "base/known_fields.h"
#include "data/task.h"

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

/// A test of a row itself: its checker judges answers only where the reference passes it.
struct RowTrial {
  Json test;
  std::string problem;  ///< what is wrong with the row where the reference fails
};

struct BenchmarkRow {
  std::string id;
  TaskKind kind = TaskKind::kCode;
  std::string prompt;
  std::string answer;              ///< gold of what is not code
  Json meta = Json::object();      ///< category, level and the like
  std::string split_key;           ///< what AFlow's splits know the row by, or empty
  std::vector<Json> shown, tests;  ///< code with tests given: those published as examples, others
  std::string entry_point;         ///< of such calls; empty for programs
  std::string setup;               ///< of the prompt: what stands before the entry point
  /// In the order of the row. Of two tests with the same arguments the later one's comparison
  /// holds: it is the benchmark's own.
  std::vector<ReferenceTask> references;
  std::string checker;           ///< of `tests` that are any objects: judges an answer on each
  std::vector<RowTrial> trials;  ///< for the checker; no part of the task
  std::string checked_code;      ///< the reference, which passes them where they can be asked so
  std::string guarded_code;      ///< the reference with its contract, which raises for bad input
  FieldCounts unread;            ///< columns that hold no tests and are not read
};

/// "humaneval, humaneval_plus, ..." of the benchmarks that can be read.
std::string benchmark_names();

/// The licence as the data set's publishers state it. `dataset` must be one.
std::string benchmark_licence(const std::string& dataset);

bool is_benchmark(const std::string& name);

/// Reads a row of a benchmark, the `index`-th of its file from 0. Throws InputError opened by
/// `where`: for a field that is missing or of another form, a misspelt one, and one that seems to
/// hold tests and is none that the benchmark has.
BenchmarkRow parse_benchmark_row(const std::string& dataset, const Json& row,
                                 const std::string& where, int64_t index = 0);

/// The task of a row that has no references: its answer, or its tests as they are given,
/// with its checker. The tests
/// published as examples are public, else the first one; the others are val and hidden in turn, so
/// that no test stands in two lists, and all together are official.
Json given_task(const std::string& dataset, const BenchmarkRow& row);

}  // namespace weft
