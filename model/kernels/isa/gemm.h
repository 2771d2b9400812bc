/// bf16 products straight from row-major weights, which a trainer may have changed a moment ago: no
/// packed copy is kept. Dot products run along k, 16 at a time, and every shape of tile adds up in
/// the same order: a row's result has the same bits whatever other rows are in the batch.
#pragma once

#include "model/kernels/isa/vec.h"

#ifdef __AVX512BF16__
namespace weft::kernels {
namespace {

// One vector of the lane sums of 16 vectors.
WEFT_INLINE __m512 reduce16(const __m512* v) {
  __m512 a[8], b[4];
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    a[i] = _mm512_add_ps(_mm512_unpacklo_ps(v[2 * i], v[2 * i + 1]),
                         _mm512_unpackhi_ps(v[2 * i], v[2 * i + 1]));
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const __m512d p = _mm512_castps_pd(a[2 * i]), q = _mm512_castps_pd(a[2 * i + 1]);
    b[i] = _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(p, q)),
                         _mm512_castpd_ps(_mm512_unpackhi_pd(p, q)));
  }
  const __m512 c =
      _mm512_add_ps(_mm512_shuffle_f32x4(b[0], b[1], 0x88), _mm512_shuffle_f32x4(b[0], b[1], 0xdd));
  const __m512 d =
      _mm512_add_ps(_mm512_shuffle_f32x4(b[2], b[3], 0x88), _mm512_shuffle_f32x4(b[2], b[3], 0xdd));
  return _mm512_add_ps(_mm512_shuffle_f32x4(c, d, 0x88), _mm512_shuffle_f32x4(c, d, 0xdd));
}

// Rows of MR x NR numbers, as lanes.
template <int MR, int NR, class T>
WEFT_INLINE F32x16 load_tile(const T* from, int64_t stride) {
  alignas(64) T values[16] = {};
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i) std::memcpy(values + i * NR, from + i * stride, NR * sizeof(T));
  return load16(values);
}

template <int MR, int NR, class T>
WEFT_INLINE void store_tile(F32x16 sums, T* out, int64_t stride) {
  alignas(64) T values[16];
  store16(values, sums);
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i) std::memcpy(out + i * stride, values + i * NR, NR * sizeof(T));
}

template <int MR, int NR>
WEFT_INLINE void finish_tile(const GemmArgs& g, F32x16 sums, int64_t row, int64_t col) {
  const int64_t at = row * g.n + col;
  if (g.bias) sums += load_tile<MR, NR>(g.bias + col, 0);
  if (g.added) sums += load_tile<MR, NR>(g.added + at, g.n);
  if (g.f32) {
    store_tile<MR, NR>(sums, g.f32 + at, g.n);
  } else {
    store_tile<MR, NR>(sums, g.bf16 + at, g.n);
  }
}

// Rows of x that stay in L1 while columns pass.
constexpr int64_t kRowsBytes = 24 << 10;

// Rows row.. (MR) of x times rows col.. (NR) of w, while rows col + ahead.. (kFetched) of w are
// fetched.
template <int MR, int NR, int kFetched>
WEFT_INLINE void gemm_tile(const GemmArgs& g, int64_t row, int64_t col, int64_t ahead) {
  static_assert(MR * NR <= 16);
  __m512 acc[16];
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) acc[i] = _mm512_setzero_ps();
  const Bf16 *x = g.x + row * g.k, *w = g.w + col * g.k;
  const int64_t distance = ahead * g.k;
  const auto step = [&](int64_t at, auto load) __attribute__((always_inline)) {
    __m512bh wv[NR];
#pragma GCC unroll 16
    for (int j = 0; j < NR; ++j) wv[j] = load(w + j * g.k + at);
#pragma GCC unroll 16
    for (int j = 0; j < kFetched; ++j) {
      fetch_to_l2(w + distance + j * g.k + at);
    }
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i) {
      const __m512bh xv = load(x + i * g.k + at);
#pragma GCC unroll 16
      for (int j = 0; j < NR; ++j) acc[i * NR + j] = _mm512_dpbf16_ps(acc[i * NR + j], xv, wv[j]);
    }
  };
  int64_t at = 0;
  for (; at + 32 <= g.k; at += 32) {
    step(
        at, [](const Bf16* p)
                __attribute__((always_inline)) { return (__m512bh)_mm512_loadu_si512(p); });
  }
  if (at < g.k) {
    const __mmask32 mask = (1u << (g.k - at)) - 1;
    step(
        at, [mask](const Bf16* p) __attribute__((always_inline)) {
          return (__m512bh)_mm512_maskz_loadu_epi16(mask, p);
        });
  }
  finish_tile<MR, NR>(g, (F32x16)reduce16(acc), row, col);
}

template <int MR, int NR, int kFetched>
void gemm_columns(const GemmArgs& g, int64_t row, int64_t n0, int64_t n1, int64_t ahead) {
  int64_t n = n0;
  for (; n + NR <= n1; n += NR) gemm_tile<MR, NR, kFetched>(g, row, n, ahead);
  for (; n < n1; ++n) gemm_tile<MR, 1, 0>(g, row, n, ahead);
}

// Rows [r0, r1) of x, columns [n0, n1). The first tiles of four rows share the fetching among them:
// one line for each 16 products at most, so that it never holds up the arithmetic.
void gemm_block(const GemmArgs& g, int64_t r0, int64_t r1, int64_t n0, int64_t n1, int64_t ahead) {
  const int64_t tiles = g.m / 4, last = r0 + (r1 - r0) / 4 * 4;
  int64_t n = n0;
  for (; n + 4 <= n1; n += 4) {
    for (int64_t row = r0; row < last; row += 4) {
      const int64_t tile = row / 4;
      if (tiles == 1) {
        gemm_tile<4, 4, 4>(g, row, n, ahead);
      } else if (tiles < 4 && tile < 2) {
        gemm_tile<4, 4, 2>(g, row, n, ahead + 2 * tile);
      } else if (tiles >= 4 && tile < 4) {
        gemm_tile<4, 4, 1>(g, row, n, ahead + tile);
      } else {
        gemm_tile<4, 4, 0>(g, row, n, ahead);
      }
    }
  }
  for (int64_t row = r0; row < last; row += 4) gemm_columns<4, 1, 0>(g, row, n, n1, ahead);
  if (r1 - last == 3) gemm_columns<3, 4, 0>(g, last, n0, n1, ahead);
  if (r1 - last == 2) gemm_columns<2, 4, 0>(g, last, n0, n1, ahead);
  if (r1 - last == 1) gemm_columns<1, 4, 0>(g, last, n0, n1, ahead);
}

void gemm(const GemmArgs& g) {
  const int64_t ahead = rows_ahead(g.k);
  if (g.m == 1) return gemm_columns<1, 16, 16>(g, 0, g.n0, g.n1, ahead);
  if (g.m == 2) return gemm_columns<2, 8, 8>(g, 0, g.n0, g.n1, ahead);
  if (g.m == 3) return gemm_columns<3, 4, 4>(g, 0, g.n0, g.n1, ahead);
  const int64_t rows = std::max<int64_t>(4, kRowsBytes / 8 / std::max<int64_t>(1, g.k) * 4);
  for (int64_t n = g.n0; n < g.n1; n += ahead) {
    for (int64_t row = 0; row < g.m; row += rows) {
      gemm_block(g, row, std::min(g.m, row + rows), n, std::min(g.n1, n + ahead), ahead);
    }
  }
}

}  // namespace
}  // namespace weft::kernels
#endif
