/// The one folder a run writes under: locked while the run lives, with its resolved config and log.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/run_inputs.h"

namespace weft {

/// What must be as it was for a run to go on, and what need not be.
struct ResumeRules {
  std::vector<std::string> may_change;  ///< config keys on which no result depends
  RunInputs inputs;                     ///< what else the results depend on
  std::vector<std::string> allow;       ///< ResumeOptions::allow
  Json defaults = Json::object();       ///< the program's config with no override
};

class RunDir {
 public:
  /// Makes or opens the folder, locks it, writes config.json and opens log.txt.
  /// Throws InputError when another live run holds it, when it holds a run and `resume` is false,
  /// when `resume` is true and it holds none, or when a resumed run's config differs in more than
  /// the keys in `may_change`: a value that is another, a key that it has and `resolved_config` has
  /// not, or one that it lacks.
  RunDir(const std::filesystem::path& path, bool resume, const Json& resolved_config,
         const std::vector<std::string>& may_change = {});
  /// Likewise; a key that the run's config lacks, as one of another version does, counts as its
  /// value in rules.defaults. Keeps the fingerprints of rules.inputs in inputs.json and refuses a
  /// resumed run whose inputs differ from them, naming the first that does with what it was and is.
  /// What rules.allow names is taken with a warning, and so is a run without inputs.json. Another
  /// version of the program is said in the log, with both names.
  RunDir(const std::filesystem::path& path, bool resume, const Json& resolved_config,
         const ResumeRules& rules);
  /// A fresh run that has left nothing but its config and log is no run: config.json is taken away,
  /// so that the corrected command is not refused, and the folder where it was not there before.
  ~RunDir();
  RunDir(const RunDir&) = delete;
  RunDir& operator=(const RunDir&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path file(const std::string& name) const { return path_ / name; }
  bool resumed() const { return resumed_; }

 private:
  void lock();
  void check_config(const Json& resolved_config, const ResumeRules& rules) const;
  void check_inputs(const ResumeRules& rules) const;
  bool holds_nothing_but_its_start() const;
  void leave_no_trace() const;
  std::filesystem::path path_;
  bool made_ = false;  ///< the folder was not there
  bool resumed_ = false;
  int lock_fd_ = -1;
};

}  // namespace weft
