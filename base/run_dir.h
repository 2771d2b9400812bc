/// The one folder a run writes under: locked while the run lives, with its resolved config and log.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"

namespace weft {

class RunDir {
 public:
  /// Makes or opens the folder, locks it, writes config.json and opens log.txt.
  /// Throws InputError when another live run holds it, when it holds a run and `resume` is false,
  /// when `resume` is true and it holds none, or when a resumed run's config differs in more than
  /// the keys in `may_change`.
  RunDir(const std::filesystem::path& path, bool resume, const Json& resolved_config,
         const std::vector<std::string>& may_change = {});
  /// A fresh run that has left nothing but its config and log is no run: config.json is taken away,
  /// so that the corrected command is not refused.
  ~RunDir();
  RunDir(const RunDir&) = delete;
  RunDir& operator=(const RunDir&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path file(const std::string& name) const { return path_ / name; }
  bool resumed() const { return resumed_; }

 private:
  void lock();
  bool holds_nothing_but_its_start() const;
  std::filesystem::path path_;
  bool resumed_ = false;
  int lock_fd_ = -1;
};

}  // namespace weft
