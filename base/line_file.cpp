#include "base/line_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <iostream>
#include <memory>

#include "base/error.h"
#include "base/gzip.h"

namespace weft {
namespace {

constexpr size_t kBufferBytes = 1 << 18;

bool is_gzipped(int fd) {
  unsigned char magic[2] = {};
  return pread(fd, magic, 2, 0) == 2 && magic[0] == 0x1f && magic[1] == 0x8b;
}

bool is_blank(const std::string& text) {
  return text.find_first_not_of(" \t\r") == std::string::npos;
}

bool same_file(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino && a.st_size == b.st_size &&
         a.st_mtim.tv_sec == b.st_mtim.tv_sec && a.st_mtim.tv_nsec == b.st_mtim.tv_nsec;
}

void write_all(int fd, const char* data, size_t size, const std::string& name) {
  while (size > 0) {
    const ssize_t written = write(fd, data, size);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw Error(with_errno("cannot write a copy of " + name));
    data += written;
    size -= static_cast<size_t>(written);
  }
}

}  // namespace

LineFile::LineFile(const std::filesystem::path& path, const std::filesystem::path& spool_dir,
                   uint64_t max_line_bytes)
    : name_(path == "-" ? "standard input" : path.string()), max_line_bytes_(max_line_bytes) {
  bool regular = false;
  if (path != "-") {
    if (stat(path.c_str(), &opened_) != 0) throw InputError(with_errno("cannot read " + name_));
    if (S_ISDIR(opened_.st_mode)) throw InputError("cannot read " + name_ + ": is a directory");
    regular = S_ISREG(opened_.st_mode);
  }
  if (regular) {
    fd_ = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd_ < 0) throw InputError(with_errno("cannot read " + name_));
  }
  try {
    if (regular && fstat(fd_, &opened_) == 0 && !is_gzipped(fd_)) {
      watched_ = path;
      size_ = static_cast<uint64_t>(opened_.st_size);
    } else {
      spool(path, spool_dir);
    }
  } catch (...) {
    if (fd_ >= 0) close(fd_);
    throw;
  }
}

LineFile::~LineFile() { close(fd_); }

void LineFile::spool(const std::filesystem::path& path, const std::filesystem::path& dir) {
  if (fd_ >= 0) close(fd_);
  std::string copy = (dir / "lines.XXXXXX").string();
  fd_ = mkostemp(copy.data(), O_CLOEXEC);
  if (fd_ < 0) throw Error(with_errno("cannot write a copy of " + name_ + " to " + dir.string()));
  unlink(copy.c_str());
  const std::unique_ptr<std::istream> opened = path == "-" ? nullptr : open_text(path);
  std::istream& source = opened ? *opened : std::cin;
  std::string chunk(kBufferBytes, '\0');
  do {
    source.read(chunk.data(), static_cast<std::streamsize>(chunk.size()));
    write_all(fd_, chunk.data(), static_cast<size_t>(source.gcount()), name_);
    size_ += static_cast<uint64_t>(source.gcount());
  } while (source);
}

/// Makes the buffer begin at `offset`; the number of bytes in it, 0 at the end of the file.
size_t LineFile::fill(uint64_t offset) const {
  buffer_.resize(kBufferBytes);
  ssize_t got;
  do {
    got = pread(fd_, buffer_.data(), buffer_.size(), static_cast<off_t>(offset));
  } while (got < 0 && errno == EINTR);
  if (got < 0) throw InputError(with_errno("cannot read " + name_));
  buffer_.resize(static_cast<size_t>(got));
  buffer_begin_ = offset;
  return buffer_.size();
}

std::string LineFile::line_at(uint64_t offset, uint64_t& next, int64_t number) const {
  std::string text;
  for (uint64_t at = offset;;) {
    const bool inside = at >= buffer_begin_ && at < buffer_begin_ + buffer_.size();
    if (!inside && fill(at) == 0) {
      next = at;
      break;
    }
    const char* begin = buffer_.data() + (at - buffer_begin_);
    const size_t left = buffer_.size() - (at - buffer_begin_);
    const void* newline = std::memchr(begin, '\n', left);
    const size_t take =
        newline ? static_cast<size_t>(static_cast<const char*>(newline) - begin) : left;
    if (text.size() + take > max_line_bytes_) {
      throw InputError(name_ + ":" + std::to_string(number) + ": expected a line of at most " +
                       std::to_string(max_line_bytes_) + " bytes, got a longer one");
    }
    text.append(begin, take);
    at += take;
    if (newline) {
      next = at + 1;
      break;
    }
  }
  if (text.ends_with('\r')) text.pop_back();
  return text;
}

bool LineFile::next(TextLine& line) {
  while (next_ < size_) {
    line.offset = next_;
    line.number = ++number_;
    line.text = line_at(next_, next_, number_);
    if (!is_blank(line.text)) return true;
  }
  check_unchanged();
  return false;
}

std::string LineFile::read(uint64_t offset) const {
  check_unchanged();
  uint64_t next = 0;
  return line_at(offset, next, /*number=*/0);
}

void LineFile::check_unchanged() const {
  if (watched_.empty()) return;
  struct stat named = {}, open = {};
  const bool same = stat(watched_.c_str(), &named) == 0 && fstat(fd_, &open) == 0 &&
                    same_file(named, opened_) && same_file(open, opened_);
  if (!same) throw InputError(name_ + ": has changed since this run began to read it");
}

std::string LineFile::where(uint64_t offset) const {
  int64_t number = 1;
  for (uint64_t at = 0; at < offset && fill(at) > 0; at += buffer_.size()) {
    const size_t size = std::min<uint64_t>(buffer_.size(), offset - at);
    number += std::count(buffer_.begin(), buffer_.begin() + static_cast<ptrdiff_t>(size), '\n');
  }
  return name_ + ":" + std::to_string(number);
}

std::string LineFile::where(const TextLine& line) const {
  return name_ + ":" + std::to_string(line.number);
}

}  // namespace weft
