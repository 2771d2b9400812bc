/// A file that has its name only once it is whole.
#pragma once

#include <filesystem>

namespace weft {

/// Where the content of a file is written until it is whole: FILE.part, so that FILE is what it was
/// until then. "-", a device and a pipe are written in place.
class UnfinishedFile {
 public:
  explicit UnfinishedFile(const std::filesystem::path& path);
  /// What was not published stays in FILE.part; an empty one is removed.
  ~UnfinishedFile();
  UnfinishedFile(const UnfinishedFile&) = delete;
  UnfinishedFile& operator=(const UnfinishedFile&) = delete;

  /// What to write to.
  const std::filesystem::path& path() const { return part_; }

  /// Gives the file its name, durably; what a link of that name points to is replaced, not the
  /// link. Throws Error naming the file.
  void publish();

 private:
  std::filesystem::path path_, part_;
};

}  // namespace weft
