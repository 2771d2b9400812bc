/// Learning rate as a function of the step.
#pragma once

#include <cstdint>

#include "base/config.h"

namespace weft {

enum class LrDecay {
  kConstant,
  kCosine,  ///< half a cosine from the peak to a tenth of it
  kLinear,  ///< straight line from the peak to 0
  kWsd,  ///< the peak, and over the last steps a straight line to 0 (arXiv:2404.06395, section 4)
};
EnumTable<LrDecay> enum_table(LrDecay);

struct LrScheduleOptions {
  double lr = 1e-4;          ///< peak, per step; in [0, 1]
  int64_t warmup_steps = 0;  ///< steps of a straight rise; the first uses lr / warmup_steps
  LrDecay decay = LrDecay::kConstant;
  double wsd_share = 0.1;  ///< of the run's steps, the last ones that wsd decays over; in (0, 1]

  template <class V>
  void visit(V& v) {
    v("lr", lr, "peak learning rate, per step");
    v("warmup_steps", warmup_steps, "steps of a linear rise to the peak");
    v("decay", decay, "constant, cosine (to a tenth), linear (to 0) or wsd, after the warm-up");
    v("wsd_share", wsd_share, "share of the steps, the last ones, over which wsd falls to 0");
  }
  /// Throws InputError naming the field.
  void validate() const;
  /// Throws InputError where a run of so many steps would end before the peak is reached.
  void require_warmup_within(int64_t total_steps) const;
};

/// Rate of step `step` (from 0) of `total_steps`. The decay starts after the warm-up and would
/// reach its end at step total_steps; beyond that the last value holds. With wsd it starts at the
/// last wsd_share of the steps, or after a warm-up that is still longer.
double learning_rate(const LrScheduleOptions& options, int64_t step, int64_t total_steps);

}  // namespace weft
