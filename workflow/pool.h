/// Task-level memory for serving: the best stored workflows, and the way from a new query to the
/// stored query nearest to it.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "base/word_vectors.h"
#include "data/trajectory_store.h"

namespace weft {

/// Cosine from which a stored workflow answers another query: serving and evaluation.
constexpr double kPoolMinSimilarity = 0.8;

/// Routing by cosine over tf-idf of the stored queries' words (WordVectors). Immutable after
/// construction; any thread.
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
  std::vector<Entry> entries_;
  WordVectors words_;
  std::vector<WordVector> vectors_;  ///< [entries]
};

}  // namespace weft
