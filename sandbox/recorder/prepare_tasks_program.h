/// The program `prepare_tasks`: a benchmark's public files in, tasks with recorded tests out.
#pragma once

#include <string>
#include <vector>

#include "sandbox/recorder/recorder.h"

namespace weft {

struct PrepareTasksConfig {
  std::string dataset;
  std::string in = "-";
  std::string out = "-";
  int64_t augment = 0;
  int64_t seed = 0;
  int64_t cpu_ms = 20000;
  int64_t memory_mb = 1024;
  std::string min_tier = "B";
  std::string packages;

  template <class V>
  void visit(V& v) {
    v("dataset", dataset, "humaneval, humaneval_plus, mbpp or mbpp_plus");
    v("in", in, "the benchmark's files, JSON lines, separated by commas; - reads standard input");
    v("out", out, "tasks, JSON lines; - writes standard output");
    v("augment", augment, "most tests on mutated inputs that are added to a task's val; 0: none");
    v("seed", seed, "of the mutations, with the task's id");
    v("cpu_ms", cpu_ms, "CPU time of one reference with all its tests, and again of each test");
    v("memory_mb", memory_mb, "memory of the same");
    v("min_tier", min_tier, "least isolation accepted: A, B or C");
    v("packages", packages, "folder of modules that references may import, e.g. numpy; or empty");
  }
  void validate() const;
};

/// {"public":[..],"val":[..],"hidden":[..]} of the distinct tests (by TestInput::identity): the
/// first is public; of the others the first, third, ... are val, the rest hidden. `further` tests
/// are val too. No test stands in two lists: with too few of them a list stays empty, val last.
/// Where all of val, if more than one test, expects one value and another test another, its first
/// test changes places with that one, a hidden one rather than the public one.
Json split_tests(const Recording& recording, const std::vector<Json>& further = {});

/// Records every row's tests by running its reference, judges the reference by them, and writes the
/// task where every test of the row is recorded and passed, with all of them as `official`. Other
/// rows are logged with the reason. With `augment`, tests on mutated inputs are kept that the
/// reference passes again in another process with other hashes. Tasks with few val tests are named
/// in one line, as are those with a list that stayed empty. Throws Error at the end when a row gave
/// no task.
void run_prepare_tasks(const PrepareTasksConfig& config);

}  // namespace weft
