/// A file system of a few megabytes that a test can fill.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

namespace weft::test {

/// A tmpfs in a mount namespace of this process; programs that it starts see it too.
class SmallDisk {
 public:
  /// Mounts it over `path`. Null where neither root nor a user namespace may mount; `why` says so.
  static std::unique_ptr<SmallDisk> mount(const std::filesystem::path& path, int64_t bytes,
                                          std::string& why);
  ~SmallDisk();

  /// Leaves this many bytes free, by a file that takes the rest.
  void fill_up_to(int64_t free_bytes);
  /// Removes that file.
  void make_room();
  const std::filesystem::path& path() const { return path_; }

 private:
  explicit SmallDisk(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

}  // namespace weft::test
