/// Whether the tests of tasks can be judged, asked before anything is run for them.
#pragma once

#include <string>
#include <vector>

#include "data/task.h"
#include "sandbox/judge/judge.h"

namespace weft {

/// Throws InputError, opening with `where`, the task's id and the list's name, for a test that the
/// judge would refuse (check_tests of sandbox/judge/judge.h). Other kinds of task have no tests.
void require_judgeable(const Task& task, const std::vector<Json>& tests, const char* split,
                       const std::string& where);

/// The same of the public and val tests of all tasks.
void require_judgeable(const std::vector<Task>& tasks, const std::string& where);

/// The tasks of all files (load_task_files) that have a reward (load_tasks_with_rewards), their
/// tests looked at. Throws InputError.
std::vector<Task> load_judgeable_tasks(const std::vector<std::string>& files);

/// The same with Python's reading of tests that are code. Throws Error where the sandbox fails.
void require_judgeable(Judge& judge, const Task& task, const std::vector<Json>& tests,
                       const char* split);
void require_judgeable(Judge& judge, const std::vector<Task>& tasks);

}  // namespace weft
