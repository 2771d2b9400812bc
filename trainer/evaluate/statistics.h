/// Estimates with their uncertainty: means and paired differences over tasks, 95 % by default.
///
/// The unit is the task (or prompt): tasks are independent draws, samples and seeds of one task are
/// not. Which interval (p is the mean, n the number of tasks):
///   wilson       one 0/1 value a task: Wilson's score interval (Wilson 1927, JASA 22, 209-212;
///                Newcombe 1998, Stat. Med. 17, 857-872, method 3)
///   newcombe     difference of two paired 0/1 values a task: hybrid score interval (Newcombe 1998,
///                Stat. Med. 17, 2635-2650, method 10)
///   bca          all else: bootstrap that draws whole tasks, bias-corrected and accelerated (Efron
///                1987, JASA 82, 171-185; Efron and Tibshirani 1993, chapter 14)
///   percentile   where asked for: the quantiles of that bootstrap as they are (Efron and
///   Tibshirani
///                1993, section 13.3)
///   equal_bound  all tasks have one value c, where a bootstrap has no width, and the values have
///                known bounds: a share q = 0.05^(1/n) of c and 1 - q of either bound. A population
///                with less than q of c shows n times c in less than 5 % of samples (exact
///                binomial, the "rule of three" of Hanley and Lippman-Hand 1983, JAMA 249,
///                1743-1745)
///   score_bound  where BCa is undefined else or cannot hold (see kLeastBootstrapTasks):
///                {m : (mean - m)^2 <= z^2 (m - low)(high - m) / n}, Wilson's interval with the
///                largest variance that bounded values of mean m can have, so that it is too wide
///                rather than too narrow. Our own choice, as the use of equal_bound
///   none         no value, or values without known bounds where bounds are wanted
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"

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
  /// Throws InputError unless resamples >= 1000 (fewer do not hold a tail of 2.5 %) and
  /// 0 < confidence < 1.
  void validate() const;
};

/// Fewest tasks for BCa. A bootstrap mean lies between the least and the greatest value, and even
/// for a symmetric distribution these enclose its centre with probability 1 - 2^(1-n) only: less
/// than 95 % up to n = 5.
inline constexpr int64_t kLeastBootstrapTasks = 6;

struct Interval {
  double low = 0;
  double high = 0;
};

/// What no value can lie beyond.
inline constexpr Interval kScoreBounds = {0, 1};
inline constexpr Interval kNoBounds = {-std::numeric_limits<double>::infinity(),
                                       std::numeric_limits<double>::infinity()};

struct Estimate {
  int64_t n = 0;       ///< tasks with a value
  double mean = 0;     ///< over all values; NaN where n = 0
  Interval ci;         ///< NaN where ci_method is "none"
  std::string method;  ///< as named above
  std::string note;    ///< why it is not the usual method; else empty
};

/// The values of each task: one, or several that belong together (samples, seeds). NaN marks
/// missing data and is left out, and so is a task without a value.
using TaskValues = std::vector<std::vector<double>>;

/// One value a task.
TaskValues one_each(std::span<const double> values);

/// Mean over all values, in which a task counts by the number of its values. Throws InputError when
/// a value lies outside `bounds`.
Estimate estimate_mean(const TaskValues& tasks, const BootstrapOptions& options = {},
                       Interval bounds = kScoreBounds);

/// Mean of a[i][k] - b[i][k] over the pairs in which neither is NaN; `bounds` are those of a and b.
/// Throws InputError when the shapes differ or a value lies outside `bounds`.
Estimate estimate_difference(const TaskValues& a, const TaskValues& b,
                             const BootstrapOptions& options = {}, Interval bounds = kScoreBounds);

/// The same with the percentile interval in place of newcombe and bca, for differences that few
/// tasks carry, mostly of one sign, where no difference is to be claimed too early: BCa moves a
/// skewed interval away from 0 and alarms more often than it says
/// (tests/trainer/evaluate/workflow_runs/ headroom_test.cpp has both rates).
Estimate percentile_difference(const TaskValues& a, const TaskValues& b,
                               const BootstrapOptions& options = {},
                               Interval bounds = kScoreBounds);

/// Fills "n", `key` (the mean), "ci95", "ci_method" and, where there is one, "ci_note"; NaN is
/// null.
void add_estimate(Json& json, const char* key, const Estimate& estimate);

/// What an interval of a difference says: "higher", "lower", or "inconclusive" where it holds 0 or
/// there is none. Inconclusive is not "equal": the interval says how large a difference may be.
const char* reading_of(const Interval& difference);

/// null for NaN, which JSON does not have.
Json number_or_null(double value);

}  // namespace weft
