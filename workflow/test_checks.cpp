#include "workflow/test_checks.h"

#include <fmt/format.h>

#include "base/error.h"
#include "data/task_tests.h"
#include "workflow/run_workflow.h"

namespace weft {
namespace {

std::string place_of(const Task& task, const char* split) {
  return fmt::format("task \"{}\": {} ", task.id, split);
}

}  // namespace

void require_judgeable(const Task& task, const std::vector<Json>& tests, const char* split,
                       const std::string& where) {
  if (task.kind != TaskKind::kCode) return;
  try {
    check_tests(tests, answer_mode(task, tests));
  } catch (const InputError& error) {
    throw InputError(where + ": " + place_of(task, split) + error.what());
  }
}

void require_judgeable(const std::vector<Task>& tasks, const std::string& where) {
  for (const Task& task : tasks) {
    require_judgeable(task, task.public_tests, "public", where);
    require_judgeable(task, task.val_tests, "val", where);
  }
}

std::vector<Task> load_judgeable_tasks(const std::vector<std::string>& files) {
  return load_task_files(files, [](const std::string& file) {
    auto tasks = load_tasks_with_rewards(file);
    require_judgeable(tasks, file);
    return tasks;
  });
}

void require_judgeable(Judge& judge, const Task& task, const std::vector<Json>& tests,
                       const char* split) {
  if (task.kind != TaskKind::kCode || tests.empty()) return;
  try {
    judge.check(judge_request(task, "", tests));
  } catch (const InputError& error) {
    throw InputError(place_of(task, split) + error.what());
  }
}

void require_judgeable(Judge& judge, const std::vector<Task>& tasks) {
  for (const Task& task : tasks) {
    require_judgeable(judge, task, task.public_tests, "public");
    require_judgeable(judge, task, task.val_tests, "val");
  }
}

}  // namespace weft
