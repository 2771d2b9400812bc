#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>
#include <sstream>

#include "base/error.h"

namespace weft {
namespace {

void write_all(int fd, std::string_view text, const fs::path& path) {
  while (!text.empty()) {
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      throw Error(with_errno("cannot write " + path.string()));
    }
    text.remove_prefix(static_cast<size_t>(written));
  }
  if (::fsync(fd) != 0) throw Error(with_errno("cannot sync " + path.string()));
}

}  // namespace

std::string read_file(const fs::path& path) {
  std::ostringstream text;
  if (path == "-") {
    text << std::cin.rdbuf();
    return std::move(text).str();
  }
  std::error_code error;
  if (fs::is_directory(path, error)) {
    throw InputError("cannot read " + path.string() + ": is a directory");
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) throw InputError(with_errno("cannot read " + path.string()));
  text << file.rdbuf();
  return std::move(text).str();
}

void write_file_atomically(const fs::path& path, std::string_view text) {
  std::string temporary = path.string() + ".tmp-XXXXXX";
  const int fd = ::mkstemp(temporary.data());
  if (fd < 0) throw Error(with_errno("cannot create a file beside " + path.string()));
  try {
    ::fchmod(fd, 0644);
    write_all(fd, text, path);
  } catch (...) {
    ::close(fd);
    ::unlink(temporary.c_str());
    throw;
  }
  ::close(fd);
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    const std::string reason = with_errno("cannot rename a file to " + path.string());
    ::unlink(temporary.c_str());
    throw Error(reason);
  }
  sync_path(path.has_parent_path() ? path.parent_path() : fs::path("."));
}

void append_durably(const fs::path& path, std::string_view text) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd < 0) throw Error(with_errno("cannot write " + path.string()));
  try {
    write_all(fd, text, path);
  } catch (...) {
    ::close(fd);
    throw;
  }
  ::close(fd);
}

void publish_directory(const fs::path& temporary, const fs::path& final_path) {
  for (const auto& entry : fs::recursive_directory_iterator(temporary)) sync_path(entry.path());
  sync_path(temporary);
  std::error_code error;
  fs::remove_all(final_path, error);
  fs::rename(temporary, final_path, error);
  if (error) {
    throw Error("cannot rename " + temporary.string() + " to " + final_path.string() + ": " +
                error.message());
  }
  sync_path(final_path.parent_path());
}

void sync_path(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw Error(with_errno("cannot open " + path.string()));
  const bool synced = ::fsync(fd) == 0;
  ::close(fd);
  if (!synced) throw Error(with_errno("cannot sync " + path.string()));
}

}  // namespace weft
