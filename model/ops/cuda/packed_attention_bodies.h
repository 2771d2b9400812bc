/// Bodies of attention inside packed sequences, forward and backward, for whatever shapes and
/// dtypes LibTorch's flash attention does not take; fp32 online softmax (arXiv:2205.14135,
/// algorithms 1 and 4). No sum depends on the order of blocks: queries gather over keys, and keys
/// over the queries that see them.
#pragma once

#include "model/ops/cuda/cuda_library.h"
#include "model/ops/cuda/simt.h"

namespace weft::cuda {

/// Keys, or queries, that a block looks at together.
constexpr int kPackedChunk = 32;

/// Bytes of shared memory that each body needs.
inline int64_t packed_attention_shared(const PackedAttention& a) {
  return (4 * a.head_dim + 2 * kPackedChunk + 2 * kWarp) * static_cast<int64_t>(sizeof(float));
}

template <class T>
WEFT_SIMT const T* packed_query(const PackedAttention& a, int64_t row, int64_t head) {
  return static_cast<const T*>(a.qkv) + (row * (a.heads + 2 * a.kv_heads) + head) * a.head_dim;
}
template <class T>
WEFT_SIMT const T* packed_key(const PackedAttention& a, int64_t row, int64_t kv_head) {
  return packed_query<T>(a, row, a.heads + kv_head);
}
template <class T>
WEFT_SIMT const T* packed_value(const PackedAttention& a, int64_t row, int64_t kv_head) {
  return packed_query<T>(a, row, a.heads + a.kv_heads + kv_head);
}

/// How many rows `row` sees, and the i-th of them.
WEFT_SIMT int64_t packed_context(const PackedRows& rows, int64_t row) {
  return rows.prompt_last[row] - rows.prompt_first[row] + row + 1 - rows.first[row];
}
WEFT_SIMT int64_t packed_seen(const PackedRows& rows, int64_t row, int64_t i) {
  const int64_t shared = rows.prompt_last[row] - rows.prompt_first[row];
  return i < shared ? rows.prompt_first[row] + i : rows.first[row] + i - shared;
}

/// A warp's dot product of a vector in shared memory with one of T, for every lane.
template <class T, class Block, class Shared>
WEFT_SIMT float warp_dot(Block& block, Shared x, const T* y, int64_t dim) {
  float sum = 0;
  for (int64_t d = block.thread() % kWarp; d < dim; d += kWarp) sum += x[d] * to_float(y[d]);
  return reduce_warp(block, sum, Add());
}

/// One block a row and head (the grid's y).
template <class T, class Block>
WEFT_SIMT void packed_attention_body(Block& block, const PackedAttention& a) {
  const int64_t row = block.x(), head = block.y(), g = head / (a.heads / a.kv_heads);
  const int64_t dim = a.head_dim, context = packed_context(a.sees, row);
  const int warp = block.thread() / kWarp, warps = block.size() / kWarp;
  const auto q = block.template shared<float>(0);
  const auto sums = q + dim;
  const auto scores = sums + dim;
  for (int64_t d = block.thread(); d < dim; d += block.size()) {
    q[d] = to_float(packed_query<T>(a, row, head)[d]) * a.scale;
    sums[d] = 0;
  }
  block.sync();
  float peak = -INFINITY, total = 0;
  for (int64_t begin = 0; begin < context; begin += kPackedChunk) {
    const int count =
        static_cast<int>(context - begin < kPackedChunk ? context - begin : kPackedChunk);
    for (int t = warp; t < count; t += warps) {
      const float dot =
          warp_dot(block, q, packed_key<T>(a, packed_seen(a.sees, row, begin + t), g), dim);
      if (block.thread() % kWarp == 0) scores[t] = dot;
    }
    block.sync();
    float highest = peak;
    for (int t = 0; t < count; ++t) highest = Max()(highest, static_cast<float>(scores[t]));
    const float factor = expf(peak - highest);
    total *= factor;
    for (int t = 0; t < count; ++t) total += expf(scores[t] - highest);
    peak = highest;
    for (int64_t d = block.thread(); d < dim; d += block.size()) {
      float sum = sums[d] * factor;
      for (int t = 0; t < count; ++t) {
        sum += expf(scores[t] - highest) *
               to_float(packed_value<T>(a, packed_seen(a.sees, row, begin + t), g)[d]);
      }
      sums[d] = sum;
    }
    block.sync();
  }
  T* out = static_cast<T*>(a.out) + (row * a.heads + head) * dim;
  for (int64_t d = block.thread(); d < dim; d += block.size()) {
    out[d] = from_float<T>(sums[d] / total);
  }
  if (block.thread() == 0) a.lse[row * a.heads + head] = peak + logf(total);
}

/// One block a row and head (the grid's y): the query's gradient, and delta, the sum of g_out out.
template <class T, class Block>
WEFT_SIMT void packed_query_gradient_body(Block& block, const PackedAttentionBackward& b) {
  const PackedAttention& a = b.forward;
  const int64_t row = block.x(), head = block.y(), g = head / (a.heads / a.kv_heads);
  const int64_t dim = a.head_dim, context = packed_context(a.sees, row);
  const int64_t at = (row * a.heads + head) * dim;
  const int warp = block.thread() / kWarp, warps = block.size() / kWarp;
  const auto q = block.template shared<float>(0);
  const auto grad = q + dim;
  const auto sums = grad + dim;
  const auto slopes = sums + dim;
  const auto scratch = slopes + kPackedChunk;
  float delta[1] = {0};
  for (int64_t d = block.thread(); d < dim; d += block.size()) {
    q[d] = to_float(packed_query<T>(a, row, head)[d]) * a.scale;
    grad[d] = to_float(static_cast<const T*>(b.g_out)[at + d]);
    sums[d] = 0;
    delta[0] += grad[d] * to_float(static_cast<const T*>(a.out)[at + d]);
  }
  reduce_block(block, delta, scratch, Add());
  if (block.thread() == 0) b.delta[row * a.heads + head] = delta[0];
  const float lse = a.lse[row * a.heads + head];
  for (int64_t begin = 0; begin < context; begin += kPackedChunk) {
    const int count =
        static_cast<int>(context - begin < kPackedChunk ? context - begin : kPackedChunk);
    for (int t = warp; t < count; t += warps) {
      const int64_t seen = packed_seen(a.sees, row, begin + t);
      const float score = warp_dot(block, q, packed_key<T>(a, seen, g), dim);
      const float slope = warp_dot(block, grad, packed_value<T>(a, seen, g), dim);
      if (block.thread() % kWarp == 0) slopes[t] = expf(score - lse) * (slope - delta[0]);
    }
    block.sync();
    for (int64_t d = block.thread(); d < dim; d += block.size()) {
      float sum = sums[d];
      for (int t = 0; t < count; ++t) {
        sum += slopes[t] * to_float(packed_key<T>(a, packed_seen(a.sees, row, begin + t), g)[d]);
      }
      sums[d] = sum;
    }
    block.sync();
  }
  T* out = static_cast<T*>(b.g_qkv) + (row * (a.heads + 2 * a.kv_heads) + head) * dim;
  for (int64_t d = block.thread(); d < dim; d += block.size()) {
    out[d] = from_float<T>(sums[d] * a.scale);
  }
}

/// What the queries of rows [begin, end) add to the gradients of a key and value. Shared memory
/// holds key, value and both sums [head_dim], then weights and slopes [kPackedChunk].
template <class T, class Block, class Shared>
WEFT_SIMT void add_packed_readers(Block& block, const PackedAttentionBackward& b, int64_t kv_head,
                                  int64_t begin, int64_t end, Shared key) {
  const PackedAttention& a = b.forward;
  const int64_t dim = a.head_dim;
  const int group = static_cast<int>(a.heads / a.kv_heads);
  const int items = static_cast<int>(end - begin) * group;
  const int warp = block.thread() / kWarp, warps = block.size() / kWarp;
  const auto value = key + dim;
  const auto g_key = value + dim;
  const auto g_value = g_key + dim;
  const auto weights = g_value + dim;
  const auto slopes = weights + kPackedChunk;
  for (int base = 0; base < items; base += kPackedChunk) {
    const int count = items - base < kPackedChunk ? items - base : kPackedChunk;
    for (int t = warp; t < count; t += warps) {
      const int64_t row = begin + (base + t) / group, head = kv_head * group + (base + t) % group;
      const int64_t at = row * a.heads + head;
      const float score = warp_dot(block, key, packed_query<T>(a, row, head), dim) * a.scale;
      const float slope = warp_dot(block, value, static_cast<const T*>(b.g_out) + at * dim, dim);
      const float weight = expf(score - a.lse[at]);
      if (block.thread() % kWarp == 0) {
        weights[t] = weight;
        slopes[t] = weight * (slope - b.delta[at]) * a.scale;
      }
    }
    block.sync();
    for (int64_t d = block.thread(); d < dim; d += block.size()) {
      float k = g_key[d], v = g_value[d];
      for (int t = 0; t < count; ++t) {
        const int64_t row = begin + (base + t) / group, head = kv_head * group + (base + t) % group;
        k += slopes[t] * to_float(packed_query<T>(a, row, head)[d]);
        v +=
            weights[t] * to_float(static_cast<const T*>(b.g_out)[(row * a.heads + head) * dim + d]);
      }
      g_key[d] = k;
      g_value[d] = v;
    }
    block.sync();
  }
}

/// One block a row and kv head (the grid's y): the gradients of its key and value. After
/// packed_query_gradient_body, whose delta it reads.
template <class T, class Block>
WEFT_SIMT void packed_key_gradient_body(Block& block, const PackedAttentionBackward& b) {
  const PackedAttention& a = b.forward;
  const int64_t row = block.x(), g = block.y(), dim = a.head_dim;
  const auto key = block.template shared<float>(0);
  for (int64_t d = block.thread(); d < dim; d += block.size()) {
    key[d] = to_float(packed_key<T>(a, row, g)[d]);
    key[dim + d] = to_float(packed_value<T>(a, row, g)[d]);
    key[2 * dim + d] = key[3 * dim + d] = 0;
  }
  block.sync();
  const int first = a.sees.readers_first[row], last = a.sees.readers_last[row];
  WEFT_NO_UNROLL
  for (int i = first - 1; i < last; ++i) {  // its own sequence, then those that share it
    const int64_t begin = i < first ? row : a.sees.readers[2 * i];
    const int64_t end = i < first ? a.sees.last[row] : a.sees.readers[2 * i + 1];
    add_packed_readers<T>(block, b, g, begin, end, key);
  }
  T* out = static_cast<T*>(b.g_qkv) + (row * (a.heads + 2 * a.kv_heads) + a.heads + g) * dim;
  for (int64_t d = block.thread(); d < dim; d += block.size()) {
    out[d] = from_float<T>(key[2 * dim + d]);
    out[a.kv_heads * dim + d] = from_float<T>(key[3 * dim + d]);
  }
}

}  // namespace weft::cuda
