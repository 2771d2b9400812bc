#include "trainer/learn/update/stochastic_rounding.h"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/bitwise_right_shift.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/where.h>
#include <c10/util/BFloat16.h>

#include <algorithm>
#include <array>
#include <bit>

#include "base/error.h"
#include "base/rng.h"

namespace weft {
namespace {

constexpr int64_t kPerBlock = 8;  // 16-bit numbers of a Philox block
constexpr int64_t kGrain = 4096;  // blocks for a thread
constexpr int64_t kWord = 0xffffffff;

uint16_t rounded(float value, uint32_t bits) {
  const auto word = std::bit_cast<uint32_t>(value);
  const bool finite = (word & 0x7f800000) != 0x7f800000;
  if (!finite) return static_cast<uint16_t>(word >> 16 | ((word & 0x7fffff) != 0 ? 0x40 : 0));
  return static_cast<uint16_t>((word + bits) >> 16);
}

/// Bits 32 to 63 of int64 numbers; the copies of the sign that a shift brings in are masked away,
/// so that the product of two words keeps its meaning.
at::Tensor high_word(const at::Tensor& numbers) {
  return at::bitwise_right_shift(numbers, 32) & kWord;
}

/// philox(seed, stream, block) for blocks [m] int64: four words [m] int64 each.
std::array<at::Tensor, 4> philox_words(uint64_t seed, uint64_t stream, const at::Tensor& blocks) {
  const auto constant = [&](uint64_t word) {
    return at::full_like(blocks, static_cast<int64_t>(word & kWord));
  };
  std::array<at::Tensor, 4> c = {blocks & kWord, high_word(blocks), constant(stream),
                                 constant(stream >> 32)};
  auto k0 = static_cast<uint32_t>(seed), k1 = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const at::Tensor p0 = c[0] * int64_t{0xD2511F53}, p1 = c[2] * int64_t{0xCD9E8D57};
    c = {(high_word(p1) ^ c[1]) ^ static_cast<int64_t>(k0), p1 & kWord,
         (high_word(p0) ^ c[3]) ^ static_cast<int64_t>(k1), p0 & kWord};
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
  return c;
}

}  // namespace

void round_stochastically(const at::Tensor& from, const at::Tensor& to, const RoundingKey& key) {
  if (!from.is_cpu()) {
    round_stochastically_by_operations(from, to, key);
    return;
  }
  WEFT_ASSERT(from.is_contiguous() && to.is_contiguous() && key.first % kPerBlock == 0);
  WEFT_ASSERT(from.scalar_type() == at::kFloat && to.scalar_type() == at::kBFloat16);
  const int64_t n = from.numel();
  const float* in = from.const_data_ptr<float>();
  auto* out = reinterpret_cast<uint16_t*>(to.data_ptr<at::BFloat16>());
  const auto first = static_cast<uint64_t>(key.first / kPerBlock);
  at::parallel_for(0, (n + kPerBlock - 1) / kPerBlock, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      const auto words = philox(key.seed, key.stream, first + static_cast<uint64_t>(block));
      const int64_t last = std::min(n, (block + 1) * kPerBlock);
      for (int64_t i = block * kPerBlock; i < last; ++i) {
        const auto j = static_cast<size_t>(i % kPerBlock);
        out[i] = rounded(in[i], words[j / 2] >> 16 * (j % 2) & 0xffff);
      }
    }
  });
}

void round_stochastically_by_operations(const at::Tensor& from, const at::Tensor& to,
                                        const RoundingKey& key) {
  WEFT_ASSERT(from.is_contiguous() && to.is_contiguous() && key.first % kPerBlock == 0);
  const int64_t n = from.numel(), first = key.first / kPerBlock;
  const at::Tensor blocks =
      at::arange(first, first + (n + kPerBlock - 1) / kPerBlock, from.options().dtype(at::kLong));
  std::vector<at::Tensor> numbers;
  for (const at::Tensor& word : philox_words(key.seed, key.stream, blocks)) {
    numbers.push_back(word & 0xffff);
    numbers.push_back(at::bitwise_right_shift(word, 16));
  }
  const at::Tensor bits = at::stack(numbers, 1).flatten().narrow(0, 0, n).to(at::kInt);
  const at::Tensor word = from.flatten().view(at::kInt);
  const at::Tensor up = ((word + bits) & static_cast<int64_t>(-65536)).view(at::kFloat);
  to.copy_(at::where(at::isfinite(from.flatten()), up, from.flatten()).view_as(to));
}

}  // namespace weft
