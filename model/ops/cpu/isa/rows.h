/// Norm, activation and rotary loops over rows. See RowKernels.
#pragma once

#include "model/ops/cpu/isa/vec.h"

namespace weft::kernels {
namespace {

template <class T>
void rms_norm(T* x, const T* delta, const T* w, T* y, float* rstd, int64_t rows, int64_t dim,
              float eps) {
  const int64_t vectors = dim / 16 * 16;
  for (int64_t r = 0; r < rows; ++r, x += dim, y += dim) {
    F32x16 sums = {};
    float sum = 0;
    if (delta) {
      const T* d = delta + r * dim;
      for (int64_t i = 0; i < vectors; i += 16) store16(x + i, load16(x + i) + load16(d + i));
      for (int64_t i = vectors; i < dim; ++i) x[i] = from_float<T>(to_float(x[i]) + to_float(d[i]));
    }
    for (int64_t i = 0; i < vectors; i += 16) {
      const F32x16 v = load16(x + i);
      sums += v * v;
    }
    for (int64_t i = vectors; i < dim; ++i) sum += to_float(x[i]) * to_float(x[i]);
    const float inverse = 1.0f / std::sqrt((sum + sum16(sums)) / static_cast<float>(dim) + eps);
    if (rstd) rstd[r] = inverse;
    for (int64_t i = 0; i < vectors; i += 16) {
      store16(y + i, load16(x + i) * inverse * load16(w + i));
    }
    for (int64_t i = vectors; i < dim; ++i) {
      y[i] = from_float<T>(to_float(x[i]) * inverse * to_float(w[i]));
    }
  }
}

// With n = x rstd and g = gy w: gx = rstd (g - n mean(g n)), gw = sum over rows of gy n.
template <class T>
void rms_norm_backward(const T* gy, const T* x, const T* w, const float* rstd, T* gx, float* gw,
                       int64_t rows, int64_t dim) {
  const int64_t vectors = dim / 16 * 16;
  for (int64_t r = 0; r < rows; ++r, gy += dim, x += dim, gx += dim) {
    const float s = rstd[r];
    F32x16 dots = {};
    float dot = 0;
    for (int64_t i = 0; i < vectors; i += 16) {
      const F32x16 n = load16(x + i) * s, g = load16(gy + i);
      if (gw) store16(gw + i, load16(gw + i) + g * n);
      dots += g * load16(w + i) * n;
    }
    for (int64_t i = vectors; i < dim; ++i) {
      const float n = to_float(x[i]) * s, g = to_float(gy[i]);
      if (gw) gw[i] += g * n;
      dot += g * to_float(w[i]) * n;
    }
    const float mean = (dot + sum16(dots)) / static_cast<float>(dim);
    for (int64_t i = 0; i < vectors; i += 16) {
      store16(gx + i, (load16(gy + i) * load16(w + i) - load16(x + i) * (s * mean)) * s);
    }
    for (int64_t i = vectors; i < dim; ++i) {
      gx[i] = from_float<T>((to_float(gy[i]) * to_float(w[i]) - to_float(x[i]) * s * mean) * s);
    }
  }
}

WEFT_INLINE F32x16 sigmoid16(F32x16 x) { return 1.0f / (1.0f + exp16(-x)); }

template <class T>
void silu_mul(const T* gate_up, T* y, int64_t rows, int64_t dim) {
  const int64_t vectors = dim / 16 * 16;
  for (int64_t r = 0; r < rows; ++r, gate_up += 2 * dim, y += dim) {
    const T* up = gate_up + dim;
    for (int64_t i = 0; i < vectors; i += 16) {
      const F32x16 g = load16(gate_up + i);
      store16(y + i, g * sigmoid16(g) * load16(up + i));
    }
    for (int64_t i = vectors; i < dim; ++i) {
      const float g = to_float(gate_up[i]);
      y[i] = from_float<T>(g / (1.0f + std::exp(-g)) * to_float(up[i]));
    }
  }
}

template <class T>
void silu_mul_backward(const T* gy, const T* gate_up, T* g_gate_up, int64_t rows, int64_t dim) {
  const int64_t vectors = dim / 16 * 16;
  for (int64_t r = 0; r < rows; ++r, gy += dim, gate_up += 2 * dim, g_gate_up += 2 * dim) {
    for (int64_t i = 0; i < vectors; i += 16) {
      const F32x16 gate = load16(gate_up + i), up = load16(gate_up + dim + i), g = load16(gy + i);
      const F32x16 s = sigmoid16(gate);
      store16(g_gate_up + i, g * up * s * (1.0f + gate * (1.0f - s)));
      store16(g_gate_up + dim + i, g * gate * s);
    }
    for (int64_t i = vectors; i < dim; ++i) {
      const float gate = to_float(gate_up[i]), up = to_float(gate_up[dim + i]);
      const float g = to_float(gy[i]), s = 1.0f / (1.0f + std::exp(-gate));
      g_gate_up[i] = from_float<T>(g * up * s * (1.0f + gate * (1.0f - s)));
      g_gate_up[dim + i] = from_float<T>(g * gate * s);
    }
  }
}

// Pairs are (i, i + dim / 2), as in Hugging Face's checkpoints.
template <class T>
void rope(T* x, const float* table, float sign, int64_t heads, int64_t dim) {
  const int64_t half = dim / 2;
  for (int64_t h = 0; h < heads; ++h, x += dim) {
    for (int64_t i = 0; i < half; ++i) {
      const float c = table[i], s = sign * table[half + i];
      const float a = to_float(x[i]), b = to_float(x[half + i]);
      x[i] = from_float<T>(a * c - b * s);
      x[half + i] = from_float<T>(b * c + a * s);
    }
  }
}

template <class T>
void store_kv(T* block, const T* k, const T* v, int64_t slot, int64_t dim) {
  constexpr int64_t p = Dot<T>::kPair;
  const int64_t stored = padded_dim(dim);
  T* values = block + stored * kBlockTokens + slot / p * stored * p + slot % p;
  for (int64_t d = 0; d < dim; ++d) {
    block[d / p * kBlockTokens * p + slot * p + d % p] = k[d];
    values[d * p] = v[d];
  }
}

template <class T>
float dot(const T* x, const T* y, int64_t n) {
  F32x16 sums = {};
  float sum = 0;
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) sums += load16(x + i) * load16(y + i);
  for (; i < n; ++i) sum += to_float(x[i]) * to_float(y[i]);
  return sum + sum16(sums);
}

template <class T>
double sum_of_squares(const T* x, int64_t n) {
  typedef float F32x8 __attribute__((vector_size(32)));
  typedef double F64x8 __attribute__((vector_size(64)));
  F64x8 sums[2] = {};
  double sum = 0;
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) {
    const F32x16 v = load16(x + i);
    F32x8 halves[2];
    std::memcpy(halves, &v, sizeof v);
    for (int h = 0; h < 2; ++h) {
      const F64x8 wide = __builtin_convertvector(halves[h], F64x8);
      sums[h] += wide * wide;
    }
  }
  for (; i < n; ++i) {
    const double wide = to_float(x[i]);
    sum += wide * wide;
  }
  for (int lane = 0; lane < 8; ++lane) sum += sums[0][lane] + sums[1][lane];
  return sum;
}

template <class T>
void narrow(const float* x, T* y, int64_t n) {
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) store16(y + i, load16(x + i));
  for (; i < n; ++i) y[i] = from_float<T>(x[i]);
}

// Adding and subtracting 1.5 * 2^23 leaves the nearest whole number.
template <class T>
float round_row(const T* x, int16_t* q, int64_t n, float limit) {
  constexpr float kShift = 12582912.0f;
  F32x16 tops = {}, poisons = {};
  float top = 0, poison = 0;
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) {
    const F32x16 v = load16(x + i);
    tops = max(tops, max(v, -v));
    poisons += v * 0.0f;
  }
  for (; i < n; ++i) {
    top = std::max(top, std::abs(to_float(x[i])));
    poison += to_float(x[i]) * 0.0f;
  }
  top = std::max(top, max16(tops));
  poison += sum16(poisons);
  if (poison != 0 || top < 1e-30f) {
    std::fill(q, q + n, int16_t{0});
    return poison;
  }
  const float inverse = limit / top;
  for (i = 0; i + 16 <= n; i += 16) {
    const F32x16 whole = load16(x + i) * inverse + kShift - kShift;
    const auto narrowed = __builtin_convertvector(__builtin_convertvector(whole, I32x16), I16x16);
    std::memcpy(q + i, &narrowed, sizeof narrowed);
  }
  for (; i < n; ++i) {
    q[i] = static_cast<int16_t>(to_float(x[i]) * inverse + kShift - kShift);
  }
  return top / limit;
}

}  // namespace
}  // namespace weft::kernels
