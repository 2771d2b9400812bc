/// The lines of a text file by their place, so that none has to be held.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <filesystem>
#include <string>

namespace weft {

struct TextLine {
  uint64_t offset = 0;  ///< of its first byte
  int64_t number = 0;   ///< from 1
  std::string text;     ///< without the end of the line, "\r\n" included
};

/// Reads a file line by line and, later, any of these lines again by its offset. What cannot be
/// read twice (a gzipped file, a pipe, standard input) is first written out, unpacked, to an
/// unnamed file that is gone with the object. One thread at a time.
class LineFile {
 public:
  /// `path` "-" is standard input. `spool_dir` is where the unnamed file is made. A line of more
  /// than `max_line_bytes` is refused. Throws InputError when the file cannot be opened or unpacked
  /// and Error when it cannot be written out.
  LineFile(const std::filesystem::path& path, const std::filesystem::path& spool_dir,
           uint64_t max_line_bytes);
  ~LineFile();
  LineFile(const LineFile&) = delete;
  LineFile& operator=(const LineFile&) = delete;

  /// The next line that is not blank; false at the end. Throws InputError naming file and line
  /// where a line is too long, and as check_unchanged() does at the end.
  bool next(TextLine& line);

  /// The line that begins at `offset`. Throws InputError naming the file when it has changed.
  std::string read(uint64_t offset) const;

  /// Throws InputError naming the file when it is not what was opened: another file has its name,
  /// or its size or its time of change differ.
  void check_unchanged() const;

  /// "FILE:NUMBER" of the line that begins at `offset`; reads the file up to there.
  std::string where(uint64_t offset) const;
  std::string where(const TextLine& line) const;

  uint64_t size() const { return size_; }      ///< bytes, unpacked
  uint64_t position() const { return next_; }  ///< bytes that next() is past
  const std::string& name() const { return name_; }

 private:
  void spool(const std::filesystem::path& path, const std::filesystem::path& dir);
  /// The line that begins at `offset` and where the next one does; `number` is for errors.
  std::string line_at(uint64_t offset, uint64_t& next, int64_t number) const;
  size_t fill(uint64_t offset) const;

  std::string name_;
  std::filesystem::path watched_;  ///< empty where the file was written out
  struct stat opened_ = {};
  int fd_ = -1;
  uint64_t size_ = 0, max_line_bytes_, next_ = 0;
  int64_t number_ = 0;
  mutable std::string buffer_;  ///< bytes of the file from buffer_begin_ on
  mutable uint64_t buffer_begin_ = 0;
};

}  // namespace weft
