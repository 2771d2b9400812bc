#include "base/run_dir.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"

namespace weft {
namespace {

struct Difference {
  std::string path;  ///< key path; empty: none
  Json now, before;
};

bool is_in(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// The first key path at which two configs differ.
Difference first_difference(const Json& now, const Json& before, const std::string& path,
                            const std::vector<std::string>& ignored) {
  if (is_in(ignored, path)) return {};
  if (!now.is_object() || !before.is_object()) {
    return now == before ? Difference{} : Difference{path, now, before};
  }
  for (const auto& [key, value] : now.items()) {
    const std::string child = path.empty() ? key : path + "." + key;
    const auto found = before.find(key);
    Difference different =
        first_difference(value, found == before.end() ? Json() : *found, child, ignored);
    if (!different.path.empty()) return different;
  }
  return {};
}

std::string text_of(const Json& input) {
  if (!input.is_object()) return "none";
  return input.value("hash", "?") + " (" + input.value("source", "?") + ")";
}

/// What tells one build of a program from another.
std::string program_version() {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  return WEFT_VERSION + (error ? "" : "-" + hex64(hash_file(program, /*sampled=*/true)));
}

constexpr const char* kInputs = "inputs.json";

}  // namespace

RunDir::RunDir(const fs::path& path, bool resume, const Json& resolved_config,
               const std::vector<std::string>& may_change)
    : RunDir(path, resume, resolved_config, ResumeRules{may_change, {}, {}}) {}

RunDir::RunDir(const fs::path& path, bool resume, const Json& resolved_config,
               const ResumeRules& rules)
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
      check_config(resolved_config, rules);
      check_inputs(rules);
    }
    write_file_atomically(config, dump_json_pretty(resolved_config));
    const Json inputs = rules.inputs.to_json();
    if (!inputs.empty()) {
      write_file_atomically(file(kInputs),
                            dump_json_pretty({{"version", program_version()}, {"inputs", inputs}}));
    }
    log::open_file(file("log.txt"));
  } catch (...) {
    ::close(lock_fd_);
    throw;
  }
}

void RunDir::check_config(const Json& resolved_config, const ResumeRules& rules) const {
  std::vector<std::string> ignored = rules.may_change;
  ignored.insert(ignored.end(), rules.allow.begin(), rules.allow.end());
  ignored.push_back("resume");
  const auto different =
      first_difference(resolved_config, read_json_file(file("config.json")), "", ignored);
  if (different.path.empty()) return;
  throw InputError(fmt::format(
      "{0}: cannot resume, \"{1}\" differs from the run's config: expected {2}, got {3} (--set "
      "'resume.allow=[\"{1}\"]' takes it)",
      path_.string(), different.path, dump_json(different.before), dump_json(different.now)));
}

void RunDir::check_inputs(const ResumeRules& rules) const {
  const Json now = rules.inputs.to_json();
  if (now.empty()) return;
  if (!fs::exists(file(kInputs))) {
    log::warn(
        "{} is a run without fingerprints of its inputs: it cannot be seen whether they are the "
        "same",
        path_.string());
    return;
  }
  const Json saved = read_json_file(file(kInputs));
  const std::string where = file(kInputs).string();
  const Json before = get_field<Json>(saved, "inputs", where);
  Json all = before;  // a name that is gone differs as well
  all.update(now);
  for (const auto& [name, any] : all.items()) {
    const Json was = before.value(name, Json()), input = now.value(name, Json());
    if (was.is_object() && input.is_object() && was["hash"] == input["hash"]) continue;
    const std::string what = fmt::format("\"{}\" differs from the run's: expected {}, got {}", name,
                                         text_of(was), text_of(input));
    if (!is_in(rules.allow, name)) {
      throw InputError(fmt::format("{}: cannot resume, {} (--set 'resume.allow=[\"{}\"]' takes it)",
                                   path_.string(), what, name));
    }
    log::warn("{}: allowed, {}", path_.string(), what);
  }
  if (get_field<std::string>(saved, "version", where) != program_version()) {
    log::info("{}: begun by another version of the program", path_.string());
  }
}

RunDir::~RunDir() {
  log::close_file();
  std::error_code ignored;
  if (!resumed_ && holds_nothing_but_its_start()) {
    fs::remove(file("config.json"), ignored);
    fs::remove(file(kInputs), ignored);
  }
  ::close(lock_fd_);
}

bool RunDir::holds_nothing_but_its_start() const {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(path_, error)) {
    const std::string name = entry.path().filename();
    if (name != ".lock" && name != "config.json" && name != kInputs && name != "log.txt") {
      return false;
    }
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
