#include "trainer/search/aflow.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "trainer/search/weights.h"

namespace weft {

namespace {

struct TopMean {
  double value = 0;
  double variance = 0;
};

TopMean top_mean(std::span<const RoundScores> rounds, size_t top) {
  std::vector<double> means;
  for (const auto& round : rounds) means.push_back(round.mean);
  TopMean out;
  const auto best = top_indices(means, top);
  const auto count = static_cast<double>(best.size());
  for (const size_t i : best) {
    out.value += means[i] / count;
    out.variance += std::pow(rounds[i].standard_deviation / count, 2);
  }
  return out;
}

}  // namespace

void AflowOptions::validate() const {
  require_at_least("rounds", rounds, 0);
  require_at_least("sample", sample, 1);
  require_share("lambda", lambda);
  require_at_least("convergence_rounds", convergence_rounds, 1);
  require_at_least("convergence_top", convergence_top, 1);
  require_at_least("convergence_z", convergence_z, 0);
}

std::vector<double> aflow_selection_probabilities(std::span<const double> scores,
                                                  const AflowOptions& options) {
  std::vector<double> logits;
  for (const double s : scores) logits.push_back(options.alpha * options.score_scale * s);
  auto probabilities = normalize_log_weights(logits);
  const double uniform = 1.0 / static_cast<double>(scores.size());
  for (double& p : probabilities) p = options.lambda * uniform + (1 - options.lambda) * p;
  return probabilities;
}

std::vector<size_t> aflow_candidates(std::span<const double> means, int64_t sample) {
  std::vector<size_t> candidates = {0};
  for (const size_t i : top_indices(means, means.size())) {
    if (static_cast<int64_t>(candidates.size()) >= sample) break;
    if (i != 0) candidates.push_back(i);
  }
  return candidates;
}

bool aflow_converged(std::span<const RoundScores> rounds, const AflowOptions& options) {
  const auto top = static_cast<size_t>(options.convergence_top);
  const auto needed = static_cast<size_t>(options.convergence_rounds);
  if (rounds.size() < top + needed) return false;
  for (size_t back = 0; back < needed; ++back) {
    const TopMean now = top_mean(rounds.first(rounds.size() - back), top);
    const TopMean before = top_mean(rounds.first(rounds.size() - back - 1), top);
    const double band = options.convergence_z * std::sqrt(now.variance + before.variance);
    if (std::abs(now.value - before.value) > band) return false;
  }
  return true;
}

}  // namespace weft
