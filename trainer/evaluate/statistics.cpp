#include "trainer/evaluate/statistics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/error.h"
#include "base/rng.h"

namespace weft {

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

/// Linear interpolation between order statistics (Hyndman and Fan's type 7).
double quantile(const std::vector<double>& sorted, double p) {
  const double position = p * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(position);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (position - static_cast<double>(below)) * (sorted[above] - sorted[below]);
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
  options.validate();
  std::vector<double> present;
  for (const double value : values) {
    if (!std::isnan(value)) present.push_back(value);
  }
  const size_t n = present.size();
  if (n == 0) return {0, kNaN, {kNaN, kNaN}};
  Rng rng(options.seed, /*stream=*/0x626f6f74);
  std::vector<double> means(static_cast<size_t>(options.resamples));
  for (double& mean : means) {
    double sum = 0;
    for (size_t i = 0; i < n; ++i) sum += present[rng.below(n)];
    mean = sum / static_cast<double>(n);
  }
  std::sort(means.begin(), means.end());
  const double total = std::accumulate(present.begin(), present.end(), 0.0);
  const double tail = (1 - options.confidence) / 2;
  return {static_cast<int64_t>(n),
          total / static_cast<double>(n),
          {quantile(means, tail), quantile(means, 1 - tail)}};
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

}  // namespace weft
