/// JSON lines, read and written one at a time.
#pragma once

#include <cstdint>
#include <cstdio>
#include <filesystem>
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

/// Reads JSON lines, also of a gzipped file; blank lines are skipped, bad ones handed on with their
/// error.
class JsonlReader {
 public:
  /// `path` "-" is standard input. Throws InputError when the file cannot be opened.
  explicit JsonlReader(const std::filesystem::path& path);

  /// False at the end of the file. Throws InputError where a gzipped file is broken.
  bool next(JsonlLine& line);

  /// "FILE:NUMBER" of a line, for messages.
  std::string where(const JsonlLine& line) const;

 private:
  std::string name_;
  std::unique_ptr<std::istream> file_;  ///< null for standard input
  std::istream* stream_;
  int64_t number_ = 0;
};

/// Writes JSON lines, each flushed whole, so that a crash cuts off at most the last line.
class JsonlWriter {
 public:
  /// `path` "-" is standard output. With `append`, a last line without a newline (left by a crash)
  /// is cut off first. Throws Error when the file cannot be opened.
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

/// Cuts off what follows the last newline of a file that a crash may have left half written.
void drop_partial_last_line(const std::filesystem::path& path);

}  // namespace weft
