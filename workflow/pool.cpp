#include "workflow/pool.h"

#include <map>

namespace weft {
namespace {

/// Valid and rewarded ones, the best of each task, in the order of the tasks.
std::vector<WorkflowPool::Entry> best_of_tasks(const std::vector<Trajectory>& trajectories,
                                               double min_reward) {
  std::vector<WorkflowPool::Entry> entries;
  std::map<std::string, size_t> entry_of_task;
  for (const auto& trajectory : trajectories) {
    if (!trajectory.valid || !has_reward(trajectory)) continue;
    if (trajectory.reward < min_reward) continue;
    const auto [found, is_new] = entry_of_task.emplace(trajectory.task_id, entries.size());
    if (is_new) {
      entries.push_back({trajectory.task_id, trajectory.prompt, trajectory});
      continue;
    }
    WorkflowPool::Entry& entry = entries[found->second];
    if (trajectory.reward > entry.best.reward) entry.best = trajectory;
  }
  return entries;
}

std::vector<std::string> queries_of(const std::vector<WorkflowPool::Entry>& entries) {
  std::vector<std::string> queries;
  for (const auto& entry : entries) queries.push_back(entry.query);
  return queries;
}

}  // namespace

WorkflowPool::WorkflowPool(const std::vector<Trajectory>& trajectories, double min_reward)
    : entries_(best_of_tasks(trajectories, min_reward)), words_(queries_of(entries_)) {
  for (const auto& entry : entries_) vectors_.push_back(words_.embed(entry.query));
}

std::optional<WorkflowPool::Route> WorkflowPool::route(const std::string& query) const {
  const WordVector vector = words_.embed(query);
  Route best;
  for (size_t i = 0; i < entries_.size(); ++i) {
    const double similarity = cosine(vector, vectors_[i]);
    if (similarity > best.similarity) best = {&entries_[i], similarity};
  }
  if (!best.entry) return std::nullopt;
  return best;
}

}  // namespace weft
