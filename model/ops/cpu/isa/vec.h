/// Vectors of 16 floats in GCC's vector extension: each instruction set lowers them its own way.
/// Included once by every isa/table_*.cpp, inside no namespace.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#ifdef __AVX2__
#include <immintrin.h>
#endif

#include "model/ops/cpu/kernel_table.h"

#define WEFT_INLINE static inline __attribute__((always_inline))
/// A function that rounds alike wherever it is called from: inlined, its sums and products would be
/// contracted as their surroundings suggest.
#define WEFT_ONE_CODE __attribute__((noinline, noclone))

namespace weft::kernels {
namespace {

typedef float F32x16 __attribute__((vector_size(64)));
typedef float F32x4 __attribute__((vector_size(16)));
typedef int32_t I32x16 __attribute__((vector_size(64)));
typedef uint32_t U32x16 __attribute__((vector_size(64)));
typedef int16_t I16x16 __attribute__((vector_size(32)));
typedef uint16_t U16x16 __attribute__((vector_size(32)));

constexpr float kNegativeInfinity = -__builtin_inff();

WEFT_INLINE float to_float(float x) { return x; }
WEFT_INLINE float to_float(Bf16 x) {
  return std::bit_cast<float>(static_cast<uint32_t>(x.bits) << 16);
}

template <class T>
T from_float(float x);
template <>
inline float from_float<float>(float x) {
  return x;
}
template <>
inline Bf16 from_float<Bf16>(float x) {
  const uint32_t u = std::bit_cast<uint32_t>(x);
  return {static_cast<uint16_t>((u + 0x7fff + ((u >> 16) & 1)) >> 16)};
}

WEFT_INLINE F32x16 load16(const float* p) {
  F32x16 v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
WEFT_INLINE F32x16 load16(const Bf16* p) {
  U16x16 h;
  std::memcpy(&h, p, sizeof h);
  return (F32x16)(__builtin_convertvector(h, U32x16) << 16);
}
WEFT_INLINE void store16(float* p, F32x16 v) { std::memcpy(p, &v, sizeof v); }
/// The bits of 16 bf16.
WEFT_INLINE U16x16 narrow16(F32x16 v) {
  const U32x16 u = (U32x16)v;
  return __builtin_convertvector((u + 0x7fff + ((u >> 16) & 1)) >> 16, U16x16);
}
WEFT_INLINE void store16(Bf16* p, F32x16 v) {
  const U16x16 h = narrow16(v);
  std::memcpy(p, &h, sizeof h);
}

WEFT_INLINE float sum16(F32x16 v) {
  F32x4 q[4];
  std::memcpy(q, &v, sizeof v);
  const F32x4 s = (q[0] + q[1]) + (q[2] + q[3]);
  return (s[0] + s[1]) + (s[2] + s[3]);
}
WEFT_INLINE float max16(F32x16 v) {
  F32x4 q[4];
  std::memcpy(q, &v, sizeof v);
  const auto larger = [](auto a, auto b) { return a < b ? b : a; };
  const F32x4 m = larger(larger(q[0], q[1]), larger(q[2], q[3]));
  return larger(larger(m[0], m[1]), larger(m[2], m[3]));
}
WEFT_INLINE F32x16 max(F32x16 a, F32x16 b) { return a < b ? b : a; }

/// Into L2, not L1: that one keeps track of too few misses to keep the memory busy.
template <class T>
WEFT_INLINE void fetch_to_l2(const T* p) {
  __builtin_prefetch(p, 0, 2);
}

/// Rows of a matrix [*, k] of T between the one in use and the one to be fetched, a multiple of 16.
template <class T>
WEFT_INLINE int64_t rows_ahead(int64_t k) {
  const int64_t bytes = static_cast<int64_t>(sizeof(T)) * std::max<int64_t>(1, k);
  return std::max<int64_t>(16, kFetchAheadBytes / bytes / 16 * 16);
}

/// e^x to 2 ulp; 0 below -87.3, about 1.6e38 above 88; NaN gives an unspecified number.
WEFT_INLINE F32x16 exp16(F32x16 x) {
  const F32x16 zero = {};
  const F32x16 low = zero - 87.33f, high = zero + 88.0f;
  const I32x16 tiny = x < low;
  x = x < low ? low : x;
  x = x > high ? high : x;
  const F32x16 shifted = x * 1.44269504f + 12582912.0f;
  const F32x16 n = shifted - 12582912.0f;
  F32x16 r = x - n * 0.693359375f;
  r = r + n * 2.12194440e-4f;
  F32x16 p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  const I32x16 exponent = __builtin_convertvector(n, I32x16) + 127;
  const F32x16 result = p * (F32x16)(exponent << 23);
  return tiny ? zero : result;
}

/// 16-lane multiply-add over one element (f32) or a pair of elements (bf16) of the reduced axis.
template <class T>
struct Dot;

template <>
struct Dot<float> {
  using Vec = F32x16;
  static constexpr int64_t kPair = 1;
  WEFT_INLINE Vec load(const float* p) { return load16(p); }
  WEFT_INLINE Vec broadcast(const float* p) { return Vec{} + *p; }
  WEFT_INLINE F32x16 fma(F32x16 acc, Vec a, Vec b) { return acc + a * b; }
};

#ifdef __AVX512BF16__
template <>
struct Dot<Bf16> {
  using Vec = __m512bh;
  static constexpr int64_t kPair = 2;
  WEFT_INLINE Vec load(const Bf16* p) { return (Vec)_mm512_loadu_si512(p); }
  WEFT_INLINE Vec broadcast(const Bf16* p) {
    int32_t pair;
    std::memcpy(&pair, p, sizeof pair);
    return (Vec)_mm512_set1_epi32(pair);
  }
  WEFT_INLINE F32x16 fma(F32x16 acc, Vec a, Vec b) {
    return (F32x16)_mm512_dpbf16_ps((__m512)acc, a, b);
  }
};
#else
template <>
struct Dot<Bf16> {
  using Vec = U32x16;
  static constexpr int64_t kPair = 2;
  WEFT_INLINE Vec load(const Bf16* p) {
    Vec v;
    std::memcpy(&v, p, sizeof v);
    return v;
  }
  WEFT_INLINE Vec broadcast(const Bf16* p) {
    uint32_t pair;
    std::memcpy(&pair, p, sizeof pair);
    return Vec{} + pair;
  }
  WEFT_INLINE F32x16 fma(F32x16 acc, Vec a, Vec b) {
    acc = acc + (F32x16)(a << 16) * (F32x16)(b << 16);
    return acc + (F32x16)(a & 0xffff0000u) * (F32x16)(b & 0xffff0000u);
  }
};
#endif

}  // namespace
}  // namespace weft::kernels
