/// Estimates with their uncertainty: means and paired differences. All intervals are percentile
/// bootstrap intervals (Efron and Tibshirani, 1993, chapter 13) with a fixed seed.
#pragma once

#include <cstdint>
#include <span>
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
  int64_t n = 0;  ///< values that are there
  double mean = 0;
  Interval ci;
};

/// Mean over `values` (one per task) with its interval. NaN marks missing data and is left out.
Estimate bootstrap_mean(std::span<const double> values, const BootstrapOptions& options = {});

/// Mean of after[i] - before[i] over the pairs in which neither is NaN. Throws InputError when the
/// sizes differ.
Estimate bootstrap_paired_difference(std::span<const double> before, std::span<const double> after,
                                     const BootstrapOptions& options = {});

}  // namespace weft
