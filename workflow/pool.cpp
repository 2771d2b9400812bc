#include "workflow/pool.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <utility>

namespace weft {
namespace {

std::map<std::string, int> count_words(const std::string& text) {
  std::map<std::string, int> counts;
  std::string word;
  for (const char c : text + " ") {
    if (std::isalnum(static_cast<unsigned char>(c)) || c == '_') {
      word += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    } else if (!word.empty()) {
      ++counts[word];
      word.clear();
    }
  }
  return counts;
}

double dot(const std::map<std::string, double>& a, const std::map<std::string, double>& b) {
  double sum = 0;
  for (const auto& [word, weight] : a) {
    const auto found = b.find(word);
    if (found != b.end()) sum += weight * found->second;
  }
  return sum;
}

}  // namespace

WorkflowPool::WorkflowPool(const std::vector<Trajectory>& trajectories, double min_reward) {
  std::map<std::string, size_t> entry_of_task;
  for (const auto& trajectory : trajectories) {
    if (!trajectory.valid || !has_reward(trajectory)) continue;
    if (trajectory.reward < min_reward) continue;
    const auto [found, is_new] = entry_of_task.emplace(trajectory.task_id, entries_.size());
    if (is_new) {
      entries_.push_back({trajectory.task_id, trajectory.prompt, trajectory});
      continue;
    }
    Entry& entry = entries_[found->second];
    if (trajectory.reward > entry.best.reward) entry.best = trajectory;
  }
  embed_entries();
}

void WorkflowPool::embed_entries() {
  for (const auto& entry : entries_) {
    for (const auto& [word, count] : count_words(entry.query)) idf_[word] += 1;
  }
  const auto num_entries = static_cast<double>(entries_.size());
  for (auto& [word, weight] : idf_) weight = std::log((1 + num_entries) / (1 + weight)) + 1;
  for (const auto& entry : entries_) vectors_.push_back(embed(entry.query));
}

WorkflowPool::Vector WorkflowPool::embed(const std::string& text) const {
  Vector vector;
  const double unseen = std::log(1 + static_cast<double>(entries_.size())) + 1;
  double squares = 0;
  for (const auto& [word, count] : count_words(text)) {
    const auto found = idf_.find(word);
    const double weight =
        (1 + std::log(static_cast<double>(count))) * (found == idf_.end() ? unseen : found->second);
    vector[word] = weight;
    squares += weight * weight;
  }
  for (auto& [word, weight] : vector) weight /= std::sqrt(squares);
  return vector;
}

std::optional<WorkflowPool::Route> WorkflowPool::route(const std::string& query) const {
  const Vector vector = embed(query);
  Route best;
  for (size_t i = 0; i < entries_.size(); ++i) {
    const double similarity = std::min(1.0, dot(vector, vectors_[i]));
    if (similarity > best.similarity) best = {&entries_[i], similarity};
  }
  if (!best.entry) return std::nullopt;
  return best;
}

}  // namespace weft
