/// Attention over blocks with an online softmax (arXiv:2205.14135, algorithm 1).
#pragma once

#include "model/ops/cpu/isa/vec.h"

namespace weft::kernels {
namespace {

constexpr int64_t kChunkBlocks = 4;
constexpr int64_t kChunkTokens = kChunkBlocks * kBlockTokens;

// scores [R rows of 64] of R query rows against NB blocks, while the keys of NB others are fetched
// (null: none).
template <class T, int R, int NB>
WEFT_INLINE void block_scores(const T* q, int64_t dim, const T* const* blocks,
                              const T* const* fetched, float* scores) {
  using D = Dot<T>;
  F32x16 acc[R][NB] = {};
  for (int64_t d = 0; d < dim; d += D::kPair) {
    typename D::Vec keys[NB];
#pragma GCC unroll 4
    for (int j = 0; j < NB; ++j) keys[j] = D::load(blocks[j] + d * kBlockTokens);
    if (fetched) {
#pragma GCC unroll 4
      for (int j = 0; j < NB; ++j) fetch_to_l2(fetched[j] + d * kBlockTokens);
    }
#pragma GCC unroll 4
    for (int i = 0; i < R; ++i) {
      const typename D::Vec query = D::broadcast(q + i * dim + d);
#pragma GCC unroll 4
      for (int j = 0; j < NB; ++j) acc[i][j] = D::fma(acc[i][j], keys[j], query);
    }
  }
#pragma GCC unroll 4
  for (int i = 0; i < R; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < NB; ++j) store16(scores + i * kChunkTokens + j * 16, acc[i][j]);
  }
}

template <class T, int R>
WEFT_INLINE void chunk_scores(const T* q, int64_t dim, const T* const* blocks, int64_t num_blocks,
                              float* scores, const T* const* fetched = nullptr) {
  if (num_blocks == kChunkBlocks) {
    return block_scores<T, R, kChunkBlocks>(q, dim, blocks, fetched, scores);
  }
  for (int64_t j = 0; j < num_blocks; ++j) {
    block_scores<T, R, 1>(q, dim, blocks + j, fetched ? fetched + j : nullptr,
                          scores + j * kBlockTokens);
  }
}

// out [R, dim] = out * rescale + weights [R, 64] values, while the values of others are fetched.
template <class T, int R, int NV>
WEFT_INLINE void add_values(const T* weights, const float* rescale, const T* const* blocks,
                            int64_t num_blocks, int64_t dim, int64_t d, float* out,
                            const T* const* fetched = nullptr) {
  using D = Dot<T>;
  constexpr int64_t p = D::kPair;
  F32x16 acc[R][NV];
#pragma GCC unroll 4
  for (int i = 0; i < R; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < NV; ++j) acc[i][j] = load16(out + i * dim + d + j * 16) * rescale[i];
  }
  for (int64_t b = 0; b < num_blocks; ++b) {
    const T* values = blocks[b] + dim * kBlockTokens + d * p;
    for (int64_t t = 0; t < kBlockTokens; t += p, values += dim * p) {
      typename D::Vec v[NV];
#pragma GCC unroll 4
      for (int j = 0; j < NV; ++j) v[j] = D::load(values + j * 16 * p);
      if (fetched) {
#pragma GCC unroll 4
        for (int j = 0; j < NV; ++j) fetch_to_l2(fetched[b] + (values - blocks[b]) + j * 16 * p);
      }
#pragma GCC unroll 4
      for (int i = 0; i < R; ++i) {
        const typename D::Vec w = D::broadcast(weights + i * kChunkTokens + b * kBlockTokens + t);
#pragma GCC unroll 4
        for (int j = 0; j < NV; ++j) acc[i][j] = D::fma(acc[i][j], v[j], w);
      }
    }
  }
#pragma GCC unroll 4
  for (int i = 0; i < R; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < NV; ++j) store16(out + i * dim + d + j * 16, acc[i][j]);
  }
}

// Masks and exponentiates one row of scores; returns the factor for what was summed before.
template <class T>
WEFT_INLINE float soften(float* scores, const AttendArgs<T>& a, int64_t row, int64_t first,
                         int64_t num_blocks, T* weights, float* peak, float* sum) {
  F32x16 s[kChunkBlocks], top = F32x16{} + kNegativeInfinity;
  const I32x16 lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  for (int64_t j = 0; j < num_blocks; ++j) {
    const int64_t b = first + j;
    const int32_t room = a.limit[row] - a.base[b];
    const int32_t visible = room < a.count[b] ? room : a.count[b];
    s[j] = load16(scores + j * kBlockTokens) * a.scale;
    s[j] = lane < visible ? s[j] : F32x16{} + kNegativeInfinity;
    top = max(top, s[j]);
  }
  const float highest = max16(top);
  const float previous = *peak;
  const float now = previous < highest ? highest : previous;
  if (now == kNegativeInfinity) {
    for (int64_t j = 0; j < num_blocks; ++j) store16(weights + j * kBlockTokens, F32x16{});
    return 1.0f;
  }
  F32x16 total = {};
  for (int64_t j = 0; j < num_blocks; ++j) {
    const F32x16 e = exp16(s[j] - now);
    total += e;
    store16(weights + j * kBlockTokens, e);
  }
  if (previous == now) {
    *sum += sum16(total);
    return 1.0f;
  }
  const float factor = previous == kNegativeInfinity ? 0.0f : std::exp(previous - now);
  *sum = *sum * factor + sum16(total);
  *peak = now;
  return factor;
}

// Query rows [row, row + R) and the blocks from b on, kChunkBlocks or as many as they see. `peak`
// and `sum` are those of the rows.
template <class T, int R>
WEFT_INLINE void attend_chunk(const AttendArgs<T>& a, int64_t row, int64_t b, float* peak,
                              float* sum) {
  const int64_t dim = a.dim;
  float* out = a.out + row * dim;
  int32_t furthest = 0;
  for (int i = 0; i < R; ++i) furthest = furthest < a.limit[row + i] ? a.limit[row + i] : furthest;
  if (a.base[b] >= furthest) return;
  int64_t blocks = a.num_blocks - b < kChunkBlocks ? a.num_blocks - b : kChunkBlocks;
  while (blocks > 1 && a.base[b + blocks - 1] >= furthest) --blocks;
  const T* const* fetched = a.fetched && row == 0 ? a.fetched + b : nullptr;
  float factor[R];
  alignas(64) float scores[R * kChunkTokens];
  alignas(64) T weights[R * kChunkTokens];
  chunk_scores<T, R>(a.q + row * dim, dim, a.blocks + b, blocks, scores, fetched);
  for (int i = 0; i < R; ++i) {
    factor[i] = soften(scores + i * kChunkTokens, a, row + i, b, blocks, weights + i * kChunkTokens,
                       &peak[i], &sum[i]);
  }
  int64_t d = 0;
  for (; d + 64 <= dim; d += 64) {
    add_values<T, R, 4>(weights, factor, a.blocks + b, blocks, dim, d, out, fetched);
  }
  for (; d < dim; d += 16) {
    add_values<T, R, 1>(weights, factor, a.blocks + b, blocks, dim, d, out, fetched);
  }
}

constexpr int64_t kStripRows = 64;

// Query rows [row, row + rows), at most kStripRows: all of them see a chunk of keys while it is in
// the first cache.
template <class T>
void attend_strip(const AttendArgs<T>& a, int64_t row, int64_t rows) {
  float peak[kStripRows], sum[kStripRows];
  float* out = a.out + row * a.dim;
  int32_t furthest = 0;
  for (int64_t i = 0; i < rows; ++i) {
    peak[i] = kNegativeInfinity;
    sum[i] = 0;
    furthest = furthest < a.limit[row + i] ? a.limit[row + i] : furthest;
  }
  for (int64_t i = 0; i < rows * a.dim; ++i) out[i] = 0;
  for (int64_t b = 0; b < a.num_blocks && a.base[b] < furthest; b += kChunkBlocks) {
    int64_t i = 0;
    for (; i + 4 <= rows; i += 4) attend_chunk<T, 4>(a, row + i, b, peak + i, sum + i);
    if (rows - i == 3) attend_chunk<T, 3>(a, row + i, b, peak + i, sum + i);
    if (rows - i == 2) attend_chunk<T, 2>(a, row + i, b, peak + i, sum + i);
    if (rows - i == 1) attend_chunk<T, 1>(a, row + i, b, peak + i, sum + i);
  }
  for (int64_t i = 0; i < rows; ++i) {
    const float inverse = 1.0f / sum[i];
    for (int64_t d = 0; d < a.dim; ++d) out[i * a.dim + d] *= inverse;
    a.lse[row + i] = peak[i] + std::log(sum[i]);
  }
}

template <class T>
void attend(const AttendArgs<T>& a) {
  for (int64_t row = 0; row < a.rows; row += kStripRows) {
    attend_strip(a, row, a.rows - row < kStripRows ? a.rows - row : kStripRows);
  }
}

}  // namespace
}  // namespace weft::kernels
