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

struct GemmOut {
  float* f32;
  Bf16* bf16;
  int64_t stride;
};

template <int MR, int NR, class T>
WEFT_INLINE void store_tile(F32x16 sums, T* out, int64_t stride) {
  alignas(64) T values[16];
  store16(values, sums);
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i) std::memcpy(out + i * stride, values + i * NR, NR * sizeof(T));
}

struct Gemm {
  const Bf16* x;
  int64_t ldx;
  const Bf16* w;
  int64_t k;
  int64_t m;
  int64_t ahead;  // rows of w between one in use and the one fetched meanwhile
  GemmOut out;
};

// Rows of x that stay in L1 while columns pass.
constexpr int64_t kRowsBytes = 24 << 10;

// Rows row.. (MR) of x times rows col.. (NR) of w, while rows col + ahead + first.. (kFetched) of w
// are fetched.
template <int MR, int NR, int kFetched>
WEFT_INLINE void gemm_tile(const Gemm& g, int64_t row, int64_t col, int64_t first = 0) {
  static_assert(MR * NR <= 16);
  __m512 acc[16];
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) acc[i] = _mm512_setzero_ps();
  const Bf16 *x = g.x + row * g.ldx, *w = g.w + col * g.k;
  const int64_t distance = (g.ahead + first) * g.k;
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
      const __m512bh xv = load(x + i * g.ldx + at);
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
  if (g.out.f32) {
    store_tile<MR, NR>((F32x16)reduce16(acc), g.out.f32 + row * g.out.stride + col, g.out.stride);
  } else {
    store_tile<MR, NR>((F32x16)reduce16(acc), g.out.bf16 + row * g.out.stride + col, g.out.stride);
  }
}

template <int MR, int NR, int kFetched>
void gemm_columns(const Gemm& g, int64_t row, int64_t n0, int64_t n1) {
  int64_t n = n0;
  for (; n + NR <= n1; n += NR) gemm_tile<MR, NR, kFetched>(g, row, n);
  for (; n < n1; ++n) gemm_tile<MR, 1, 0>(g, row, n);
}

// Rows [r0, r1) of x, columns [n0, n1). The first tiles of four rows share the fetching among them:
// one line for each 16 products at most, so that it never holds up the arithmetic.
void gemm_block(const Gemm& g, int64_t r0, int64_t r1, int64_t n0, int64_t n1) {
  const int64_t tiles = g.m / 4, last = r0 + (r1 - r0) / 4 * 4;
  int64_t n = n0;
  for (; n + 4 <= n1; n += 4) {
    for (int64_t row = r0; row < last; row += 4) {
      const int64_t tile = row / 4;
      if (tiles == 1) {
        gemm_tile<4, 4, 4>(g, row, n);
      } else if (tiles < 4 && tile < 2) {
        gemm_tile<4, 4, 2>(g, row, n, 2 * tile);
      } else if (tiles >= 4 && tile < 4) {
        gemm_tile<4, 4, 1>(g, row, n, tile);
      } else {
        gemm_tile<4, 4, 0>(g, row, n);
      }
    }
  }
  for (int64_t row = r0; row < last; row += 4) gemm_columns<4, 1, 0>(g, row, n, n1);
  if (r1 - last == 3) gemm_columns<3, 4, 0>(g, last, n0, n1);
  if (r1 - last == 2) gemm_columns<2, 4, 0>(g, last, n0, n1);
  if (r1 - last == 1) gemm_columns<1, 4, 0>(g, last, n0, n1);
}

void gemm(const Bf16* x, int64_t ldx, const Bf16* w, int64_t k, int64_t m, int64_t n0, int64_t n1,
          float* f32, Bf16* bf16, int64_t ldo) {
  const int64_t bytes = 2 * std::max<int64_t>(1, k);
  const int64_t ahead = std::max<int64_t>(16, kFetchAheadBytes / bytes / 16 * 16);
  const Gemm g{x, ldx, w, k, m, ahead, {f32, bf16, ldo}};
  if (m == 1) return gemm_columns<1, 16, 16>(g, 0, n0, n1);
  if (m == 2) return gemm_columns<2, 8, 8>(g, 0, n0, n1);
  if (m == 3) return gemm_columns<3, 4, 4>(g, 0, n0, n1);
  const int64_t rows = std::max<int64_t>(4, kRowsBytes / bytes / 4 * 4);
  for (int64_t n = n0; n < n1; n += ahead) {
    for (int64_t row = 0; row < m; row += rows) {
      gemm_block(g, row, std::min(m, row + rows), n, std::min(n1, n + ahead));
    }
  }
}

}  // namespace
}  // namespace weft::kernels
#endif
