#include "data/task_tests.h"

#include <fmt/format.h>

#include "base/error.h"

namespace weft {

void require_one_form(const std::vector<Json>& tests, const char* split, const std::string& where) {
  for (size_t i = 1; i < tests.size(); ++i) {
    if (is_stdio_test(tests[i]) == is_stdio_test(tests[0])) continue;
    throw InputError(fmt::format(
        "{}: tests: field \"{}\": expected tests of one form, got test 1 {} \"input\" and test {} "
        "{} it: give each task calls (\"args\", \"expected\") or programs (\"input\", \"output\")",
        where, split, is_stdio_test(tests[0]) ? "with" : "without", i + 1,
        is_stdio_test(tests[i]) ? "with" : "without"));
  }
}

std::vector<Json> parse_tests(const Json& tests, const char* split, const std::string& where) {
  const Json list = get_field_or<Json>(tests, split, Json::array(), where + ": tests");
  if (!list.is_array()) throw_field_error(where + ": tests", split, "an array", &list);
  for (const auto& test : list) {
    if (!test.is_object())
      throw_field_error(where + ": tests", split, "an array of objects", &test);
  }
  std::vector<Json> parsed(list.begin(), list.end());
  require_one_form(parsed, split, where);
  return parsed;
}

void require_scorable(const Task& task, const std::vector<Json>& tests, const char* split,
                      const std::string& where) {
  if (task.kind != TaskKind::kCode) return;
  if (tests.empty()) {
    throw InputError(fmt::format(
        "{}: task \"{}\" has no {} tests, every answer would score 0: add some to \"tests\", "
        "\"{}\", or leave the task out",
        where, task.id, split, split));
  }
  if (task.entry_point.empty() && !are_stdio_tests(tests)) {
    throw InputError(fmt::format(
        "{}: task \"{}\" has {} tests that call a function and no \"entry_point\", every answer "
        "would score 0: name the function, or give tests with \"input\" and \"output\"",
        where, task.id, split));
  }
}

std::vector<Task> load_tasks_with_rewards(const std::filesystem::path& path) {
  std::vector<Task> tasks = load_tasks(path);
  for (const Task& task : tasks) require_scorable(task, task.val_tests, "val", path.string());
  return tasks;
}

}  // namespace weft
