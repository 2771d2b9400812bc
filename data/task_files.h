/// Files that a task brings for the code that is run for it.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "base/json.h"

namespace weft {

struct TaskFile {
  std::string name;     ///< of the working folder: no path
  std::string content;  ///< bytes
};

/// By name; null: none. Shared by the copies of a task.
using TaskFiles = std::shared_ptr<const std::vector<TaskFile>>;

constexpr size_t kMaxTaskFiles = 64;
constexpr size_t kMaxTaskFileName = 100;
constexpr size_t kMaxTaskFileBytes = 8 << 20;  ///< of a task's files together

/// The field "files" of a task, {NAME: text or {"$bytes": base64}}; null where it is missing or
/// says nothing. Throws InputError naming `where` for any other form, a name that is not 1 to
/// kMaxTaskFileName letters, digits, "_", "-" and dots (none first), and more than the caps.
TaskFiles parse_task_files(const Json& task, const std::string& where);

/// Bytes that they take in a folder of memory, by whole pages of 4 KiB.
size_t folder_bytes(const TaskFiles& files);

/// "data.csv (120 bytes), image.png (2048 bytes)"; empty without files.
std::string list_files(const TaskFiles& files);

}  // namespace weft
