#include "trainer/learn/grpo/advantages.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <stdexcept>

namespace weft {
namespace {

constexpr double kStdEpsilon = 1e-6;
constexpr double kEqualRewards = 1e-9;

using Members = std::map<uint64_t, std::vector<size_t>>;

Members members_of(std::span<const double> rewards, std::span<const uint64_t> group) {
  if (rewards.size() != group.size()) {
    throw std::invalid_argument("group_advantages: as many rewards as group ids are needed");
  }
  Members members;
  for (size_t i = 0; i < rewards.size(); ++i) {
    if (!std::isfinite(rewards[i])) {
      throw std::invalid_argument("group_advantages: a reward is not finite");
    }
    members[group[i]].push_back(i);
  }
  return members;
}

bool are_equal(std::span<const double> rewards, const std::vector<size_t>& indices) {
  const auto less = [&](size_t a, size_t b) { return rewards[a] < rewards[b]; };
  const auto [low, high] = std::minmax_element(indices.begin(), indices.end(), less);
  return rewards[*high] - rewards[*low] <= kEqualRewards;
}

double inverse_deviation(double squares, double n, bool population_std) {
  return 1 / (std::sqrt(squares / (population_std ? n : n - 1)) + kStdEpsilon);
}

void group_values(AdvantageKind kind, bool population_std, const std::vector<size_t>& members,
                  std::span<const double> rewards, std::vector<double>& out) {
  const double n = static_cast<double>(members.size());
  double mean = 0;
  for (size_t i : members) mean += rewards[i] / n;
  double squares = 0;
  for (size_t i : members) squares += (rewards[i] - mean) * (rewards[i] - mean);
  double scale = 1;
  if (kind == AdvantageKind::kNormalized) {
    scale = inverse_deviation(squares, n, population_std);
  } else if (kind == AdvantageKind::kLeaveOneOut) {
    scale = n / (n - 1);
  }
  for (size_t i : members) out[i] = (rewards[i] - mean) * scale;
}

/// Divides by the deviation of the batch, whose mean is 0 since that of each group is.
void whiten(std::vector<double>& values, bool population_std) {
  double squares = 0;
  for (const double x : values) squares += x * x;
  if (squares == 0) return;
  const double scale =
      inverse_deviation(squares, static_cast<double>(values.size()), population_std);
  for (double& x : values) x *= scale;
}

}  // namespace

EnumTable<AdvantageKind> enum_table(AdvantageKind) {
  return {{AdvantageKind::kNormalized, "normalized"},
          {AdvantageKind::kCentered, "centered"},
          {AdvantageKind::kLeaveOneOut, "leave_one_out"},
          {AdvantageKind::kWhitened, "whitened"}};
}

Advantages group_advantages(std::span<const double> rewards, std::span<const uint64_t> group,
                            AdvantageKind kind, bool population_std) {
  const Members members = members_of(rewards, group);
  Advantages result;
  result.values.assign(rewards.size(), 0.0);
  result.num_groups = static_cast<int64_t>(members.size());
  for (const auto& [id, indices] : members) {
    if (are_equal(rewards, indices)) {
      ++result.zero_std_groups;
    } else {
      group_values(kind, population_std, indices, rewards, result.values);
    }
  }
  if (kind == AdvantageKind::kWhitened) whiten(result.values, population_std);
  return result;
}

std::set<uint64_t> equal_groups(std::span<const double> rewards, std::span<const uint64_t> group) {
  std::set<uint64_t> result;
  for (const auto& [id, indices] : members_of(rewards, group)) {
    if (are_equal(rewards, indices)) result.insert(id);
  }
  return result;
}

double overlong_penalty(int64_t num_tokens, int64_t max_tokens, double buffer, double factor) {
  const double beyond = static_cast<double>(num_tokens - max_tokens) + buffer;
  return -factor * std::clamp(beyond / buffer, 0.0, 1.0);
}

}  // namespace weft
