/// Counter-based random numbers: Philox4x32-10 (Salmon et al., SC 2011). A draw depends on (seed,
/// stream, counter) alone, so a result never depends on what else happened to run beside it.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "base/json.h"

namespace weft {

/// One Philox4x32-10 block for this key and counter.
std::array<uint32_t, 4> philox(uint64_t key, uint64_t counter_high, uint64_t counter_low);

/// Uniform in [0, 1) with 53 bits, a pure function of its arguments.
double philox_uniform(uint64_t seed, uint64_t stream, uint64_t counter);

/// A sequence of draws from one (seed, stream). Copies continue independently from the same point.
class Rng {
 public:
  explicit Rng(uint64_t seed, uint64_t stream = 0) : seed_(seed), stream_(stream) {}

  uint64_t next_u64();
  double uniform();            ///< [0, 1)
  uint64_t below(uint64_t n);  ///< uniform in [0, n), unbiased; n > 0
  double normal();             ///< mean 0, variance 1
  /// Index drawn with probability weights[i] / sum. Throws InputError when a weight is negative or
  /// not finite, or none is positive.
  size_t categorical(std::span<const double> weights);

  template <class T>
  void shuffle(std::vector<T>& items) {
    for (size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[below(i)]);
  }

  /// An independent generator for a part of the work.
  Rng split(uint64_t stream) const;

  Json state() const;
  static Rng from_state(const Json& state);

 private:
  uint64_t seed_;
  uint64_t stream_;
  uint64_t counter_ = 0;
};

}  // namespace weft
