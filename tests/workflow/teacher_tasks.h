/// Tasks that the teacher's tests share.
#pragma once

#include <string>
#include <vector>

#include "data/task.h"

namespace weft::test {

inline Task teacher_task(TaskKind kind = TaskKind::kCode, int index = 0) {
  static const std::vector<std::pair<std::string, std::string>> kPrompts = {
      {"count_vowels",
       "Write a Python function count_vowels(text) that returns the number of vowels in text."},
      {"second_largest",
       "Write second_largest(nums: list) -> int. It returns the second largest number of the list, "
       "or None if there is none."},
      {"f", "Do \"it\" with \\ and 'x' {y} `z` \xc3\xa9."},
      {"is_prime", "is_prime(n=1) checks whether n is a prime number."}};
  const auto& [entry, prompt] = kPrompts[static_cast<size_t>(index) % kPrompts.size()];
  Task task;
  task.id = "t" + std::to_string(index);
  task.dataset = "jsonl";
  task.kind = kind;
  task.prompt = prompt;
  if (kind == TaskKind::kCode) task.entry_point = entry;
  return task;
}

inline const std::vector<TaskKind>& all_task_kinds() {
  static const std::vector<TaskKind> kKinds = {TaskKind::kCode, TaskKind::kMath, TaskKind::kQa,
                                               TaskKind::kChoice};
  return kKinds;
}

}  // namespace weft::test
