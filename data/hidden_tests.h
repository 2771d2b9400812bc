/// The tests that give final scores, apart from Task so that no path from search or training can
/// reach them. Only trainer/evaluate includes this header; a test of the source tree checks it.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"

namespace weft {

struct FinalTests {
  std::string where;           ///< "FILE:LINE" of the task, for messages
  std::vector<Json> hidden;    ///< what prepare_tasks kept apart from public and val
  std::vector<Json> official;  ///< a benchmark's whole own test set; empty where there is none
};

/// Task id -> its final tests, from the same file as load_tasks reads. Code tasks only. Throws
/// InputError naming a task whose list is no array of objects, or whose tests are of two forms.
/// Whether they can be passed is asked by who scores them (data/task_tests.h).
std::map<std::string, FinalTests> load_final_tests(const std::filesystem::path& path);

/// Whether a dataset is a named benchmark, whose score is that of its own test set; others, such as
/// the built-in tasks, are scored on hidden tests.
bool is_named_benchmark(const std::string& dataset);

}  // namespace weft
