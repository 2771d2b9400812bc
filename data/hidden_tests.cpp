#include "data/hidden_tests.h"

#include <algorithm>

#include "base/error.h"
#include "base/jsonl.h"
#include "data/task_tests.h"

namespace weft {

std::map<std::string, FinalTests> load_final_tests(const std::filesystem::path& path) {
  std::map<std::string, FinalTests> final_tests;
  JsonlReader reader(path);
  for (JsonlLine line; reader.next(line);) {
    if (!line.error.empty()) throw InputError(line.error);
    const std::string where = reader.where(line);
    const Task task = parse_task(line.value, where);
    if (task.kind != TaskKind::kCode) continue;
    const Json& tests = line.value["tests"];
    final_tests[task.id] = {where, parse_tests(tests, "hidden", where),
                            parse_tests(tests, "official", where)};
  }
  return final_tests;
}

bool is_named_benchmark(const std::string& dataset) {
  static constexpr const char* kNames[] = {
      "humaneval",     "humaneval_plus", "mbpp",         "mbpp_plus", "bigcodebench",
      "livecodebench", "apps",           "codecontests", "taco",      "gsm8k",
      "gsm_hard",      "math",           "math500",      "aime",      "drop",
      "hotpotqa",      "mmlu",           "mmlu_pro",     "gpqa"};
  return std::find(std::begin(kNames), std::end(kNames), dataset) != std::end(kNames);
}

}  // namespace weft
