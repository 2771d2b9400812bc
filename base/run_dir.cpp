#include "base/run_dir.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"

namespace weft {
namespace {

/// The first key path at which two configs differ, or "".
std::string first_difference(const Json& a, const Json& b, const std::string& path,
                             const std::vector<std::string>& ignored) {
  if (std::find(ignored.begin(), ignored.end(), path) != ignored.end()) return "";
  if (!a.is_object() || !b.is_object()) return a == b ? "" : path;
  for (const auto& [key, value] : a.items()) {
    const std::string child = path.empty() ? key : path + "." + key;
    const auto found = b.find(key);
    const std::string different =
        first_difference(value, found == b.end() ? Json() : *found, child, ignored);
    if (!different.empty()) return different;
  }
  return "";
}

}  // namespace

RunDir::RunDir(const fs::path& path, bool resume, const Json& resolved_config,
               const std::vector<std::string>& may_change)
    : path_(path) {
  if (path.empty()) throw InputError("no output directory: give --out DIR");
  std::error_code error;
  fs::create_directories(path_, error);
  if (error) throw Error("cannot create " + path_.string() + ": " + error.message());
  lock();
  try {
    const auto config = file("config.json");
    resumed_ = fs::exists(config);
    if (resumed_ && !resume) {
      throw InputError(path_.string() +
                       " holds a run: continue it with --resume, or choose another --out");
    }
    if (resume && !resumed_) throw InputError(path_.string() + " holds no run to resume");
    if (resumed_) {
      const auto different =
          first_difference(resolved_config, read_json_file(config), "", may_change);
      if (!different.empty()) {
        throw InputError(fmt::format("{}: cannot resume, \"{}\" differs from the run's config",
                                     path_.string(), different));
      }
    }
    write_file_atomically(config, dump_json_pretty(resolved_config));
    log::open_file(file("log.txt"));
  } catch (...) {
    ::close(lock_fd_);
    throw;
  }
}

RunDir::~RunDir() {
  log::close_file();
  std::error_code ignored;
  if (!resumed_ && holds_nothing_but_its_start()) fs::remove(file("config.json"), ignored);
  ::close(lock_fd_);
}

bool RunDir::holds_nothing_but_its_start() const {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(path_, error)) {
    const std::string name = entry.path().filename();
    if (name != ".lock" && name != "config.json" && name != "log.txt") return false;
  }
  return !error;
}

void RunDir::lock() {
  lock_fd_ = ::open(file(".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock_fd_ < 0) throw Error(with_errno("cannot write under " + path_.string()));
  if (::flock(lock_fd_, LOCK_EX | LOCK_NB) != 0) {
    ::close(lock_fd_);
    throw InputError(path_.string() + " is in use by another run");
  }
}

}  // namespace weft
