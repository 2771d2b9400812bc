/// What the measurements of all rooms share.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <vector>

#include "base/json.h"

namespace weft::bench {

using Clock = std::chrono::steady_clock;

inline double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// `fraction` in [0, 1]; the times are reordered.
inline double quantile(std::vector<double>& times, double fraction) {
  if (times.empty()) return 0;
  const auto at = std::min(times.size() - 1, static_cast<size_t>(fraction * times.size()));
  std::nth_element(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(at), times.end());
  return times[at];
}

/// Milliseconds that a call of `once` takes.
template <class Once>
double ms_of(Once once) {
  const auto start = Clock::now();
  once();
  return 1000 * seconds_since(start);
}

/// {"per_s","p50_ms","p99_ms","runs"} of calls of `once`, one after the other for `seconds`.
template <class Once>
Json rate_of(double seconds, Once once) {
  std::vector<double> times;
  for (int i = 0; i < 5; ++i) once();  // warm up
  const auto start = Clock::now();
  while (seconds_since(start) < seconds) {
    times.push_back(ms_of(once));
  }
  const double total = seconds_since(start);
  const auto runs = static_cast<double>(times.size());
  return {{"per_s", runs / total},
          {"p50_ms", quantile(times, 0.5)},
          {"p99_ms", quantile(times, 0.99)},
          {"runs", times.size()}};
}

}  // namespace weft::bench
