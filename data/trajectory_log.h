/// Adding to a trajectory store beside other work, which neither waits for the disk nor fails by
/// it.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "data/trajectory_store.h"

namespace weft {

/// A thread of its own writes. What cannot be stored (a full disk, a store that another process
/// holds locked) is kept, said once in the log and tried again with the rows that follow and at the
/// end. Methods may be called from any thread.
class TrajectoryLog {
 public:
  enum class Repeats {
    kStored,   ///< each row is a row of its own
    kLeftOut,  ///< TrajectoryStore::insert_missing
  };
  struct Options {
    Repeats repeats = Repeats::kStored;
    int64_t max_waiting_bytes = 64 << 20;  ///< of text; rows beyond it are lost
    int lock_wait_ms = 2000;               ///< of one try, for another process
  };
  struct Counts {
    int64_t stored = 0;   ///< rows that are in the store, those left out as repeats among them
    int64_t waiting = 0;  ///< to be tried, or tried again
    int64_t lost = 0;     ///< given up, since too many wait
  };

  /// The store is opened, or made, with the first row. Throws InputError where the file holds
  /// anything else than a store, and where its folder is missing.
  TrajectoryLog(std::filesystem::path path, Options options);

  /// Tries what waits for the last time, and says how many rows are not in the store.
  ~TrajectoryLog();
  TrajectoryLog(const TrajectoryLog&) = delete;
  TrajectoryLog& operator=(const TrajectoryLog&) = delete;

  /// Returns at once.
  void add(std::vector<Trajectory> rows);

  /// Returns when everything added before has been tried.
  void flush();

  Counts counts() const;

 private:
  void work();
  std::string try_to_store(const std::vector<Trajectory>& rows);
  void settle(std::vector<Trajectory> rows, const std::string& failure);

  const std::filesystem::path path_;
  const Options options_;
  std::unique_ptr<TrajectoryStore> store_;  ///< the thread's alone
  mutable std::mutex mutex_;
  std::condition_variable wake_, tried_;
  std::vector<Trajectory> waiting_;
  int64_t waiting_bytes_ = 0;
  int64_t num_under_way_ = 0;  ///< rows of the try under way
  int64_t stored_ = 0, lost_ = 0;
  int64_t asked_ = 0, done_ = 0;  ///< tries
  std::string failure_;           ///< of the last try; empty: it succeeded
  bool is_full_ = false;          ///< rows are being lost
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace weft
