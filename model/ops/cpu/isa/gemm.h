/// Products straight from row-major weights, which a trainer may have changed a moment ago: no
/// packed copy is kept. Dot products run along k, a vector at a time, and every shape of tile adds
/// up in the same order: a row's result has the same bits whatever other rows are in the batch.
#pragma once

#include "model/ops/cpu/isa/vec.h"

namespace weft::kernels {
namespace {

#ifdef __AVX512BF16__
constexpr int kDots = 16;  // dot products at a time: with their factors they fit the registers
constexpr int kDotLanes = 16;
#else
constexpr int kDots = 8;
#ifdef __AVX__
constexpr int kDotLanes = 8;
#else
constexpr int kDotLanes = 4;
#endif
#endif

typedef float Sum __attribute__((vector_size(4 * kDotLanes)));
typedef uint32_t SumBits __attribute__((vector_size(4 * kDotLanes)));
typedef uint16_t HalfBits __attribute__((vector_size(2 * kDotLanes)));

// A vector of factors: kStep numbers of a row.
template <class T>
struct Factors;

template <>
struct Factors<float> {
  using Vec = Sum;
  static constexpr int64_t kStep = kDotLanes;
  WEFT_INLINE Vec load(const float* p) {
    Vec v;
    std::memcpy(&v, p, sizeof v);
    return v;
  }
  // The first `count` numbers, then zeros.
  WEFT_INLINE Vec load(const float* p, int64_t count) {
    Vec v = {};
    std::memcpy(&v, p, count * sizeof(float));
    return v;
  }
  WEFT_INLINE Sum fma(Sum sum, Vec a, Vec b) { return sum + a * b; }
};

#ifdef __AVX512BF16__
template <>
struct Factors<Bf16> {
  using Vec = __m512bh;
  static constexpr int64_t kStep = 32;
  WEFT_INLINE Vec load(const Bf16* p) { return (Vec)_mm512_loadu_si512(p); }
  WEFT_INLINE Vec load(const Bf16* p, int64_t count) {
    return (Vec)_mm512_maskz_loadu_epi16((1u << count) - 1, p);
  }
  WEFT_INLINE Sum fma(Sum sum, Vec a, Vec b) { return (Sum)_mm512_dpbf16_ps((__m512)sum, a, b); }
};

// The sums of the lanes of each of kDots vectors.
WEFT_INLINE F32x16 reduce(const Sum* sums) {
  const auto* v = reinterpret_cast<const __m512*>(sums);
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
  return (F32x16)_mm512_add_ps(_mm512_shuffle_f32x4(c, d, 0x88), _mm512_shuffle_f32x4(c, d, 0xdd));
}
#else
template <>
struct Factors<Bf16> {
  using Vec = Sum;
  static constexpr int64_t kStep = kDotLanes;
  WEFT_INLINE Vec load(const Bf16* p) { return load(p, kStep); }
  WEFT_INLINE Vec load(const Bf16* p, int64_t count) {
    HalfBits bits = {};
    std::memcpy(&bits, p, count * sizeof(Bf16));
    return (Vec)(__builtin_convertvector(bits, SumBits) << 16);
  }
  WEFT_INLINE Sum fma(Sum sum, Vec a, Vec b) { return sum + a * b; }
};

// The sums of the lanes of each of kDots vectors, then zeros.
WEFT_INLINE F32x16 reduce(const Sum* sums) {
  F32x16 result = {};
#pragma GCC unroll 8
  for (int i = 0; i < kDots; ++i) {
    float total = 0;
#pragma GCC unroll 8
    for (int lane = 0; lane < kDotLanes; lane += 4) {
      total += (sums[i][lane] + sums[i][lane + 1]) + (sums[i][lane + 2] + sums[i][lane + 3]);
    }
    result[i] = total;
  }
  return result;
}
#endif

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

template <int MR, int NR, class T>
WEFT_INLINE void finish_tile(const GemmArgs<T>& g, F32x16 sums, int64_t row, int64_t col) {
  const int64_t at = row * g.n + col;
  if (g.bias) sums += load_tile<MR, NR>(g.bias + col, 0);
  if (g.added) sums += load_tile<MR, NR>(g.added + at, g.n);
  if (g.f32) {
    store_tile<MR, NR>(sums, g.f32 + at, g.n);
  } else {
    store_tile<MR, NR>(sums, g.rounded + at, g.n);
  }
}

// Rows of x that stay in L1 while columns pass.
constexpr int64_t kRowsBytes = 24 << 10;

// Rows row.. (MR) of x times rows col.. (NR) of w, while rows col + ahead.. (kFetched) of w are
// fetched.
template <int MR, int NR, int kFetched, class T>
WEFT_INLINE void gemm_tile(const GemmArgs<T>& g, int64_t row, int64_t col, int64_t ahead) {
  static_assert(MR * NR <= kDots);
  using F = Factors<T>;
  Sum acc[kDots] = {};
  const T *x = g.x + row * g.k, *w = g.w + col * g.k;
  const int64_t distance = ahead * g.k;
  const auto step = [&](int64_t at, auto load) __attribute__((always_inline)) {
    typename F::Vec wv[NR];
#pragma GCC unroll 16
    for (int j = 0; j < NR; ++j) wv[j] = load(w + j * g.k + at);
#pragma GCC unroll 16
    for (int j = 0; j < kFetched; ++j) {
      fetch_to_l2(w + distance + j * g.k + at);
    }
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i) {
      const typename F::Vec xv = load(x + i * g.k + at);
#pragma GCC unroll 16
      for (int j = 0; j < NR; ++j) acc[i * NR + j] = F::fma(acc[i * NR + j], xv, wv[j]);
    }
  };
  int64_t at = 0;
  for (; at + F::kStep <= g.k; at += F::kStep) {
    step(
        at, [](const T* p) __attribute__((always_inline)) { return F::load(p); });
  }
  if (at < g.k) {
    const int64_t rest = g.k - at;
    step(
        at, [rest](const T* p) __attribute__((always_inline)) { return F::load(p, rest); });
  }
  finish_tile<MR, NR>(g, reduce(acc), row, col);
}

template <int MR, int NR, int kFetched, class T>
void gemm_columns(const GemmArgs<T>& g, int64_t row, int64_t n0, int64_t n1, int64_t ahead) {
  int64_t n = n0;
  for (; n + NR <= n1; n += NR) gemm_tile<MR, NR, kFetched>(g, row, n, ahead);
  for (; n < n1; ++n) gemm_tile<MR, 1, 0>(g, row, n, ahead);
}

// Rows [r0, r1) of x, columns [n0, n1). The first tiles of four rows share the fetching among them:
// one line for each 16 products at most, so that it never holds up the arithmetic.
template <class T>
void gemm_block(const GemmArgs<T>& g, int64_t r0, int64_t r1, int64_t n0, int64_t n1,
                int64_t ahead) {
  constexpr int NR = kDots / 4;
  const int64_t tiles = g.m / 4, last = r0 + (r1 - r0) / 4 * 4;
  int64_t n = n0;
  for (; n + NR <= n1; n += NR) {
    for (int64_t row = r0; row < last; row += 4) {
      const int64_t tile = row / 4;
      if (tiles == 1) {
        gemm_tile<4, NR, NR>(g, row, n, ahead);
      } else if (tiles < NR && tile < 2) {
        gemm_tile<4, NR, NR / 2>(g, row, n, ahead + NR / 2 * tile);
      } else if (tiles >= NR && tile < NR) {
        gemm_tile<4, NR, 1>(g, row, n, ahead + tile);
      } else {
        gemm_tile<4, NR, 0>(g, row, n, ahead);
      }
    }
  }
  for (int64_t row = r0; row < last; row += 4) gemm_columns<4, 1, 0>(g, row, n, n1, ahead);
  if (r1 - last == 3) gemm_columns<3, NR, 0>(g, last, n0, n1, ahead);
  if (r1 - last == 2) gemm_columns<2, NR, 0>(g, last, n0, n1, ahead);
  if (r1 - last == 1) gemm_columns<1, NR, 0>(g, last, n0, n1, ahead);
}

template <class T>
void gemm(const GemmArgs<T>& g) {
  const int64_t ahead = rows_ahead<T>(g.k);
  if (g.m == 1) return gemm_columns<1, kDots, kDots>(g, 0, g.n0, g.n1, ahead);
  if (g.m == 2) return gemm_columns<2, kDots / 2, kDots / 2>(g, 0, g.n0, g.n1, ahead);
  if (g.m == 3) return gemm_columns<3, kDots / 4, kDots / 4>(g, 0, g.n0, g.n1, ahead);
  constexpr auto kBytes = static_cast<int64_t>(4 * sizeof(T));  // of four rows, for each k
  const int64_t rows = std::max<int64_t>(4, kRowsBytes / kBytes / std::max<int64_t>(1, g.k) * 4);
  for (int64_t n = g.n0; n < g.n1; n += ahead) {
    for (int64_t row = 0; row < g.m; row += rows) {
      gemm_block(g, row, std::min(g.m, row + rows), n, std::min(g.n1, n + ahead), ahead);
    }
  }
}

}  // namespace
}  // namespace weft::kernels
