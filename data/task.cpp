#include "data/task.h"

#include <fmt/format.h>

#include <set>

#include "base/error.h"
#include "base/hash.h"
#include "base/jsonl.h"
#include "base/known_fields.h"
#include "data/task_tests.h"

namespace weft {
namespace {

TaskKind parse_kind(const std::string& name, const std::string& where) {
  for (const auto kind : {TaskKind::kCode, TaskKind::kMath, TaskKind::kQa, TaskKind::kChoice}) {
    if (name == to_string(kind)) return kind;
  }
  throw InputError(fmt::format(
      "{}: field \"kind\": expected one of code, math, qa, choice, got \"{}\"", where, name));
}

std::string parse_checker(const Json& json, const Task& task, const std::string& where) {
  const auto found = json.find("checker");
  if (found == json.end() || found->is_null()) return "";
  if (!found->is_string()) throw_field_error(where, "checker", "Python text", &*found);
  const std::string checker = found->get<std::string>();
  if (!checker.empty() && task.kind == TaskKind::kCode && task.entry_point.empty()) {
    throw InputError(where +
                     ": field \"checker\": expected an \"entry_point\" beside it, which "
                     "check(candidate, test) calls");
  }
  return checker;
}

void check_fields(const Json& json, const std::string& where) {
  static const FieldNames known = {"id",    "dataset", "kind",   "prompt",  "entry_point", "answer",
                                   "tests", "setup",   "family", "checker", "files"};
  refuse_unknown_fields(json, known, where);
}

}  // namespace

const char* to_string(TaskKind kind) {
  switch (kind) {
    case TaskKind::kCode:
      return "code";
    case TaskKind::kMath:
      return "math";
    case TaskKind::kQa:
      return "qa";
    case TaskKind::kChoice:
      return "choice";
  }
  return "";
}

Task parse_task(const Json& json, const std::string& where) {
  check_fields(json, where);
  Task task;
  task.id = get_field<std::string>(json, "id", where);
  task.dataset = get_field<std::string>(json, "dataset", where);
  task.kind = parse_kind(get_field<std::string>(json, "kind", where), where);
  task.prompt = get_field<std::string>(json, "prompt", where);
  task.entry_point = get_field_or<std::string>(json, "entry_point", "", where);
  task.checker = parse_checker(json, task, where);
  task.files = parse_task_files(json, where);
  if (task.kind != TaskKind::kCode) {
    task.answer = get_field<std::string>(json, "answer", where);
    return task;
  }
  task.setup = get_field_or<std::string>(json, "setup", "", where);
  const Json tests = get_field<Json>(json, "tests", where);
  if (!tests.is_object()) throw_field_error(where, "tests", "an object", &tests);
  refuse_unknown_fields(tests, {"public", "val", "hidden", "official"}, where + ": tests");
  task.public_tests = parse_tests(tests, "public", where);
  task.val_tests = parse_tests(tests, "val", where);
  return task;
}

std::vector<Task> load_tasks(const std::filesystem::path& path) {
  std::vector<Task> tasks;
  std::set<std::string> ids;
  JsonlReader reader(path);
  for (JsonlLine line; reader.next(line);) {
    if (!line.error.empty()) throw InputError(line.error);
    tasks.push_back(parse_task(line.value, reader.where(line)));
    if (!ids.insert(tasks.back().id).second) {
      throw InputError(
          fmt::format("{}: id \"{}\" was used before", reader.where(line), tasks.back().id));
    }
  }
  if (tasks.empty()) throw InputError(path.string() + ": holds no task");
  return tasks;
}

std::vector<Task> load_task_files(
    const std::vector<std::string>& files,
    const std::function<std::vector<Task>(const std::string&)>& load) {
  if (files.empty()) throw InputError("tasks: expected a task file, got nothing");
  std::vector<Task> all;
  std::set<std::string> ids;
  for (const std::string& file : files) {
    for (Task& task : load(file)) {
      if (!ids.insert(task.id).second) {
        throw InputError(fmt::format("{}: id \"{}\" is another file's", file, task.id));
      }
      all.push_back(std::move(task));
    }
  }
  return all;
}

Task task_of_query(const std::string& query, const std::string& entry_point) {
  Task task;
  task.id = "query-" + hex64(hash64(query));
  task.dataset = "query";
  task.kind = entry_point.empty() ? TaskKind::kQa : TaskKind::kCode;
  task.prompt = query;
  task.entry_point = entry_point;
  return task;
}

}  // namespace weft
