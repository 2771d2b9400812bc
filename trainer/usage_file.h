/// usage.json of a run: what its models computed, over every process that worked on it.
#pragma once

#include <condition_variable>
#include <filesystem>
#include <functional>
#include <mutex>
#include <thread>

#include "base/json.h"

namespace weft {

/// Adds the counters of this process to those that earlier ones left in the file. It is written
/// every few seconds, so that a killed process is missing only its last ones, and at the end,
/// however the run ends. A process that computed nothing, such as one that was refused the folder,
/// leaves the file as it is.
class UsageFile {
 public:
  /// `counters` gives a flat object of integers that only grow; called on a thread of this object.
  /// It must outlive the object.
  UsageFile(std::filesystem::path path, std::function<Json()> counters, double every_s = 5);

  /// Writes for the last time. A failure is a warning in the log: the run's own error matters more.
  ~UsageFile();
  UsageFile(const UsageFile&) = delete;
  UsageFile& operator=(const UsageFile&) = delete;

 private:
  void work(double every_s);
  void write();

  const std::filesystem::path path_;
  const std::function<Json()> counters_;
  Json before_;  ///< of earlier processes; null until the first write, when the folder is ours
  Json written_;
  std::mutex mutex_;  ///< of stopping_; the rest is the thread's alone
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace weft
