#include "model/transformer/rope.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

namespace weft {
namespace {

float llama3_frequency(float frequency, const RopeScaling& scaling) {
  const float factor = static_cast<float>(scaling.factor);
  const double original = static_cast<double>(scaling.original_max_positions);
  const double wavelength = 2 * std::numbers::pi / frequency;
  if (wavelength < original / scaling.high_freq_factor) return frequency;
  if (wavelength > original / scaling.low_freq_factor) return frequency / factor;
  const double smooth = (original / wavelength - scaling.low_freq_factor) /
                        (scaling.high_freq_factor - scaling.low_freq_factor);
  return static_cast<float>((1 - smooth) * frequency / factor + smooth * frequency);
}

// Dimensions between which a frequency goes over from kept to stretched.
struct YarnRange {
  double low = 0, high = 0;

  explicit YarnRange(const TransformerConfig& config) {
    const RopeScaling& scaling = config.rope_scaling;
    const double dim = static_cast<double>(config.head_dim);
    const auto dimension_of = [&](double turns) {
      const double original = static_cast<double>(scaling.original_max_positions);
      return dim * std::log(original / (turns * 2 * std::numbers::pi)) /
             (2 * std::log(config.rope_theta));
    };
    low = dimension_of(scaling.beta_fast);
    high = dimension_of(scaling.beta_slow);
    if (scaling.truncate) {
      low = std::floor(low);
      high = std::ceil(high);
    }
    low = std::max(low, 0.0);
    high = std::min(high, dim - 1);
    if (low == high) high += 0.001;
  }
  double stretched_share(int64_t i) const {
    return std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
  }
};

std::vector<float> frequencies_of(const TransformerConfig& config) {
  const RopeScaling& scaling = config.rope_scaling;
  const YarnRange range(config);
  std::vector<float> frequencies(config.head_dim / 2);
  for (int64_t i = 0; i < config.head_dim / 2; ++i) {
    const double exponent = 2.0 * static_cast<double>(i) / static_cast<double>(config.head_dim);
    const double exact = 1.0 / std::pow(config.rope_theta, exponent);
    float& frequency = frequencies[i];
    frequency = static_cast<float>(exact);
    if (scaling.kind == RopeScaling::Kind::kLinear) frequency /= static_cast<float>(scaling.factor);
    if (scaling.kind == RopeScaling::Kind::kLlama3)
      frequency = llama3_frequency(frequency, scaling);
    if (scaling.kind == RopeScaling::Kind::kYarn) {
      const double share = range.stretched_share(i);
      frequency = static_cast<float>(exact * (share / scaling.factor + 1 - share));
    }
  }
  return frequencies;
}

}  // namespace

at::Tensor make_rope_table(const TransformerConfig& config) {
  const int64_t half = config.head_dim / 2;
  const std::vector<float> frequencies = frequencies_of(config);
  const float magnitude = static_cast<float>(config.rope_scaling.attention_factor);
  at::Tensor table = at::empty({config.max_positions, 2, half}, at::kFloat);
  float* row = table.data_ptr<float>();
  for (int64_t p = 0; p < config.max_positions; ++p, row += 2 * half) {
    for (int64_t i = 0; i < half; ++i) {
      const float angle = static_cast<float>(p) * frequencies[i];
      row[i] = std::cos(angle) * magnitude;
      row[half + i] = std::sin(angle) * magnitude;
    }
  }
  return table;
}

}  // namespace weft
