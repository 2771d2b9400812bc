/// The program `prepare_tasks`: a benchmark's public files in, tasks with recorded tests out.
#pragma once

#include <string>
#include <vector>

#include "sandbox/recorder.h"

namespace weft {

struct PrepareTasksConfig {
  std::string dataset;
  std::string in = "-";
  std::string out = "-";
  int64_t cpu_ms = 20000;
  int64_t memory_mb = 1024;
  std::string min_tier = "B";
  std::string packages;

  template <class V>
  void visit(V& v) {
    v("dataset", dataset, "humaneval, humaneval_plus, mbpp or mbpp_plus");
    v("in", in, "the benchmark's files, JSON lines, separated by commas; - reads standard input");
    v("out", out, "tasks, JSON lines; - writes standard output");
    v("cpu_ms", cpu_ms, "CPU time of one reference with all its tests, and again of each test");
    v("memory_mb", memory_mb, "memory of the same");
    v("min_tier", min_tier, "least isolation accepted: A, B or C");
    v("packages", packages, "folder of modules that references may import, e.g. numpy; or empty");
  }
  void validate() const;
};

/// A benchmark's row, brought to one form.
struct BenchmarkRow {
  std::string id;
  std::string prompt;
  std::string setup;  ///< of the prompt: what stands before the entry point
  ReferenceTask reference;
};

/// Reads a row of `dataset`. Throws InputError opened by `where`.
BenchmarkRow parse_benchmark_row(const std::string& dataset, const Json& row,
                                 const std::string& where);

/// {"public":[..],"val":[..],"hidden":[..]} of the distinct tests: the first is public; of the
/// others the first, third, ... are val, the rest hidden, and where val would expect one value
/// only, one of its tests changes places with a hidden one that expects another. Two tests none of
/// which differs in more than what is expected are one. No list repeats another's: a single test is
/// val, of two the second.
Json split_tests(const std::vector<Json>& tests);

/// Records every row's tests by running its reference, judges the reference by them, and writes the
/// task where it passes. Other rows, and asserts left out, are logged with the reason. Throws Error
/// at the end when a row gave no task.
void run_prepare_tasks(const PrepareTasksConfig& config);

}  // namespace weft
