#include "trainer/evaluate/statistics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <optional>

#include "base/check.h"
#include "base/error.h"
#include "base/machine.h"
#include "base/rng.h"
#include "base/stop.h"

namespace weft {

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

double normal_cdf(double z) { return std::erfc(-z / std::numbers::sqrt2) / 2; }

/// By bisection, p in (0, 1); within 1e-14 for the p of confidence levels.
double normal_quantile(double p) {
  double low = -40, high = 40;
  for (int i = 0; i < 100; ++i) {
    const double middle = (low + high) / 2;
    (normal_cdf(middle) < p ? low : high) = middle;
  }
  return (low + high) / 2;
}

double upper_z(const BootstrapOptions& options) {
  return normal_quantile((1 + options.confidence) / 2);
}

/// Wilson's limits for a proportion; Newcombe 1998, method 3.
Interval wilson(double p, int64_t n, double z) {
  const auto trials = static_cast<double>(n);
  const double centre = 2 * trials * p + z * z;
  const double half = z * std::sqrt(z * z + 4 * trials * p * (1 - p));
  const double scale = 2 * (trials + z * z);
  return {p <= 0 ? 0 : (centre - half) / scale, p >= 1 ? 1 : (centre + half) / scale};
}

/// Counts of the four outcomes of a pair of 0/1 values.
struct PairCounts {
  double both = 0, only_a = 0, only_b = 0, neither = 0;
};

/// Correlation of the two values with the continuity correction of Newcombe's method 10.
double corrected_phi(const PairCounts& c, double n) {
  const double margins =
      (c.both + c.only_a) * (c.only_b + c.neither) * (c.both + c.only_b) * (c.only_a + c.neither);
  if (margins <= 0) return 0;
  double product = c.both * c.neither - c.only_a * c.only_b;
  if (product > 0) product = std::max(product - n / 2, 0.0);
  return product / std::sqrt(margins);
}

/// Newcombe's method 10 for mean(a) - mean(b).
Interval newcombe(const PairCounts& c, int64_t num_pairs, double z) {
  const auto n = static_cast<double>(num_pairs);
  const double a = (c.both + c.only_a) / n, b = (c.both + c.only_b) / n;
  const Interval of_a = wilson(a, num_pairs, z), of_b = wilson(b, num_pairs, z);
  const double phi = corrected_phi(c, n);
  const auto reach = [phi](double x, double y) {
    return std::sqrt(std::max(x * x - 2 * phi * x * y + y * y, 0.0));
  };
  return {a - b - reach(a - of_a.low, of_b.high - b), a - b + reach(of_a.high - a, b - of_b.low)};
}

/// The values of one task as the mean of all needs them.
struct Cluster {
  double sum = 0;
  double count = 0;
};

double mean_of(const std::vector<Cluster>& clusters) {
  Cluster all;
  for (const Cluster& c : clusters) {
    all.sum += c.sum;
    all.count += c.count;
  }
  return all.sum / all.count;
}

/// Whether the tasks' means are one number, up to rounding.
bool all_equal(const std::vector<Cluster>& clusters) {
  const auto mean = [](const Cluster& c) { return c.sum / c.count; };
  const double first = mean(clusters.front());
  return std::all_of(clusters.begin(), clusters.end(), [&](const Cluster& c) {
    return std::abs(mean(c) - first) <= 1e-12 * std::max(1.0, std::abs(first));
  });
}

std::vector<double> bootstrap_means(const std::vector<Cluster>& clusters,
                                    const BootstrapOptions& options) {
  Rng rng(options.seed, /*stream=*/0x626f6f74);
  std::vector<double> means(static_cast<size_t>(options.resamples));
  for (double& mean : means) {
    throw_if_stopped();
    Cluster all;
    for (size_t i = 0; i < clusters.size(); ++i) {
      const Cluster& drawn = clusters[rng.below(clusters.size())];
      all.sum += drawn.sum;
      all.count += drawn.count;
    }
    mean = all.sum / all.count;
  }
  std::sort(means.begin(), means.end());
  return means;
}

/// Efron and Tibshirani 1993, eq. 14.15: from the means without one task.
double acceleration(const std::vector<Cluster>& clusters) {
  Cluster all;
  for (const Cluster& c : clusters) {
    all.sum += c.sum;
    all.count += c.count;
  }
  std::vector<double> without;
  double mean = 0;
  for (const Cluster& c : clusters) {
    without.push_back((all.sum - c.sum) / (all.count - c.count));
    mean += without.back() / static_cast<double>(clusters.size());
  }
  double squares = 0, cubes = 0;
  for (const double value : without) {
    squares += (mean - value) * (mean - value);
    cubes += (mean - value) * (mean - value) * (mean - value);
  }
  return cubes / (6 * std::pow(squares, 1.5));
}

/// Linear interpolation between order statistics (Hyndman and Fan's type 7).
double quantile(const std::vector<double>& sorted, double p) {
  const double position = p * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(position);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (position - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

/// Efron and Tibshirani 1993, eq. 14.9 to 14.15, with resampled means that equal the mean counted
/// half in the bias correction. None where it is not finite. Needs values that differ.
std::optional<Interval> bca(const std::vector<Cluster>& clusters, double mean, double z,
                            const BootstrapOptions& options) {
  const std::vector<double> means = bootstrap_means(clusters, options);
  const double rounding = 1e-12 * std::max(1.0, std::abs(mean));
  const auto below = std::lower_bound(means.begin(), means.end(), mean - rounding) - means.begin();
  const auto up_to = std::upper_bound(means.begin(), means.end(), mean + rounding) - means.begin();
  const double share =
      static_cast<double>(below + up_to) / (2 * static_cast<double>(options.resamples));
  if (!(share > 0 && share < 1)) return std::nullopt;
  const double bias = normal_quantile(share), a = acceleration(clusters);
  const auto limit = [&](double tail) {
    const double shifted = bias + tail;
    return a * shifted < 1 ? quantile(means, normal_cdf(bias + shifted / (1 - a * shifted))) : kNaN;
  };
  const Interval ci = {limit(-z), limit(z)};
  if (std::isnan(ci.low) || std::isnan(ci.high)) return std::nullopt;
  return ci;
}

/// Sets the interval that stands in for BCa: what `bound` makes of the bounds, or none.
template <class Bound>
void set_bound(Estimate& estimate, const std::string& why, Interval bounds, const char* method,
               const char* meaning, Bound bound) {
  const bool known = std::isfinite(bounds.low) && std::isfinite(bounds.high);
  estimate.ci = known ? bound() : Interval{kNaN, kNaN};
  estimate.method = known ? method : "none";
  estimate.note =
      why + (known ? fmt::format(": {} values from {} to {}", meaning, bounds.low, bounds.high)
                   : ", and they have no known bounds: no interval");
}

void set_equal_bound(Estimate& estimate, double confidence, Interval bounds) {
  const std::string why = estimate.n == 1
                              ? "one task only"
                              : fmt::format("the values of all {} tasks are equal", estimate.n);
  const double share = std::pow(1 - confidence, 1 / static_cast<double>(estimate.n));
  set_bound(estimate, why, bounds, "equal_bound", "exact bound for", [&] {
    return Interval{share * estimate.mean + (1 - share) * bounds.low,
                    share * estimate.mean + (1 - share) * bounds.high};
  });
}

void set_score_bound(Estimate& estimate, const std::string& why, double z, Interval bounds) {
  set_bound(estimate, why, bounds, "score_bound", "score interval with the largest variance of",
            [&] {
              const double span = bounds.high - bounds.low;
              const double share = std::clamp((estimate.mean - bounds.low) / span, 0.0, 1.0);
              const Interval ci = wilson(share, estimate.n, z);
              return Interval{bounds.low + span * ci.low, bounds.low + span * ci.high};
            });
}

enum class Bootstrap { kBca, kPercentile };

Interval percentile(const std::vector<Cluster>& clusters, const BootstrapOptions& options) {
  const std::vector<double> means = bootstrap_means(clusters, options);
  const double tail = (1 - options.confidence) / 2;
  return {quantile(means, tail), quantile(means, 1 - tail)};
}

Estimate nothing() { return {0, kNaN, {kNaN, kNaN}, "none", "no task has a value"}; }

/// A bootstrap over clusters, or what stands in for it.
Estimate resampled(const std::vector<Cluster>& clusters, const BootstrapOptions& options,
                   Interval bounds, Bootstrap kind = Bootstrap::kBca) {
  if (clusters.empty()) return nothing();
  Estimate estimate;
  estimate.n = static_cast<int64_t>(clusters.size());
  estimate.mean = mean_of(clusters);
  const double z = upper_z(options);
  if (all_equal(clusters)) {
    set_equal_bound(estimate, options.confidence, bounds);
  } else if (estimate.n < kLeastBootstrapTasks) {
    const std::string why = fmt::format("{} tasks are too few for a bootstrap, which wants {}",
                                        estimate.n, kLeastBootstrapTasks);
    set_score_bound(estimate, why, z, bounds);
  } else if (kind == Bootstrap::kPercentile) {
    estimate.ci = percentile(clusters, options);
    estimate.method = "percentile";
  } else if (const auto ci = bca(clusters, estimate.mean, z, options)) {
    estimate.ci = *ci;
    estimate.method = "bca";
  } else {
    set_score_bound(estimate, "the correction of the bootstrap is not finite", z, bounds);
  }
  return estimate;
}

void require_within(double value, Interval bounds) {
  if (value < bounds.low || value > bounds.high) {
    throw InputError(fmt::format("values: expected numbers from {} to {}, got {}", bounds.low,
                                 bounds.high, value));
  }
}

/// Whether every task has one value, and that is 0 or 1.
bool is_binary(const TaskValues& tasks, Interval bounds) {
  return bounds.low == 0 && bounds.high == 1 &&
         std::all_of(tasks.begin(), tasks.end(), [](const std::vector<double>& values) {
           return values.size() == 1 && (values[0] == 0 || values[0] == 1);
         });
}

std::vector<Cluster> clusters_of(const TaskValues& tasks) {
  std::vector<Cluster> clusters;
  for (const auto& values : tasks) {
    Cluster& cluster = clusters.emplace_back();
    for (const double value : values) cluster.sum += value;
    cluster.count = static_cast<double>(values.size());
  }
  return clusters;
}

/// Two sides of a comparison, with what either lacks left out of both.
struct Pairs {
  TaskValues a, b;
};

Pairs present_pairs(const TaskValues& a, const TaskValues& b, Interval bounds) {
  if (a.size() != b.size()) {
    throw InputError(
        fmt::format("paired difference: expected as many tasks on both sides, got {} "
                    "and {}",
                    a.size(), b.size()));
  }
  Pairs pairs;
  for (size_t task = 0; task < a.size(); ++task) {
    if (a[task].size() != b[task].size()) {
      throw InputError(
          fmt::format("paired difference: task {}: expected as many values on both "
                      "sides, got {} and {}",
                      task, a[task].size(), b[task].size()));
    }
    std::vector<double> left, right;
    for (size_t k = 0; k < a[task].size(); ++k) {
      require_within(a[task][k], bounds);
      require_within(b[task][k], bounds);
      if (std::isnan(a[task][k]) || std::isnan(b[task][k])) continue;
      left.push_back(a[task][k]);
      right.push_back(b[task][k]);
    }
    if (left.empty()) continue;
    pairs.a.push_back(std::move(left));
    pairs.b.push_back(std::move(right));
  }
  return pairs;
}

TaskValues differences_of(const Pairs& pairs) {
  TaskValues differences = pairs.a;
  for (size_t task = 0; task < differences.size(); ++task) {
    for (size_t k = 0; k < differences[task].size(); ++k) differences[task][k] -= pairs.b[task][k];
  }
  return differences;
}

}  // namespace

void BootstrapOptions::validate() const {
  require_at_least("resamples", resamples, 1000);
  require_room("resamples", resamples, sizeof(double));
  if (!(confidence > 0 && confidence < 1)) {
    throw InputError(fmt::format("confidence: expected between 0 and 1, got {}", confidence));
  }
}

TaskValues one_each(std::span<const double> values) {
  TaskValues tasks;
  for (const double value : values) tasks.push_back({value});
  return tasks;
}

Estimate estimate_mean(const TaskValues& tasks, const BootstrapOptions& options, Interval bounds) {
  options.validate();
  const TaskValues present = present_pairs(tasks, tasks, bounds).a;
  if (present.empty() || !is_binary(present, bounds)) {
    return resampled(clusters_of(present), options, bounds);
  }
  Estimate estimate;
  estimate.n = static_cast<int64_t>(present.size());
  estimate.mean = mean_of(clusters_of(present));
  estimate.ci = wilson(estimate.mean, estimate.n, upper_z(options));
  estimate.method = "wilson";
  return estimate;
}

Estimate estimate_difference(const TaskValues& a, const TaskValues& b,
                             const BootstrapOptions& options, Interval bounds) {
  options.validate();
  const Pairs pairs = present_pairs(a, b, bounds);
  const TaskValues differences = differences_of(pairs);
  if (differences.empty() || !is_binary(pairs.a, bounds) || !is_binary(pairs.b, bounds)) {
    return resampled(clusters_of(differences), options,
                     {bounds.low - bounds.high, bounds.high - bounds.low});
  }
  PairCounts counts;
  for (size_t task = 0; task < differences.size(); ++task) {
    const bool in_a = pairs.a[task][0] == 1, in_b = pairs.b[task][0] == 1;
    ++(in_a ? (in_b ? counts.both : counts.only_a) : (in_b ? counts.only_b : counts.neither));
  }
  Estimate estimate;
  estimate.n = static_cast<int64_t>(differences.size());
  estimate.mean = mean_of(clusters_of(differences));
  estimate.ci = newcombe(counts, estimate.n, upper_z(options));
  estimate.method = "newcombe";
  return estimate;
}

Estimate percentile_difference(const TaskValues& a, const TaskValues& b,
                               const BootstrapOptions& options, Interval bounds) {
  options.validate();
  const TaskValues differences = differences_of(present_pairs(a, b, bounds));
  return resampled(clusters_of(differences), options,
                   {bounds.low - bounds.high, bounds.high - bounds.low}, Bootstrap::kPercentile);
}

void add_estimate(Json& json, const char* key, const Estimate& estimate) {
  json["n"] = estimate.n;
  json[key] = number_or_null(estimate.mean);
  json["ci95"] = Json::array({number_or_null(estimate.ci.low), number_or_null(estimate.ci.high)});
  json["ci_method"] = estimate.method;
  if (!estimate.note.empty()) json["ci_note"] = estimate.note;
}

const char* reading_of(const Interval& difference) {
  if (difference.low > 0) return "higher";
  return difference.high < 0 ? "lower" : "inconclusive";
}

Json number_or_null(double value) { return std::isfinite(value) ? Json(value) : Json(); }

}  // namespace weft
