#include "base/rng.h"

#include <cmath>
#include <numbers>

#include "base/error.h"
#include "base/hash.h"

namespace weft {
namespace {

double to_unit(uint64_t bits) { return static_cast<double>(bits >> 11) * 0x1.0p-53; }

uint64_t low_word(const std::array<uint32_t, 4>& block) {
  return block[0] | static_cast<uint64_t>(block[1]) << 32;
}

}  // namespace

std::array<uint32_t, 4> philox(uint64_t key, uint64_t counter_high, uint64_t counter_low) {
  std::array<uint32_t, 4> c = {
      static_cast<uint32_t>(counter_low), static_cast<uint32_t>(counter_low >> 32),
      static_cast<uint32_t>(counter_high), static_cast<uint32_t>(counter_high >> 32)};
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = 0xD2511F53ull * c[0], p1 = 0xCD9E8D57ull * c[2];
    c = {static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ k0, static_cast<uint32_t>(p1),
         static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ k1, static_cast<uint32_t>(p0)};
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
  return c;
}

double philox_uniform(uint64_t seed, uint64_t stream, uint64_t counter) {
  return to_unit(low_word(philox(seed, stream, counter)));
}

uint64_t Rng::next_u64() { return low_word(philox(seed_, stream_, counter_++)); }

double Rng::uniform() { return to_unit(next_u64()); }

uint64_t Rng::below(uint64_t n) {
  WEFT_ASSERT(n > 0);
  const uint64_t limit = UINT64_MAX - UINT64_MAX % n;
  uint64_t draw;
  do {
    draw = next_u64();
  } while (draw >= limit);
  return draw % n;
}

double Rng::normal() {
  const double radius = std::sqrt(-2 * std::log(1 - uniform()));
  return radius * std::cos(2 * std::numbers::pi * uniform());
}

size_t Rng::categorical(std::span<const double> weights) {
  double sum = 0;
  for (const double weight : weights) {
    if (!(weight >= 0) || !std::isfinite(weight)) {
      throw InputError("categorical: weights must be finite and >= 0, got " +
                       std::to_string(weight));
    }
    sum += weight;
  }
  if (!(sum > 0)) throw InputError("categorical: no weight is positive");
  double left = uniform() * sum;
  size_t last_positive = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] <= 0) continue;
    last_positive = i;
    left -= weights[i];
    if (left < 0) return i;
  }
  return last_positive;
}

Rng Rng::split(uint64_t stream) const {
  return Rng(hash_combine(hash_combine(seed_, stream_), stream));
}

Json Rng::state() const { return {{"seed", seed_}, {"stream", stream_}, {"counter", counter_}}; }

Rng Rng::from_state(const Json& state) {
  Rng rng(get_field<uint64_t>(state, "seed", "rng state"),
          get_field<uint64_t>(state, "stream", "rng state"));
  rng.counter_ = get_field<uint64_t>(state, "counter", "rng state");
  return rng;
}

}  // namespace weft
