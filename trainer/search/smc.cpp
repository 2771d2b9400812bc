#include "trainer/search/smc.h"

#include "base/error.h"

namespace weft {

namespace {

void require(bool ok, const char* what) {
  if (!ok) throw InputError(what);
}

}  // namespace

void SmcOptions::validate() const {
  require(particles >= 1, "particles: expected at least 1");
  require(refined >= 0, "refined: expected at least 0");
  require(rounds >= 1, "rounds: expected at least 1");
  require(completions >= 1, "completions: expected at least 1");
  require(std::isfinite(beta), "beta: expected a finite number");
  require(refiner_candidates >= 1, "refiner_candidates: expected at least 1");
  require(refiner_temperature > 0, "refiner_temperature: expected more than 0");
}

size_t draw_refiner_parent(std::span<const double> rewards, const SmcOptions& options, Rng& rng) {
  const auto best = top_indices(rewards, static_cast<size_t>(options.refiner_candidates));
  std::vector<double> values;
  for (const size_t i : best) values.push_back(rewards[i]);
  return best[rng.categorical(softmax(values, options.refiner_temperature))];
}

}  // namespace weft
