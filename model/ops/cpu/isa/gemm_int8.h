/// Products of int8 weights with activations rounded to 16-bit integers. Whole numbers add up
/// exactly, so a row's result depends on nothing else in the batch and is the same for every
/// instruction set.
///
/// Weights are packed: for 16 rows of w at a time (a block), pairs of columns, so that a lane holds
/// one output and no sum runs across lanes.
#pragma once

#include "model/ops/cpu/isa/vec.h"

namespace weft::kernels {
namespace {

#if defined(__AVX512VNNI__)
constexpr int kSumLanes = 16;
#elif defined(__AVX2__)
constexpr int kSumLanes = 8;
#else
constexpr int kSumLanes = 4;
#endif

typedef int32_t Sums __attribute__((vector_size(4 * kSumLanes)));   // one output a lane
typedef int16_t Words __attribute__((vector_size(4 * kSumLanes)));  // pairs of factors
typedef float FloatSums __attribute__((vector_size(4 * kSumLanes)));

#if defined(__AVX512VNNI__)
WEFT_INLINE Words load_weights(const int8_t* p) {
  return (Words)_mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
WEFT_INLINE Sums add_products(Sums sums, Words a, Words b) {
  return (Sums)_mm512_dpwssd_epi32((__m512i)sums, (__m512i)a, (__m512i)b);
}
#elif defined(__AVX2__)
WEFT_INLINE Words load_weights(const int8_t* p) {
  return (Words)_mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
WEFT_INLINE Sums add_products(Sums sums, Words a, Words b) {
  return sums + (Sums)_mm256_madd_epi16((__m256i)a, (__m256i)b);
}
#else
WEFT_INLINE Words load_weights(const int8_t* p) {
  Words words;
  for (int i = 0; i < 2 * kSumLanes; ++i) words[i] = p[i];
  return words;
}
WEFT_INLINE Sums add_products(Sums sums, Words a, Words b) {
  const Sums x = (Sums)a, y = (Sums)b;
  return sums + ((x << 16) >> 16) * ((y << 16) >> 16) + (x >> 16) * (y >> 16);
}
#endif

WEFT_INLINE Words broadcast_pair(const int16_t* p) {
  int32_t pair;
  std::memcpy(&pair, p, sizeof pair);
  return (Words)(Sums{} + pair);
}

constexpr int kParts = static_cast<int>(kInt8Block) / kSumLanes;  // vectors of a block
constexpr int kTileBlocks = kSumLanes == 16 ? 4 : 1;
constexpr int kTileRows = kSumLanes == 16 ? 6 : kSumLanes == 8 ? 4 : 2;

// Pairs of columns whose products fit in 32 bits: 2 * 256 * 127 * 32767 < 2^31.
constexpr int64_t kExactPairs = 256;

// Sums of pairs [begin, end) are added to `sums` [MR, NB * 16]. With few accumulators, neighbouring
// pairs go to accumulators of their own, as a product has to wait for the one before.
template <int MR, int NB>
WEFT_INLINE void add_tile(const Int8GemmArgs& a, int64_t row, int64_t block, int64_t begin,
                          int64_t end, float* sums) {
  constexpr int kVectors = NB * kParts, kChains = MR * kVectors >= 4 ? 1 : 4 / (MR * kVectors);
  Sums acc[kChains][MR][kVectors] = {};
  const int16_t* x = a.x + row * 2 * a.pairs;
  const int8_t* w = a.w + block * 2 * kInt8Block * a.pairs;
  // The first rows of x fetch the weights for all: one line for each two pairs of a block.
  const bool fetches = row == 0;
  const auto step = [&](int64_t p, int chain) __attribute__((always_inline)) {
    if (fetches && p % 2 == 0) {
#pragma GCC unroll 4
      for (int b = 0; b < NB; ++b) {
        fetch_to_l2(w + (b * a.pairs + p) * 2 * kInt8Block + kFetchAheadBytes);
      }
    }
    Words weights[kVectors];
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) {
      const int8_t* at = w + (v / kParts * a.pairs + p) * 2 * kInt8Block;
      weights[v] = load_weights(at + v % kParts * 2 * kSumLanes);
    }
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i) {
      const Words factors = broadcast_pair(x + (i * a.pairs + p) * 2);
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) {
        acc[chain][i][v] = add_products(acc[chain][i][v], factors, weights[v]);
      }
    }
  };
  int64_t p = begin;
  for (; p + kChains <= end; p += kChains) {
#pragma GCC unroll 4
    for (int c = 0; c < kChains; ++c) step(p + c, c);
  }
  for (; p < end; ++p) step(p, 0);
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) {
      Sums exact = acc[0][i][v];
#pragma GCC unroll 4
      for (int c = 1; c < kChains; ++c) exact += acc[c][i][v];
      float* at = sums + (i * kVectors + v) * kSumLanes;
      FloatSums sum;
      std::memcpy(&sum, at, sizeof sum);
      sum += __builtin_convertvector(exact, FloatSums);
      std::memcpy(at, &sum, sizeof sum);
    }
  }
}

// MR rows of x times NB blocks of w.
template <int MR, int NB>
void int8_tile(const Int8GemmArgs& a, int64_t row, int64_t block) {
  alignas(64) float sums[MR * NB * kInt8Block] = {};
  for (int64_t p = 0; p < a.pairs; p += kExactPairs) {
    add_tile<MR, NB>(a, row, block, p, std::min(a.pairs, p + kExactPairs), sums);
  }
  for (int i = 0; i < MR; ++i) {
    for (int b = 0; b < NB; ++b) {
      const int64_t col = (block + b) * kInt8Block, at = (row + i) * a.n + col;
      const F32x16 y =
          load16(sums + (i * NB + b) * kInt8Block) * a.x_steps[row + i] * load16(a.w_steps + col);
      if (col + kInt8Block <= a.n) {
        a.f32 ? store16(a.f32 + at, y) : store16(a.bf16 + at, y);
        continue;
      }
      for (int64_t j = 0; col + j < a.n; ++j) {
        if (a.f32) a.f32[at + j] = y[j];
        if (a.bf16) a.bf16[at + j] = from_float<Bf16>(y[j]);
      }
    }
  }
}

// Rows from `row` on, MR at a time and then the rest.
template <int MR, int NB>
void int8_rows(const Int8GemmArgs& a, int64_t row, int64_t block) {
  for (; row + MR <= a.m; row += MR) int8_tile<MR, NB>(a, row, block);
  if constexpr (MR > 1) {
    if (row < a.m) int8_rows<MR - 1, NB>(a, row, block);
  }
}

// With so few rows the memory is the limit: one block at a time reads weights in a single stream.
constexpr int64_t kStreamRows = 4;

void gemm_int8(const Int8GemmArgs& a) {
  int64_t block = a.first_block;
  if (a.m > kStreamRows) {
    for (; block + kTileBlocks <= a.last_block; block += kTileBlocks) {
      int8_rows<kTileRows, kTileBlocks>(a, 0, block);
    }
  }
  for (; block < a.last_block; ++block) int8_rows<kTileRows, 1>(a, 0, block);
}

}  // namespace
}  // namespace weft::kernels
