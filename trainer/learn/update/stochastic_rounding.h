/// Rounding fp32 to bf16 without bias: up with the probability of the distance from below, by
/// counter-based random bits. Source: arXiv:2010.06192, section 4.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace weft {

/// The bits for value i are a function of (seed, stream, i) alone: 16 of Philox4x32-10.
struct RoundingKey {
  uint64_t seed = 0;
  uint64_t stream = 0;  ///< one for each tensor and step
  int64_t first = 0;    ///< index of the first value; a multiple of 8
};

/// to [n] bf16 = from [n] f32, both contiguous and of one device. Infinite values stay, NaN too.
void round_stochastically(const at::Tensor& from, const at::Tensor& to, const RoundingKey& key);

/// The same to the bit, from operations that every device has: what round_stochastically does
/// where it has no loop of its own.
void round_stochastically_by_operations(const at::Tensor& from, const at::Tensor& to,
                                        const RoundingKey& key);

}  // namespace weft
