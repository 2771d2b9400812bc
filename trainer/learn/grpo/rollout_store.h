/// The rollouts of a run as workflows of a trajectory store.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "data/task.h"
#include "data/trajectory_log.h"

namespace weft {

/// Takes rows of rollouts.jsonl (data/episode.h). A rollout that is there is not stored again; one
/// of which the policy gave no completion is no workflow. A disk that is full, or a store that is
/// locked, is a warning: the run goes on.
class RolloutStore {
 public:
  /// What every row has in common.
  struct Source {
    std::string origin;         ///< Trajectory::origin: the run
    std::string model_version;  ///< the worker's name
    std::function<std::string(const Task&)>
        query;  ///< Trajectory::prompt; asked in the constructor
  };

  /// Throws as TrajectoryLog does.
  RolloutStore(const std::filesystem::path& store, const Source& source,
               const std::vector<Task>& tasks);

  /// All rows of one step, in their order.
  void add(int64_t step, const std::vector<Json>& rows);

  /// Those of the steps up to `last_step` in a run's file, where there is one. A step whose rows
  /// this version cannot read is a warning.
  void add_missing(const std::filesystem::path& rollouts, int64_t last_step);

  /// Waits until all have been tried, and returns how many are not stored.
  int64_t num_missing();

 private:
  const std::string origin_, model_version_;
  std::map<std::string, std::string> query_of_;  ///< by task id
  TrajectoryLog log_;
};

}  // namespace weft
