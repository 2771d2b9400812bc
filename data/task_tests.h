/// What the tests of a code task ask of an answer, and whether any answer could pass them.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"
#include "data/task.h"

namespace weft {

/// The list called `split` of a task's "tests", none where it is absent. Throws InputError with
/// `where` when it is no array of objects or its tests are of two forms.
std::vector<Json> parse_tests(const Json& tests, const char* split, const std::string& where);

/// Throws InputError with `where` and the list's name when some of the tests run an answer as a
/// program on their "input" and others call its entry point.
void require_one_form(const std::vector<Json>& tests, const char* split, const std::string& where);

/// Whether a test runs an answer as a program on its "input"; others call its entry point.
inline bool is_stdio_test(const Json& test) { return test.is_object() && test.contains("input"); }

/// The same of tests that are all of one form.
inline bool are_stdio_tests(const std::vector<Json>& tests) {
  return !tests.empty() && is_stdio_test(tests.front());
}

/// Throws InputError with `where`, the id and the remedy when every answer to a code task would
/// score 0 on `tests`, its list called `split`: the list is empty, or it calls an entry point and
/// the task names none. Other kinds of task have no tests.
void require_scorable(const Task& task, const std::vector<Json>& tests, const char* split,
                      const std::string& where);

/// load_tasks for search and training: throws InputError as well for a code task whose "val" tests
/// cannot give a reward.
std::vector<Task> load_tasks_with_rewards(const std::filesystem::path& path);

}  // namespace weft
