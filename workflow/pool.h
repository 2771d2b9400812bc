/// Task-level memory for serving: the best stored workflows, and the way from a new query to the
/// stored query nearest to it.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "data/trajectory_store.h"

namespace weft {

/// Routing by cosine over tf-idf of words: tf = 1 + ln(count), idf = ln((1 + N) / (1 + df)) + 1.
/// Immutable after construction; any thread.
class WorkflowPool {
 public:
  struct Entry {
    std::string task_id;
    std::string query;
    Trajectory best;  ///< valid, of the highest reward for this task; ties: the oldest
  };
  struct Route {
    const Entry* entry = nullptr;  ///< owned by the pool
    double similarity = 0;         ///< cosine in [0, 1]
  };

  /// Valid trajectories with reward >= min_reward, the best of each task.
  explicit WorkflowPool(const std::vector<Trajectory>& trajectories, double min_reward = 0);

  /// The nearest stored query; nothing when the pool is empty or no word is shared.
  std::optional<Route> route(const std::string& query) const;

  /// The code with the highest mean reward over at least `min_tasks` tasks: one workflow for every
  /// query, what a task-level method gives. Ties: more tasks, then the earlier one. Null when
  /// none has that many.
  const Trajectory* best_fixed(int min_tasks = 1) const;

  const std::vector<Entry>& entries() const { return entries_; }

 private:
  struct Fixed {
    Trajectory trajectory;
    double mean_reward = 0;
    int num_tasks = 0;
  };
  using Vector = std::map<std::string, double>;
  Vector embed(const std::string& text) const;
  void embed_entries();

  std::vector<Entry> entries_;
  std::vector<Vector> vectors_;  ///< [entries] of length 1
  std::map<std::string, double> idf_;
  std::vector<Fixed> fixed_;  ///< best first
};

}  // namespace weft
