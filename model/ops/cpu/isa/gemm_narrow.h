/// Products of few factors each, as a low-rank update's second one: a column of sums a lane, so
/// that no sum runs across lanes. Bits as gemm.h's tiles, whose tree of additions it follows.
#pragma once

#include <type_traits>

#include "model/ops/cpu/isa/gemm.h"

namespace weft::kernels {
namespace {

#ifdef __AVX512BF16__

constexpr int64_t kMaxNarrow = 64;       // factors
constexpr int64_t kNarrowColumns = 512;  // side by side: their factors stay in L1
constexpr int64_t kLeastNarrowRows = 8;  // fewer do not pay for laying out w

/// As reduce() adds up the lanes of one vector.
WEFT_INLINE F32x16 sum_of_lanes(const Sum* lane) {
  Sum quarters[4];
#pragma GCC unroll 4
  for (int q = 0; q < 4; ++q) {
    const Sum* v = lane + 4 * q;
    quarters[q] = (v[0] + v[2]) + (v[1] + v[3]);
  }
  return (F32x16)((quarters[0] + quarters[1]) + (quarters[2] + quarters[3]));
}

/// Pairs of factors of 16 rows of w, a row a lane: packed [kPairs].
template <int kPairs>
WEFT_INLINE void pack_pairs(const Bf16* w, __m512i* packed) {
  const __m512i rows =
      _mm512_mullo_epi32(_mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
                         _mm512_set1_epi32(kPairs));
#pragma GCC unroll 32
  for (int i = 0; i < kPairs; ++i) {
    packed[i] = _mm512_i32gather_epi32(rows, w + 2 * i, sizeof(int32_t));
  }
}

template <int kPairs>
WEFT_INLINE F32x16 narrow_sums(const Bf16* x, const __m512i* w) {
  Sum lane[16] = {};
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) {
    if (i >= kPairs) continue;
    const auto product = [&](int pair) __attribute__((always_inline)) {
      int32_t factors;
      std::memcpy(&factors, x + 2 * pair, sizeof factors);
      lane[i] = (Sum)_mm512_dpbf16_ps((__m512)lane[i], (__m512bh)_mm512_set1_epi32(factors),
                                      (__m512bh)w[pair]);
    };
    product(i);
    if (i + 16 < kPairs) {
      product(i + 16);
    } else if (kPairs > 16) {
      lane[i] += Sum{};  // as a tile's products with the zeros behind the last factor
    }
  }
  return sum_of_lanes(lane);
}

constexpr int kAllParts = -1;
constexpr int kPartPairs = 8;

/// Which eight pairs alone are not all zeros, as of a fused update, where a projection's rows have
/// only its own ranks; or kAllParts.
template <int kPairs>
WEFT_INLINE int only_part(const __m512i* packed) {
  if (kPairs % kPartPairs != 0) return kAllParts;
  int found = kAllParts;
  for (int part = 0; part < kPairs / kPartPairs; ++part) {
    __m512i bits = packed[kPartPairs * part];
    for (int i = 1; i < kPartPairs; ++i) bits |= packed[kPartPairs * part + i];
    if (_mm512_test_epi32_mask(bits, bits) == 0) continue;
    if (found != kAllParts) return kAllParts;
    found = part;
  }
  return found;
}

template <int kPairs>
void gemm_pairs(const GemmArgs<Bf16>& g) {
  __m512i packed[kNarrowColumns / 16][kPairs];
  int part[kNarrowColumns / 16];
  int64_t col = g.n0;
  while (col + 16 <= g.n1) {
    const int64_t blocks = std::min(kNarrowColumns, g.n1 - col) / 16;
    for (int64_t b = 0; b < blocks; ++b) {
      pack_pairs<kPairs>(g.w + (col + 16 * b) * 2 * kPairs, packed[b]);
      part[b] = only_part<kPairs>(packed[b]);
    }
    for (int64_t row = 0; row < g.m; ++row) {
      const Bf16* x = g.x + row * 2 * kPairs;
      for (int64_t b = 0; b < blocks; ++b) {
        const int first = kPartPairs * part[b];
        const F32x16 sums = part[b] == kAllParts
                                ? narrow_sums<kPairs>(x, packed[b])
                                : narrow_sums<kPartPairs>(x + 2 * first, packed[b] + first);
        finish_tile<1, 16>(g, sums, row, col + 16 * b);
      }
    }
    col += 16 * blocks;
  }
  if (col < g.n1) gemm_block(g, 0, g.m, col, g.n1, 0);
}

/// Whether it was one of these products, which are then done.
WEFT_INLINE bool gemm_narrow(const GemmArgs<Bf16>& g) {
  if (g.m < kLeastNarrowRows || g.k > kMaxNarrow) return false;
  switch (g.k) {
    case 8:
      return gemm_pairs<4>(g), true;
    case 16:
      return gemm_pairs<8>(g), true;
    case 24:
      return gemm_pairs<12>(g), true;
    case 32:
      return gemm_pairs<16>(g), true;
    case 48:
      return gemm_pairs<24>(g), true;
    case 64:
      return gemm_pairs<32>(g), true;
    default:
      return false;
  }
}
#endif

/// gemm(), with these products as they are quicker.
template <class T>
void multiply_rows(const GemmArgs<T>& g) {
#ifdef __AVX512BF16__
  if constexpr (std::is_same_v<T, Bf16>) {
    if (gemm_narrow(g)) return;
  }
#endif
  gemm(g);
}

}  // namespace
}  // namespace weft::kernels
