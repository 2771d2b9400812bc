/// JSON lines, read and written one at a time.
#pragma once

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <istream>
#include <memory>
#include <string>

#include "base/json.h"

namespace weft {

struct JsonlLine {
  int64_t number = 0;  ///< from 1
  Json value;          ///< null when `error` is set
  std::string error;   ///< why the line is no JSON, with file and number; empty when it is
};

/// Of one line, unless a reader is told otherwise. A row of LiveCodeBench may have 100 MB.
constexpr size_t kMostJsonLineBytes = size_t{256} << 20;

/// Reads JSON lines (parse_json_row), also of a gzipped file; blank lines are skipped, bad ones and
/// those of more than `most_line_bytes` handed on with their error.
class JsonlReader {
 public:
  /// `path` "-" is standard input. Throws InputError when the file cannot be opened.
  explicit JsonlReader(const std::filesystem::path& path,
                       size_t most_line_bytes = kMostJsonLineBytes);

  /// False at the end of the file. Throws InputError where a gzipped file is broken.
  bool next(JsonlLine& line);

  /// "FILE:NUMBER" of a line, for messages.
  std::string where(const JsonlLine& line) const;

 private:
  std::string name_;
  size_t most_line_bytes_;
  std::unique_ptr<std::istream> file_;  ///< null for standard input
  std::istream* stream_;
  int64_t number_ = 0;
};

/// Writes JSON lines, each flushed whole, so that a crash cuts off at most the last line.
class JsonlWriter {
 public:
  /// `path` "-" is standard output. With `append`, a last line without a newline (left by a crash)
  /// is moved aside first. Throws Error when the file cannot be opened.
  explicit JsonlWriter(const std::filesystem::path& path, bool append = false);
  ~JsonlWriter();
  JsonlWriter(const JsonlWriter&) = delete;
  JsonlWriter& operator=(const JsonlWriter&) = delete;

  /// Throws Error naming the file when the disk is full.
  void write(const Json& value);

 private:
  std::string name_;
  std::FILE* file_ = nullptr;
};

/// FILE.aside: where lines go that a resumed run does again. Each resume adds to it; nothing that a
/// run has written is erased.
std::filesystem::path aside_path(const std::filesystem::path& path);

/// Leaves in a file the lines that `keep` takes, byte for byte, and moves the others to FILE.aside,
/// also those that are no JSON and a last one that a crash cut off. Nothing is done where there is
/// no file. A crash in between leaves a line in both. Throws Error; the file is as it was then.
void move_lines_aside(const std::filesystem::path& path,
                      const std::function<bool(const Json&)>& keep);

/// The same for the lines whose "step" is above `last_step`.
void move_later_steps_aside(const std::filesystem::path& path, int64_t last_step);

/// The same for what follows the last newline alone.
void move_partial_line_aside(const std::filesystem::path& path);

}  // namespace weft
