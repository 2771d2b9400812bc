/// What the kernel tests share: the instruction sets of this CPU, bf16 by hand, random numbers.
#pragma once

#include <bit>
#include <cstdint>
#include <vector>

#include "base/rng.h"
#include "model/ops/cpu/kernel_table.h"

namespace weft::kernels {

/// Every table that this CPU runs, the portable one first.
inline std::vector<const KernelTable*> tables() {
  std::vector<const KernelTable*> found = {&table_generic()};
  for (const KernelTable* better : {&table_avx2(), &table_avx512_bf16(), &table_amx()}) {
    if (found.back() == &kernel_table()) break;
    found.push_back(better);
  }
  return found;
}

/// Normal, of this deviation.
inline std::vector<float> random_values(size_t n, uint64_t seed, double scale = 1) {
  Rng rng(seed);
  std::vector<float> values(n);
  for (float& v : values) v = static_cast<float>(rng.normal() * scale);
  return values;
}

/// Nearest bf16, ties to even.
inline Bf16 rounded(float x) {
  const uint32_t u = std::bit_cast<uint32_t>(x);
  return {static_cast<uint16_t>((u + 0x7fff + ((u >> 16) & 1)) >> 16)};
}

inline float widened(Bf16 x) { return std::bit_cast<float>(static_cast<uint32_t>(x.bits) << 16); }

}  // namespace weft::kernels
