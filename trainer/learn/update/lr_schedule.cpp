#include "trainer/learn/update/lr_schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/error.h"

namespace weft {

EnumTable<LrDecay> enum_table(LrDecay) {
  return {{LrDecay::kConstant, "constant"},
          {LrDecay::kCosine, "cosine"},
          {LrDecay::kLinear, "linear"},
          {LrDecay::kWsd, "wsd"}};
}

void LrScheduleOptions::validate() const {
  if (!(lr >= 0 && lr <= 1)) {
    throw InputError("lr: expected a number in [0, 1], got " + std::to_string(lr));
  }
  if (warmup_steps < 0) {
    throw InputError("warmup_steps: expected >= 0, got " + std::to_string(warmup_steps));
  }
  if (!(wsd_share > 0 && wsd_share <= 1)) {
    throw InputError("wsd_share: expected a number in (0, 1], got " + std::to_string(wsd_share));
  }
}

void LrScheduleOptions::require_warmup_within(int64_t total_steps) const {
  if (warmup_steps > total_steps) {
    throw InputError("learn.schedule.warmup_steps: expected at most the run's " +
                     std::to_string(total_steps) + " steps, got " + std::to_string(warmup_steps));
  }
}

double learning_rate(const LrScheduleOptions& options, int64_t step, int64_t total_steps) {
  if (step < options.warmup_steps) {
    return options.lr * static_cast<double>(step + 1) / static_cast<double>(options.warmup_steps);
  }
  const auto span = static_cast<double>(std::max<int64_t>(total_steps - options.warmup_steps, 1));
  const double done = std::min(static_cast<double>(step - options.warmup_steps) / span, 1.0);
  switch (options.decay) {
    case LrDecay::kConstant:
      return options.lr;
    case LrDecay::kCosine:
      return options.lr * (0.1 + 0.9 * 0.5 * (1 + std::cos(std::numbers::pi * done)));
    case LrDecay::kLinear:
      return options.lr * (1 - done);
    case LrDecay::kWsd: {
      const double steps = std::min(span, std::ceil(options.wsd_share * double(total_steps)));
      const double left = static_cast<double>(total_steps - step) / std::max(steps, 1.0);
      return options.lr * std::clamp(left, 0.0, 1.0);
    }
  }
  return options.lr;
}

}  // namespace weft
