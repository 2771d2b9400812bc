#include "trainer/evaluate/statistics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

#include "base/error.h"
#include "base/rng.h"

namespace weft {

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

/// A group of values that is drawn as one.
struct Cluster {
  double sum = 0;
  int64_t count = 0;
};

/// Linear interpolation between order statistics (Hyndman and Fan's type 7).
double quantile(const std::vector<double>& sorted, double p) {
  const double position = p * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(position);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (position - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

Estimate bootstrap_clusters(const std::vector<Cluster>& clusters, const BootstrapOptions& options) {
  options.validate();
  Cluster all;
  for (const Cluster& cluster : clusters) {
    all.sum += cluster.sum;
    all.count += cluster.count;
  }
  if (all.count == 0) return {0, kNaN, {kNaN, kNaN}};
  Rng rng(options.seed, /*stream=*/0x626f6f74);
  std::vector<double> means(static_cast<size_t>(options.resamples));
  for (double& mean : means) {
    Cluster drawn;
    for (size_t i = 0; i < clusters.size(); ++i) {
      const Cluster& pick = clusters[rng.below(clusters.size())];
      drawn.sum += pick.sum;
      drawn.count += pick.count;
    }
    mean = drawn.sum / static_cast<double>(drawn.count);
  }
  std::sort(means.begin(), means.end());
  const double tail = (1 - options.confidence) / 2;
  return {all.count,
          all.sum / static_cast<double>(all.count),
          {quantile(means, tail), quantile(means, 1 - tail)}};
}

using PairKey = std::pair<std::string, uint64_t>;  // prompt, seed

/// Mean over the samples of each (prompt, seed); pairs whose samples are all missing are absent.
std::map<PairKey, double> mean_per_pair(const std::vector<SeededValue>& values) {
  std::map<PairKey, Cluster> sums;
  for (const SeededValue& value : values) {
    if (std::isnan(value.value)) continue;
    Cluster& cluster = sums[{value.prompt, value.seed}];
    cluster.sum += value.value;
    ++cluster.count;
  }
  std::map<PairKey, double> means;
  for (const auto& [key, cluster] : sums) {
    means[key] = cluster.sum / static_cast<double>(cluster.count);
  }
  return means;
}

}  // namespace

void BootstrapOptions::validate() const {
  if (resamples < 1) {
    throw InputError(fmt::format("resamples: expected at least 1, got {}", resamples));
  }
  if (!(confidence > 0 && confidence < 1)) {
    throw InputError(fmt::format("confidence: expected between 0 and 1, got {}", confidence));
  }
}

Estimate bootstrap_mean(std::span<const double> values, const BootstrapOptions& options) {
  std::vector<Cluster> clusters;
  for (const double value : values) {
    if (!std::isnan(value)) clusters.push_back({value, 1});
  }
  return bootstrap_clusters(clusters, options);
}

Estimate bootstrap_paired_difference(std::span<const double> before, std::span<const double> after,
                                     const BootstrapOptions& options) {
  if (before.size() != after.size()) {
    throw InputError(
        fmt::format("paired difference: expected as many values after as before ({}), got {}",
                    before.size(), after.size()));
  }
  std::vector<double> differences(before.size());
  for (size_t i = 0; i < before.size(); ++i) differences[i] = after[i] - before[i];
  return bootstrap_mean(differences, options);
}

Estimate pooled_paired_difference(const std::vector<SeededValue>& before,
                                  const std::vector<SeededValue>& after, ResampleUnit unit,
                                  const BootstrapOptions& options) {
  const auto means_before = mean_per_pair(before);
  std::vector<Cluster> clusters;
  std::string open_prompt;  // the map is ordered by prompt, so a prompt's pairs are neighbours
  for (const auto& [key, value] : mean_per_pair(after)) {
    const auto found = means_before.find(key);
    if (found == means_before.end()) continue;
    if (clusters.empty() || unit == ResampleUnit::kPair || key.first != open_prompt) {
      clusters.emplace_back();
      open_prompt = key.first;
    }
    clusters.back().sum += value - found->second;
    ++clusters.back().count;
  }
  return bootstrap_clusters(clusters, options);
}

double pass_at_k(int64_t n, int64_t c, int64_t k) {
  if (c < 0 || c > n || k < 1 || k > n) {
    throw InputError(
        fmt::format("pass@k: expected 0 <= c <= n and 1 <= k <= n, got n={} c={} k={}", n, c, k));
  }
  if (n - c < k) return 1;
  double all_wrong = 1;
  for (int64_t i = n - c + 1; i <= n; ++i) {
    all_wrong *= 1 - static_cast<double>(k) / static_cast<double>(i);
  }
  return 1 - all_wrong;
}

}  // namespace weft
