/// Estimates with their uncertainty: means, paired differences, pass@k. All intervals are
/// percentile bootstrap intervals (Efron and Tibshirani, 1993, chapter 13) with a fixed seed.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace weft {

struct BootstrapOptions {
  int resamples = 10000;
  double confidence = 0.95;  ///< in (0, 1); no config field: reports say ci95
  uint64_t seed = 0;         ///< same seed, same interval

  template <class V>
  void visit(V& v) {
    v("resamples", resamples, "bootstrap resamples per interval");
    v("seed", seed, "seed of the resampling");
  }
  /// Throws InputError unless resamples >= 1 and 0 < confidence < 1.
  void validate() const;
};

struct Interval {
  double low = 0;
  double high = 0;
  bool excludes_zero() const { return low > 0 || high < 0; }
};

/// `mean` and `ci` are NaN where n = 0; with n = 1 the interval is the point itself.
struct Estimate {
  int64_t n = 0;  ///< units resampled: tasks, or pairs
  double mean = 0;
  Interval ci;
};

/// Mean over `values` (one per task) with its interval. NaN marks missing data and is left out.
Estimate bootstrap_mean(std::span<const double> values, const BootstrapOptions& options = {});

/// Mean of after[i] - before[i] over the pairs in which neither is NaN. Throws InputError when the
/// sizes differ.
Estimate bootstrap_paired_difference(std::span<const double> before, std::span<const double> after,
                                     const BootstrapOptions& options = {});

/// One score of one prompt in one run; several of the same (seed, prompt) are samples of it.
struct SeededValue {
  uint64_t seed = 0;  ///< of the training run
  std::string prompt;
  double value = 0;  ///< NaN: missing
};

/// What is drawn with replacement when differences of several runs are pooled.
enum class ResampleUnit {
  kPrompt,  ///< a prompt with its pairs of every seed; holds where one prompt's pairs correlate
  kPair,    ///< each (seed, prompt) on its own; narrower, assumes that pairs are independent
};

/// Mean difference over the (seed, prompt) pairs present on both sides, the samples of a pair
/// averaged first. `n` counts pairs.
Estimate pooled_paired_difference(const std::vector<SeededValue>& before,
                                  const std::vector<SeededValue>& after,
                                  ResampleUnit unit = ResampleUnit::kPrompt,
                                  const BootstrapOptions& options = {});

/// Probability that at least one of k of the n samples, c of them correct, is correct:
/// 1 - C(n-c, k) / C(n, k) (arXiv:2107.03374, eq. 1). Throws InputError unless 0 <= c <= n and
/// 1 <= k <= n.
double pass_at_k(int64_t n, int64_t c, int64_t k);

}  // namespace weft
