#include "data/task_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/base64.h"
#include "base/error.h"

namespace weft {
namespace {

bool is_safe_name(const std::string& name) {
  constexpr std::string_view kOthers = "_-.";
  return !name.empty() && name.size() <= kMaxTaskFileName && name.front() != '.' &&
         std::all_of(name.begin(), name.end(), [kOthers](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  kOthers.find(c) != std::string_view::npos;
         });
}

std::string parse_content(const std::string& name, const Json& json, const std::string& where) {
  if (json.is_string()) return json.get<std::string>();
  if (json.is_object() && json.size() == 1 && json.contains("$bytes")) {
    const Json& text = json["$bytes"];
    auto bytes = text.is_string() ? base64_decode(text.get<std::string>()) : std::nullopt;
    if (bytes) return std::move(*bytes);
  }
  throw InputError(
      fmt::format("{}: field \"files\": \"{}\": expected a text or "
                  "{{\"$bytes\": base64}}, got {}",
                  where, name, dump_json(json).substr(0, 60)));
}

}  // namespace

TaskFiles parse_task_files(const Json& task, const std::string& where) {
  const auto found = task.find("files");
  const bool says_nothing = found == task.end() || found->is_null() || *found == "" ||
                            (found->is_structured() && found->empty());
  if (says_nothing) return nullptr;
  if (!found->is_object()) throw_field_error(where, "files", "an object", &*found);
  if (found->size() > kMaxTaskFiles) {
    throw InputError(fmt::format("{}: field \"files\": expected at most {} files, got {}", where,
                                 kMaxTaskFiles, found->size()));
  }
  auto files = std::make_shared<std::vector<TaskFile>>();
  size_t bytes = 0;
  for (const auto& [name, content] : found->items()) {
    if (!is_safe_name(name)) {
      throw InputError(fmt::format(
          "{}: field \"files\": expected names of 1 to {} letters, digits, \"_\", \"-\" and dots, "
          "none of them first, got {}",
          where, kMaxTaskFileName, dump_json(Json(name)).substr(0, 120)));
    }
    files->push_back({name, parse_content(name, content, where)});
    bytes += files->back().content.size();
  }
  if (bytes > kMaxTaskFileBytes) {
    throw InputError(fmt::format("{}: field \"files\": expected at most {} bytes in all, got {}",
                                 where, kMaxTaskFileBytes, bytes));
  }
  std::sort(files->begin(), files->end(),
            [](const TaskFile& a, const TaskFile& b) { return a.name < b.name; });
  return files;
}

size_t folder_bytes(const TaskFiles& files) {
  constexpr size_t kPage = 4096;
  size_t bytes = 0;
  if (!files) return bytes;
  for (const TaskFile& file : *files) bytes += (file.content.size() + kPage - 1) / kPage * kPage;
  return bytes;
}

std::string list_files(const TaskFiles& files) {
  std::string text;
  if (!files) return text;
  for (const TaskFile& file : *files) {
    text +=
        fmt::format("{}{} ({} bytes)", text.empty() ? "" : ", ", file.name, file.content.size());
  }
  return text;
}

}  // namespace weft
