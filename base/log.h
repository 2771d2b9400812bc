/// Log lines: standard error, and log.txt of the run directory once one is open. Libraries log what
/// an operator needs to know and print nothing.
#pragma once

#include <fmt/format.h>

#include <filesystem>
#include <string_view>

namespace weft::log {

enum class Level { kDebug, kInfo, kWarning, kError };

void write(Level level, std::string_view text);

/// To the open file alone; nowhere where there is none, or no room. Never throws.
void write_to_file(Level level, std::string_view text);

/// Also appends every line to this file, in place of the one that was open before. Throws Error
/// when it cannot be opened.
void open_file(const std::filesystem::path& path);
void close_file();

template <class... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::kDebug, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::kInfo, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void warn(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::kWarning, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::kError, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace weft::log
