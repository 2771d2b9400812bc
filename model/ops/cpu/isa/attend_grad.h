/// Backward of attention over blocks: weights are recomputed from the stored log-sum-exp
/// (arXiv:2205.14135, algorithm 4), once for the queries and once for keys and values, so that no
/// two threads add to one place.
#pragma once

#include "model/ops/cpu/isa/attend.h"

namespace weft::kernels {
namespace {

template <class T, int R>
WEFT_INLINE void add_all_values(const T* weights, const T* const* blocks, int64_t num_blocks,
                                int64_t dim, float* out) {
  constexpr float kKeep[4] = {1, 1, 1, 1};
  int64_t d = 0;
  for (; d + 64 <= dim; d += 64) {
    add_values<T, R, 4>(weights, kKeep, blocks, num_blocks, dim, d, out);
  }
  for (; d < dim; d += 16) {
    add_values<T, R, 1>(weights, kKeep, blocks, num_blocks, dim, d, out);
  }
}

constexpr I32x16 kLanes = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

template <class T, int R>
void query_grad_rows(const AttendQueryGradArgs<T>& a, int64_t row) {
  const int64_t dim = a.dim;
  alignas(64) float scores[R * kChunkTokens], g_weights[R * kChunkTokens];
  alignas(64) T g_scores[R * kChunkTokens];
  float* out = a.g_q + row * dim;
  for (int64_t i = 0; i < R * dim; ++i) out[i] = 0;
  int32_t furthest = 0;
  for (int i = 0; i < R; ++i) furthest = std::max(furthest, a.limit[row + i]);
  for (int64_t b = 0; b < a.num_blocks && a.base[b] < furthest; b += kChunkBlocks) {
    int64_t blocks = std::min(kChunkBlocks, a.num_blocks - b);
    while (blocks > 1 && a.base[b + blocks - 1] >= furthest) --blocks;
    chunk_scores<T, R>(a.q + row * dim, dim, a.k_blocks + b, blocks, scores);
    chunk_scores<T, R>(a.g_out + row * dim, dim, a.v_blocks + b, blocks, g_weights);
    for (int i = 0; i < R; ++i) {
      for (int64_t j = 0; j < blocks; ++j) {
        const int64_t at = i * kChunkTokens + j * kBlockTokens;
        const int32_t visible = std::min(a.limit[row + i] - a.base[b + j], a.count[b + j]);
        const F32x16 weight = exp16(load16(scores + at) * a.scale - a.lse[row + i]);
        const F32x16 g = weight * (load16(g_weights + at) - a.delta[row + i]) * a.scale;
        store16(g_scores + at, kLanes < visible ? g : F32x16{});
      }
    }
    add_all_values<T, R>(g_scores, a.k_blocks + b, blocks, dim, out);
  }
}

template <class T, int R>
void key_grad_rows(const AttendKeyGradArgs<T>& a, int64_t row) {
  const int64_t dim = a.dim;
  alignas(64) float scores[R * kChunkTokens], g_weights[R * kChunkTokens];
  alignas(64) T g_scores[R * kChunkTokens], weights[R * kChunkTokens];
  float *g_k = a.g_k + row * dim, *g_v = a.g_v + row * dim;
  for (int64_t i = 0; i < R * dim; ++i) g_k[i] = g_v[i] = 0;
  for (int64_t b = 0; b < a.num_blocks; b += kChunkBlocks) {
    const int64_t blocks = std::min(kChunkBlocks, a.num_blocks - b);
    chunk_scores<T, R>(a.k + row * dim, dim, a.q_blocks + b, blocks, scores);
    chunk_scores<T, R>(a.v + row * dim, dim, a.g_blocks + b, blocks, g_weights);
    for (int i = 0; i < R; ++i) {
      for (int64_t j = 0; j < blocks; ++j) {
        const int64_t at = i * kChunkTokens + j * kBlockTokens;
        I32x16 limit;
        std::memcpy(&limit, a.limit[b + j], sizeof limit);
        const I32x16 visible = limit > a.index[row + i];
        F32x16 weight = exp16(load16(scores + at) * a.scale - load16(a.lse[b + j]));
        weight = visible ? weight : F32x16{};
        store16(weights + at, weight);
        store16(g_scores + at,
                weight * (load16(g_weights + at) - load16(a.delta[b + j])) * a.scale);
      }
    }
    add_all_values<T, R>(g_scores, a.q_blocks + b, blocks, dim, g_k);
    add_all_values<T, R>(weights, a.g_blocks + b, blocks, dim, g_v);
  }
}

template <class T>
void attend_query_grad(const AttendQueryGradArgs<T>& a) {
  int64_t row = 0;
  for (; row + 4 <= a.rows; row += 4) query_grad_rows<T, 4>(a, row);
  for (; row < a.rows; ++row) query_grad_rows<T, 1>(a, row);
}

template <class T>
void attend_key_grad(const AttendKeyGradArgs<T>& a) {
  int64_t row = 0;
  for (; row + 4 <= a.rows; row += 4) key_grad_rows<T, 4>(a, row);
  for (; row < a.rows; ++row) key_grad_rows<T, 1>(a, row);
}

}  // namespace
}  // namespace weft::kernels
