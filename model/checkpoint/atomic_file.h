#pragma once

#include <cstddef>
#include <string>

namespace weft {

/// A file that gets its name only when it is complete: written beside `path`, then fsync and
/// rename. Destroyed before `commit`, it leaves nothing. Throws Error when the disk is full.
class AtomicFile {
 public:
  explicit AtomicFile(const std::string& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* data, size_t size);
  void commit();

 private:
  std::string path_, temporary_;
  int fd_;
};

}  // namespace weft
