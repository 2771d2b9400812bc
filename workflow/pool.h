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

/// Cosine from which a stored workflow answers another query: serving and evaluation.
constexpr double kPoolMinSimilarity = 0.8;

/// Routing by cosine over tf-idf of words (runs of ASCII letters, digits and _, case folded):
/// tf = 1 + ln(count), idf = ln((1 + N) / (1 + df)) + 1. Immutable after construction; any thread.
class WorkflowPool {
 public:
  struct Entry {
    std::string task_id;
    std::string query;  ///< Trajectory::prompt, that is MetaAgent::query of its task
    Trajectory best;    ///< valid, of the highest reward for this task; the first of equals
  };
  struct Route {
    const Entry* entry = nullptr;  ///< owned by the pool
    double similarity = 0;         ///< cosine in [0, 1]
  };

  /// Valid trajectories with reward >= min_reward, the best of each task.
  explicit WorkflowPool(const std::vector<Trajectory>& trajectories, double min_reward = 0);

  /// The stored query nearest to `query`, which is written as the stored ones are
  /// (MetaAgent::query); nothing when the pool is empty or no word is shared.
  std::optional<Route> route(const std::string& query) const;

  const std::vector<Entry>& entries() const { return entries_; }

 private:
  using Vector = std::map<std::string, double>;
  Vector embed(const std::string& text) const;
  void embed_entries();

  std::vector<Entry> entries_;
  std::vector<Vector> vectors_;  ///< [entries] of length 1
  std::map<std::string, double> idf_;
};

}  // namespace weft
