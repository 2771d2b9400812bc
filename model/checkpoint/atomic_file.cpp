#include "model/checkpoint/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.h"
#include "base/file.h"

namespace weft {

AtomicFile::AtomicFile(const std::string& path) : path_(path), temporary_(path + ".tmp-XXXXXX") {
  fd_ = mkstemp(temporary_.data());
  if (fd_ < 0) throw Error(with_errno("cannot create a file beside " + path));
  fchmod(fd_, 0644);
}

AtomicFile::~AtomicFile() {
  if (fd_ < 0) return;
  close(fd_);
  unlink(temporary_.c_str());
}

void AtomicFile::write(const void* data, size_t size) {
  const char* at = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t written = ::write(fd_, at, size);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw Error(with_errno("cannot write " + path_));
    at += written;
    size -= static_cast<size_t>(written);
  }
}

void AtomicFile::commit() {
  if (fsync(fd_) != 0) throw Error(with_errno("cannot sync " + path_));
  if (rename(temporary_.c_str(), path_.c_str()) != 0) {
    throw Error(with_errno("cannot rename a file to " + path_));
  }
  close(fd_);
  fd_ = -1;
  const fs::path parent = fs::path(path_).parent_path();
  sync_path(parent.empty() ? fs::path(".") : parent);
}

}  // namespace weft
