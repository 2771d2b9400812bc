#include "trainer/search/smc.h"

#include "base/check.h"
#include "base/error.h"
#include "base/machine.h"

namespace weft {

void SmcOptions::validate() const {
  require_at_least("particles", particles, 1);
  require_at_least("refined", refined, 0);
  require_at_least("rounds", rounds, 1);
  require_at_least("completions", completions, 1);
  require_at_least("refiner_candidates", refiner_candidates, 1);
  require_room("particles", particles, kRecordBytes);
  require_room("refined", refined, kRecordBytes);
  require_room("completions", completions, kRecordBytes);
  require_room("refiner_candidates", refiner_candidates, kRecordBytes);
  require_above("refiner_temperature", refiner_temperature, 0);
  if (!std::isfinite(beta)) throw InputError("beta: expected a finite number");
}

size_t draw_refiner_parent(std::span<const double> rewards, const SmcOptions& options, Rng& rng) {
  const auto best = top_indices(rewards, static_cast<size_t>(options.refiner_candidates));
  std::vector<double> values;
  for (const size_t i : best) values.push_back(rewards[i]);
  return best[rng.categorical(softmax(values, options.refiner_temperature))];
}

}  // namespace weft
