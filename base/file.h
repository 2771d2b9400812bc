/// Whole files: read, and written so that a crash or a full disk leaves the old file or none.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace weft {

namespace fs = std::filesystem;

/// Throws InputError naming the file when it cannot be read.
std::string read_file(const fs::path& path);

/// Writes to a temporary file beside `path`, fsyncs it, renames it over `path` and fsyncs the
/// folder. Throws Error naming file and reason; then `path` is what it was and nothing else
/// remains.
void write_file_atomically(const fs::path& path, std::string_view text);

/// Adds to the end of a file, made where there is none, and fsyncs it. Throws Error.
void append_durably(const fs::path& path, std::string_view text);

/// Renames a finished folder to its final name and makes the renaming durable. An older folder of
/// that name is removed. Throws Error.
void publish_directory(const fs::path& temporary, const fs::path& final_path);

/// Flushes a file's or folder's content to the disk. Throws Error.
void sync_path(const fs::path& path);

}  // namespace weft
