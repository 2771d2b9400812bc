/// A query with what is needed to score an answer to it, as JSON lines (docs/formats.md).
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/json.h"
#include "data/task_files.h"

namespace weft {

enum class TaskKind { kCode, kMath, kQa, kChoice };

/// "code", "math", "qa", "choice".
const char* to_string(TaskKind kind);

/// A task as workflows, search and training see it: hidden and official tests are not part of it,
/// and no field leads to them (see data/hidden_tests.h).
struct Task {
  std::string id;
  std::string dataset;
  TaskKind kind = TaskKind::kCode;
  std::string prompt;
  std::string entry_point;  ///< name of the function; code tasks only
  std::string setup;        ///< Python run before an answer's; code tasks only
  std::string answer;       ///< gold answer; other tasks only
  /// Trusted Python that scores an answer, or empty. Code tasks: check(candidate, test) -> bool,
  /// for each test, which may be any object. Others: check(answer, task) -> bool or a number in [0,
  /// 1].
  std::string checker;
  std::vector<Json> public_tests;  ///< may be shown to a workflow
  std::vector<Json> val_tests;     ///< give rewards
  TaskFiles files;                 ///< beside an answer, a draft and a checker while they run
};

/// Throws InputError naming `where` when a field is missing, wrong or unknown, also of "tests", or
/// the tests of a list are of two forms. What a test says is checked by who scores it
/// (workflow/test_checks.h), and whether it can be passed (data/task_tests.h).
Task parse_task(const Json& json, const std::string& where);

/// Reads a task file. Throws InputError naming file and line on the first bad task, on a repeated
/// id and on an empty file.
std::vector<Task> load_tasks(const std::filesystem::path& path);

/// The tasks of several files, each read by `load`, in the order of the files. Throws InputError
/// naming file and id where one repeats an id of another, and where there is no file.
std::vector<Task> load_task_files(const std::vector<std::string>& files,
                                  const std::function<std::vector<Task>(const std::string&)>& load);

/// A task for a query that nobody has tests for (serving). Without an entry point it is a qa task.
Task task_of_query(const std::string& query, const std::string& entry_point);

}  // namespace weft
