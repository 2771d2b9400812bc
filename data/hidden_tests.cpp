#include "data/hidden_tests.h"

#include "base/error.h"
#include "base/jsonl.h"
#include "data/task_tests.h"

namespace weft {

std::map<std::string, std::vector<Json>> load_hidden_tests(const std::filesystem::path& path) {
  std::map<std::string, std::vector<Json>> hidden;
  JsonlReader reader(path);
  for (JsonlLine line; reader.next(line);) {
    if (!line.error.empty()) throw InputError(line.error);
    const Task task = parse_task(line.value, reader.where(line));
    if (task.kind != TaskKind::kCode) continue;
    const Json& tests = line.value["tests"];
    const auto found = tests.find("hidden");
    std::vector<Json>& list = hidden[task.id];
    if (found != tests.end() && found->is_array()) list.assign(found->begin(), found->end());
    require_one_form(list, "hidden", reader.where(line));
    require_scorable(task, list, "hidden", reader.where(line));
  }
  return hidden;
}

}  // namespace weft
