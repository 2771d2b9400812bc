/// The program `prepare_tasks`: a benchmark's public files in, tasks with recorded tests out.
#pragma once

#include <string>
#include <vector>

#include "base/start_check.h"
#include "sandbox/recorder/recorder.h"

namespace weft {

struct PrepareTasksConfig {
  std::string dataset;
  std::string in = "-";
  std::string out = "-";
  std::string split = "all";
  int64_t augment = 0;
  int64_t threads = 0;
  uint64_t seed = 0;
  int64_t cpu_ms = 20000;
  int64_t memory_mb = 1024;
  std::string min_tier = "B";
  std::string packages;

  template <class V>
  void visit(V& v) {
    v("dataset", dataset,
      "name of the benchmark: humaneval, gsm8k, ...; jsonl for rows of your own");
    v("in", in, "the benchmark's files, JSON lines, separated by commas; - reads standard input");
    v("out", out, "tasks, JSON lines, there once whole; - writes standard output");
    v("split", split,
      "all, or aflow_validation or aflow_test: the rows that AFlow and its followers use as such");
    v("augment", augment, "most tests on mutated inputs that are added to a task's val; 0: none");
    v("threads", threads, "most CPU threads, 0: all cores; rows are taken one at a time");
    v("seed", seed, "of the mutations, with the task's id");
    v("cpu_ms", cpu_ms, "CPU time of one reference with all its tests, and again of each test");
    v("memory_mb", memory_mb, "memory of the same");
    v("min_tier", min_tier, "least isolation accepted: A, B or C");
    v("packages", packages, "folder of modules that references may import, e.g. numpy; or empty");
  }
  void validate() const;
  /// The sandbox, which not every benchmark needs, is looked at where tests are to be added.
  void check_start(StartCheck& check) const;
};

/// {"public":[..],"val":[..],"hidden":[..]} of the distinct tests (by TestInput::identity): the
/// first is public; of the others the first, third, ... are val, the rest hidden. `further` tests
/// are val too. No test stands in two lists: with too few of them a list stays empty, val last.
/// Where all of val, if more than one test, expects one value and another test another, its first
/// test changes places with that one, a hidden one rather than the public one.
Json split_tests(const Recording& recording, const std::vector<Json>& further = {});

/// Writes the tasks of rows that say what is right. Of others it records every test by running the
/// reference, judges the reference by them, and writes the task where every test of the row is
/// recorded and passed, with all of them as `official`. Rows that give no task are logged with the
/// reason, an id that was there before among them; equal questions, the licence and the numbers of
/// tasks are logged once. Beside the tasks, in OUT.source.json, lies what they were made from:
/// {"dataset", "licence", "split", "tasks", "files": [{"path", "sha256", "rows"}]}. With `augment`,
/// tests on mutated inputs are kept that the reference passes again in another process with other
/// hashes. Tasks with few val tests are named in one line, as are those with a list that stayed
/// empty. Throws Error at the end when a row gave no task, the others being written. Where a split
/// of AFlow's has not as many rows as it published, a file cannot be read or the run is stopped, it
/// throws and OUT is what it was (UnfinishedFile).
void run_prepare_tasks(const PrepareTasksConfig& config);

}  // namespace weft
