#include "tests/support/small_disk.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <stdexcept>
#include <string>

namespace weft::test {
namespace fs = std::filesystem;

namespace {

constexpr const char* kFiller = ".filler";

/// A mount namespace of our own: as root, or as root of a user namespace. "" or what failed.
std::string enter_namespace() {
  if (unshare(CLONE_NEWNS) != 0) {
    const uid_t uid = getuid();
    const gid_t gid = getgid();
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) {
      return std::string("no mount namespace, neither as root nor in a user namespace: ") +
             std::strerror(errno);
    }
    std::ofstream("/proc/self/setgroups") << "deny";
    std::ofstream("/proc/self/uid_map") << uid << ' ' << uid << " 1";
    std::ofstream("/proc/self/gid_map") << gid << ' ' << gid << " 1";
  }
  if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0) return "";
  return std::string("mounts cannot be made private: ") + std::strerror(errno);
}

}  // namespace

std::unique_ptr<SmallDisk> SmallDisk::mount(const fs::path& path, int64_t bytes, std::string& why) {
  static const std::string refusal = enter_namespace();
  why = refusal;
  if (!why.empty()) return nullptr;
  fs::create_directories(path);
  const std::string options = "size=" + std::to_string(bytes);
  if (::mount("tmpfs", path.c_str(), "tmpfs", 0, options.c_str()) != 0) {
    why = std::string("no tmpfs can be mounted: ") + std::strerror(errno);
    return nullptr;
  }
  return std::unique_ptr<SmallDisk>(new SmallDisk(path));
}

SmallDisk::~SmallDisk() { umount2(path_.c_str(), MNT_DETACH); }

void SmallDisk::fill_up_to(int64_t free_bytes) {
  const auto available = static_cast<int64_t>(fs::space(path_).available);
  const int fd = open((path_ / kFiller).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  const int failed = fd < 0 ? errno : posix_fallocate(fd, 0, available - free_bytes);
  if (fd >= 0) close(fd);
  if (failed) throw std::runtime_error(std::string("cannot fill the disk: ") + strerror(failed));
}

void SmallDisk::make_room() { fs::remove(path_ / kFiller); }

}  // namespace weft::test
