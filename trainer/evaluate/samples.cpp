#include "trainer/evaluate/samples.h"

#include <fmt/format.h>

#include <sstream>
#include <string_view>

#include "base/error.h"
#include "base/jsonl.h"
#include "base/known_fields.h"
#include "base/log.h"
#include "base/stop.h"

namespace weft {

namespace {

bool continues_name(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || (c & 0x80);
}

/// Whether a line at the outermost level opens the definition of `name`.
bool defines(std::string_view line, const std::string& name) {
  for (const std::string_view keyword : {"def ", "async def ", "class "}) {
    if (!line.starts_with(keyword)) continue;
    std::string_view rest = line.substr(keyword.size());
    rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
    if (!rest.starts_with(name)) continue;
    return rest.size() == name.size() || !continues_name(rest[name.size()]);
  }
  return false;
}

/// The answer that a row holds.
std::string answer_of(const Json& row, const Task& task,
                      const std::function<bool(const Task&)>& continues_prompt,
                      const std::string& where) {
  if (row.contains("solution")) return get_field<std::string>(row, "solution", where);
  const std::string completion = get_field<std::string>(row, "completion", where);
  if (continues_prompt(task)) return task.prompt + completion;
  return task.setup.empty() ? completion : task.setup + "\n" + completion;
}

}  // namespace

Samples load_samples(const std::filesystem::path& path, const std::vector<Task>& tasks,
                     const std::function<bool(const Task&)>& continues_prompt) {
  std::map<std::string, const Task*> by_id;
  for (const Task& task : tasks) by_id[task.id] = &task;
  std::map<const Task*, bool> continues;
  const auto known_to_continue = [&](const Task& task) {
    const auto [at, is_new] = continues.try_emplace(&task);
    if (is_new) at->second = continues_prompt(task);
    return at->second;
  };
  Samples samples;
  static const FieldNames known = {"task_id", "completion", "solution"};
  FieldCounts further;
  JsonlReader reader(path);
  for (JsonlLine line; reader.next(line);) {
    throw_if_stopped();
    if (!line.error.empty()) throw InputError(line.error);
    const std::string where = reader.where(line);
    const std::string id = get_field<std::string>(line.value, "task_id", where);
    const auto task = by_id.find(id);
    if (task == by_id.end()) {
      throw InputError(
          fmt::format("{}: task_id: expected the id of a task, such as \"{}\", got \"{}\"", where,
                      tasks.front().id, id));
    }
    count_further_fields(line.value, known, where, further);
    samples[id].push_back(answer_of(line.value, *task->second, known_to_continue, where));
  }
  if (samples.empty()) throw InputError(path.string() + ": expected samples, got no row");
  if (!further.empty()) {
    log::info("{}: columns that are not read: {}", path.string(), list_fields(further));
  }
  return samples;
}

bool declares_entry_point(const Task& task, const std::function<bool(const std::string&)>& parses) {
  if (task.kind != TaskKind::kCode || task.entry_point.empty()) return false;
  std::istringstream lines(task.prompt);
  bool declared = false;
  for (std::string line; std::getline(lines, line);) {
    declared = declared || defines(line, task.entry_point);
  }
  // A definition that ends in its docstring is whole, one that ends in its head wants a body.
  return declared && (parses(task.prompt) || parses(task.prompt + "\n    pass\n"));
}

double pass_at_k(int64_t n, int64_t c, int64_t k) {
  WEFT_ASSERT(k >= 1 && k <= n && c >= 0 && c <= n);
  if (n - c < k) return 1;
  double none = 1;
  for (int64_t i = n - c + 1; i <= n; ++i)
    none *= 1 - static_cast<double>(k) / static_cast<double>(i);
  return 1 - none;
}

}  // namespace weft
