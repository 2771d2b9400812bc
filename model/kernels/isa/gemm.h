/// bf16 products with few rows straight from row-major weights, which a trainer may have changed a
/// moment ago: no packed copy is kept. Dot products run along k; 16 of them are reduced together.
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

// MR rows of x times NR rows of w. kPrefetch: fetches the NR rows of w after these.
template <int MR, int NR, bool kPrefetch>
WEFT_INLINE void gemm_tile(const Bf16* x, int64_t ldx, const Bf16* w, int64_t k, int64_t row,
                           int64_t col, const GemmOut& out) {
  static_assert(MR * NR <= 16);
  __m512 acc[16];
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) acc[i] = _mm512_setzero_ps();
  const auto step = [&](int64_t at, auto load) __attribute__((always_inline)) {
    __m512bh wv[NR];
#pragma GCC unroll 16
    for (int j = 0; j < NR; ++j) {
      wv[j] = load(w + j * k + at);
      if (kPrefetch)
        _mm_prefetch(reinterpret_cast<const char*>(w + (j + NR) * k + at), _MM_HINT_T0);
    }
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i) {
      const __m512bh xv = load(x + i * ldx + at);
#pragma GCC unroll 16
      for (int j = 0; j < NR; ++j) acc[i * NR + j] = _mm512_dpbf16_ps(acc[i * NR + j], xv, wv[j]);
    }
  };
  int64_t at = 0;
  for (; at + 32 <= k; at += 32) {
    step(
        at, [](const Bf16* p)
                __attribute__((always_inline)) { return (__m512bh)_mm512_loadu_si512(p); });
  }
  if (at < k) {
    const __mmask32 mask = (1u << (k - at)) - 1;
    step(
        at, [mask](const Bf16* p) __attribute__((always_inline)) {
          return (__m512bh)_mm512_maskz_loadu_epi16(mask, p);
        });
  }
  alignas(64) float sums[16];
  _mm512_store_ps(sums, reduce16(acc));
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i) {
    const int64_t first = (row + i) * out.stride + col;
    for (int j = 0; j < NR; ++j) {
      if (out.f32) {
        out.f32[first + j] = sums[i * NR + j];
      } else {
        out.bf16[first + j] = from_float<Bf16>(sums[i * NR + j]);
      }
    }
  }
}

template <int MR, int NR>
WEFT_INLINE void gemm_columns(const Bf16* x, int64_t ldx, const Bf16* w, int64_t k, int64_t row,
                              int64_t n0, int64_t n1, const GemmOut& out) {
  int64_t n = n0;
  for (; n + NR <= n1; n += NR) gemm_tile<MR, NR, true>(x, ldx, w + n * k, k, row, n, out);
  for (; n < n1; ++n) gemm_tile<MR, 1, false>(x, ldx, w + n * k, k, row, n, out);
}

void gemm(const Bf16* x, int64_t ldx, const Bf16* w, int64_t k, int64_t m, int64_t n0, int64_t n1,
          float* f32, Bf16* bf16, int64_t ldo) {
  const GemmOut out{f32, bf16, ldo};
  if (m == 1) return gemm_columns<1, 16>(x, ldx, w, k, 0, n0, n1, out);
  if (m == 2) return gemm_columns<2, 8>(x, ldx, w, k, 0, n0, n1, out);
  for (int64_t n = n0; n < n1; n += 4) {
    const int64_t end = n + 4 < n1 ? n + 4 : n1;
    int64_t row = 0;
    if (end - n == 4) {
      const Bf16* columns = w + n * k;
      if (m >= 4) gemm_tile<4, 4, true>(x, ldx, columns, k, row, n, out), row += 4;
      for (; row + 4 <= m; row += 4) {
        gemm_tile<4, 4, false>(x + row * ldx, ldx, columns, k, row, n, out);
      }
    }
    for (; row + 4 <= m; row += 4) {
      gemm_columns<4, 4>(x + row * ldx, ldx, w, k, row, n, end, out);
    }
    const Bf16* rest = x + row * ldx;
    if (m - row == 3) gemm_columns<3, 4>(rest, ldx, w, k, row, n, end, out);
    if (m - row == 2) gemm_columns<2, 4>(rest, ldx, w, k, row, n, end, out);
    if (m - row == 1) gemm_columns<1, 4>(rest, ldx, w, k, row, n, end, out);
  }
}

}  // namespace
}  // namespace weft::kernels
#endif
