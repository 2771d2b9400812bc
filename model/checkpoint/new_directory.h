#pragma once

#include "base/file.h"

namespace weft {

/// A directory built beside `path` and renamed to it by `publish`. Destroyed before, it leaves
/// nothing. Throws Error if `path` exists.
class NewDirectory {
 public:
  explicit NewDirectory(const fs::path& path);
  ~NewDirectory();
  NewDirectory(const NewDirectory&) = delete;
  NewDirectory& operator=(const NewDirectory&) = delete;

  const fs::path& temporary() const { return temporary_; }
  void publish();

 private:
  fs::path path_, temporary_;
};

}  // namespace weft
