#include "base/run_dir.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"

namespace weft {
namespace {

struct Difference {
  std::string path;  ///< key path; empty: none
  std::string now, before;
};

bool is_in(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

const Json* find(const Json& object, const std::string& key) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  return object.is_object() && found != object.end() ? &*found : nullptr;
}

std::string text_of(const Json* value) { return value ? dump_json(*value) : "none"; }

/// One string and a list of it alone are the same value.
bool is_same(const Json& a, const Json& b) {
  const auto holds = [](const Json& list, const Json& text) {
    return list.is_array() && list.size() == 1 && text.is_string() && list[0] == text;
  };
  return a == b || holds(a, b) || holds(b, a);
}

/// The first key path at which two configs differ; null: none there. What `before` lacks is as in
/// `defaults`.
Difference first_difference(const Json* now, const Json* before, const Json* defaults,
                            const std::string& path, const std::vector<std::string>& ignored) {
  if (is_in(ignored, path)) return {};
  if (!before) before = defaults;
  if (!now || !before || !now->is_object() || !before->is_object()) {
    const bool same = now && before && is_same(*now, *before);
    return same ? Difference{} : Difference{path, text_of(now), text_of(before)};
  }
  std::set<std::string> keys;
  for (const auto& object : {now, before}) {
    for (const auto& [key, any] : object->items()) keys.insert(key);
  }
  for (const std::string& key : keys) {
    const std::string child = path.empty() ? key : path + "." + key;
    Difference different =
        first_difference(find(*now, key), find(*before, key),
                         defaults ? find(*defaults, key) : nullptr, child, ignored);
    if (!different.path.empty()) return different;
  }
  return {};
}

/// An input of inputs.json.
std::string input_text(const Json* input) {
  if (!input) return "none";
  const auto field = [&](const char* key) {
    const Json* value = find(*input, key);
    return value && value->is_string() ? value->get<std::string>() : text_of(value);
  };
  return field("hash") + " (" + field("source") + ")";
}

Json read_object(const fs::path& path) {
  Json json = read_json_file(path);
  if (!json.is_object()) {
    throw InputError(path.string() + ": expected an object, got " + dump_json(json));
  }
  return json;
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
  made_ = fs::create_directories(path_, error);
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
    log::open_file(file("log.txt"));
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
  } catch (...) {
    log::close_file();
    if (made_) leave_no_trace();
    ::close(lock_fd_);
    throw;
  }
}

void RunDir::check_config(const Json& resolved_config, const ResumeRules& rules) const {
  std::vector<std::string> ignored = rules.may_change;
  ignored.insert(ignored.end(), rules.allow.begin(), rules.allow.end());
  ignored.push_back("resume");
  const Json before = read_object(file("config.json"));
  const auto different = first_difference(&resolved_config, &before, &rules.defaults, "", ignored);
  if (different.path.empty()) return;
  throw InputError(fmt::format(
      "{0}: cannot resume, \"{1}\" differs from the run's config: expected {2}, got {3} (--set "
      "'resume.allow=[\"{1}\"]' takes it)",
      path_.string(), different.path, different.before, different.now));
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
  const Json saved = read_object(file(kInputs));
  const std::string where = file(kInputs).string();
  const Json before = get_field<Json>(saved, "inputs", where);
  const auto version = get_field<std::string>(saved, "version", where);
  if (!before.is_object()) throw InputError(where + ": inputs: expected an object");
  Json all = before;  // a name that is gone differs as well
  all.update(now);
  for (const auto& [name, any] : all.items()) {
    const Json *was = find(before, name), *input = find(now, name);
    const Json* hash = was ? find(*was, "hash") : nullptr;
    if (hash && input && *hash == input->at("hash")) continue;
    const std::string what = fmt::format("\"{}\" differs from the run's: expected {}, got {}", name,
                                         input_text(was), input_text(input));
    if (!is_in(rules.allow, name)) {
      throw InputError(fmt::format("{}: cannot resume, {} (--set 'resume.allow=[\"{}\"]' takes it)",
                                   path_.string(), what, name));
    }
    log::warn("{}: allowed, {}", path_.string(), what);
  }
  if (version != program_version()) {
    log::info("{}: last gone on with by another version of the program, {}; this is {}",
              path_.string(), version, program_version());
  }
}

// log.txt stays open: the error that ended the run is logged after it.
RunDir::~RunDir() {
  if (!resumed_ && holds_nothing_but_its_start()) leave_no_trace();
  ::close(lock_fd_);
}

void RunDir::leave_no_trace() const {
  std::error_code ignored;
  fs::remove(file("config.json"), ignored);
  fs::remove(file(kInputs), ignored);
  if (!made_) return;
  log::close_file();
  fs::remove(file("log.txt"), ignored);
  fs::remove(file(".lock"), ignored);
  fs::remove(path_, ignored);
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
