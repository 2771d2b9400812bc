#include "model/transformer/rope.h"

#include <ATen/ops/empty.h>

#include <cmath>
#include <numbers>
#include <vector>

namespace weft {
namespace {

float scaled_frequency(float frequency, const RopeScaling& scaling) {
  if (scaling.kind == RopeScaling::Kind::kNone) return frequency;
  const float factor = static_cast<float>(scaling.factor);
  if (scaling.kind == RopeScaling::Kind::kLinear) return frequency / factor;
  const double original = static_cast<double>(scaling.original_max_positions);
  const double wavelength = 2 * std::numbers::pi / frequency;
  if (wavelength < original / scaling.high_freq_factor) return frequency;
  if (wavelength > original / scaling.low_freq_factor) return frequency / factor;
  const double smooth = (original / wavelength - scaling.low_freq_factor) /
                        (scaling.high_freq_factor - scaling.low_freq_factor);
  return static_cast<float>((1 - smooth) * frequency / factor + smooth * frequency);
}

}  // namespace

at::Tensor make_rope_table(const TransformerConfig& config) {
  const int64_t half = config.head_dim / 2;
  std::vector<float> frequencies(half);
  for (int64_t i = 0; i < half; ++i) {
    const double exponent = 2.0 * static_cast<double>(i) / static_cast<double>(config.head_dim);
    frequencies[i] = scaled_frequency(
        static_cast<float>(1.0 / std::pow(config.rope_theta, exponent)), config.rope_scaling);
  }
  at::Tensor table = at::empty({config.max_positions, 2, half}, at::kFloat);
  float* row = table.data_ptr<float>();
  for (int64_t p = 0; p < config.max_positions; ++p, row += 2 * half) {
    for (int64_t i = 0; i < half; ++i) {
      const float angle = static_cast<float>(p) * frequencies[i];
      row[i] = std::cos(angle);
      row[half + i] = std::sin(angle);
    }
  }
  return table;
}

}  // namespace weft
