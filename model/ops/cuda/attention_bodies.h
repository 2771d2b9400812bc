/// Bodies of attention over the cache: all query heads of one kv head together, so that each key
/// and value is read once; fp32 online softmax (arXiv:2205.14135, algorithm 1). Parts of a context
/// are computed side by side and merged by a second kernel, as is what is known of other keys.
#pragma once

#include "model/ops/cuda/cuda_library.h"
#include "model/ops/cuda/row_bodies.h"
#include "model/ops/cuda/simt.h"

namespace weft::cuda {

/// Calls f(item, kv_head) for the block's share of the work, every grid_x()-th item and head.
template <class Block, class F>
WEFT_SIMT void for_items(Block& block, const PagedAttention& a, F f) {
  const int kv_heads = static_cast<int>(a.kv_heads), units = *a.num_items * kv_heads;
  for (int i = static_cast<int>(block.x()); i < units; i += static_cast<int>(block.grid_x())) {
    f(a.items[i / kv_heads], i % kv_heads);
  }
}

/// Where a query head's sums [head_dim], peak and weight of a slot are.
WEFT_SIMT float* partial_of(const PagedAttention& a, int64_t slot, int64_t head) {
  return a.partial + (slot * a.heads + head) * (a.head_dim + 2);
}

template <class T>
WEFT_SIMT T* out_of(const PagedAttention& a, int64_t row, int64_t head) {
  return static_cast<T*>(a.out) + (row * a.heads + head) * a.head_dim;
}

template <class T>
WEFT_SIMT const T* block_of(const PagedAttention& a, int64_t row, int64_t b, int64_t kv_head) {
  const int64_t id = a.block_list[a.first_block[row] + b];
  return static_cast<const T*>(a.cache) +
         (id * a.kv_heads + kv_head) * 2 * kSlotTokens * stored_dim(a.head_dim);
}

/// Elements of shared memory, in floats, that attend_body needs.
inline int64_t attend_shared(const PagedAttention& a) {
  const int64_t group = a.heads / a.kv_heads;
  return group * (2 * a.head_dim + kSlotTokens + 3);
}

/// One item and kv head of attend_body. Shared memory holds queries and sums [group, head_dim],
/// weights [group, 16], and peak, sum and factor of each head.
template <class T, class Block>
WEFT_SIMT void attend_item(Block& block, const PagedAttention& a, const AttendItem& item,
                           int64_t kv_head) {
  const int group = static_cast<int>(a.heads) / static_cast<int>(a.kv_heads);
  const int dim = static_cast<int>(a.head_dim);
  const int64_t row = item.row, stored = stored_dim(dim);
  const auto q = block.template shared<float>(0);
  const auto sums = q + group * dim;
  const auto weights = sums + group * dim;
  const auto peak = weights + group * kSlotTokens;
  const auto total = peak + group;
  const auto factor = total + group;
  const T* query = static_cast<const T*>(a.q) + row * a.q_stride + kv_head * group * dim;
  for (int i = block.thread(); i < group * dim; i += block.size()) {
    q[i] = to_float(query[i]);
    sums[i] = 0;
  }
  for (int h = block.thread(); h < group; h += block.size()) {
    peak[h] = -INFINITY;
    total[h] = 0;
  }
  block.sync();
  const int warps = block.size() / kWarp, lane = block.thread() % kWarp;
  for (int64_t b = item.first; b < item.last; ++b) {
    const T* keys = block_of<T>(a, row, b, kv_head);
    const T* values = keys + kSlotTokens * stored;
    const int64_t left = a.lengths[row] - b * kSlotTokens;
    const int count = static_cast<int>(left < kSlotTokens ? left : kSlotTokens);
    for (int i = block.thread() / kWarp; i < count * group; i += warps) {
      const int h = i / count, t = i % count;
      float dot = 0;
      for (int d = lane; d < dim; d += kWarp) {
        dot += q[h * dim + d] * to_float(keys[t * stored + d]);
      }
      dot = reduce_warp(block, dot, Add());
      if (lane == 0) weights[h * kSlotTokens + t] = dot * a.scale;
    }
    block.sync();
    for (int h = block.thread(); h < group; h += block.size()) {
      const auto w = weights + h * kSlotTokens;
      const float before = peak[h];
      float highest = before, sum = 0;
      for (int t = 0; t < count; ++t) highest = Max()(highest, static_cast<float>(w[t]));
      for (int t = 0; t < count; ++t) {
        const float e = expf(w[t] - highest);
        sum += e;
        w[t] = to_float(from_float<T>(e));
      }
      factor[h] = expf(before - highest);
      total[h] = total[h] * factor[h] + sum;
      peak[h] = highest;
    }
    block.sync();
    for (int i = block.thread(); i < group * dim; i += block.size()) {
      const int h = i / dim, d = i % dim;
      float sum = sums[i] * factor[h];
      for (int t = 0; t < count; ++t) {
        sum += weights[h * kSlotTokens + t] * to_float(values[value_place(t, stored) + 2 * d]);
      }
      sums[i] = sum;
    }
    block.sync();
  }
  for (int i = block.thread(); i < group * dim; i += block.size()) {
    const int h = i / dim, d = i % dim;
    const int64_t head = kv_head * group + h;
    if (item.slot < 0) {
      out_of<T>(a, row, head)[d] = from_float<T>(sums[i] / total[h]);
    } else {
      partial_of(a, item.slot, head)[d] = sums[i];
    }
  }
  for (int h = block.thread(); item.slot >= 0 && h < group; h += block.size()) {
    float* part = partial_of(a, item.slot, kv_head * group + h) + dim;
    part[0] = peak[h];
    part[1] = total[h];
  }
  block.sync();
}

/// Any dtype, group and head dimension. The grid is of any size.
template <class T, class Block>
WEFT_SIMT void attend_body(Block& block, const PagedAttention& a) {
  for_items(block, a, [&](const AttendItem& item, int64_t kv_head) {
    attend_item<T>(block, a, item, kv_head);
  });
}

/// Bytes of shared memory that merge_parts_body needs.
constexpr int64_t kMergeShared = (kWarp + kMostParts) * sizeof(float);

/// The result of one query head whose row has parts to merge, or none: grid row, head.
template <class T, class Block>
WEFT_SIMT void merge_parts_body(Block& block, const PagedAttention& a) {
  const int64_t row = block.x(), head = block.y(), dim = a.head_dim;
  const int64_t first = a.first_slot[row], count = a.first_slot[row + 1] - first;
  T* out = out_of<T>(a, row, head);
  if (count == 0) {
    if (a.lengths[row] > 0 || a.lse) return;
    for (int64_t d = block.thread(); d < dim; d += block.size()) out[d] = from_float<T>(0.0f);
    return;
  }
  const auto scratch = block.template shared<float>(0);
  const auto factors = scratch + kWarp;
  const float near = a.lse ? a.lse[head * a.rows + row] : -INFINITY;
  float peak[1] = {near}, total[1] = {0};
  for (int64_t p = block.thread(); p < count; p += block.size()) {
    peak[0] = Max()(peak[0], partial_of(a, first + p, head)[dim]);
  }
  reduce_block(block, peak, scratch, Max());
  for (int64_t p = block.thread(); p < count; p += block.size()) {
    const float* part = partial_of(a, first + p, head) + dim;
    const float factor = expf(part[0] - peak[0]);
    factors[p] = factor;
    total[0] += part[1] * factor;
  }
  reduce_block(block, total, scratch, Add());
  const float near_weight = expf(near - peak[0]);
  total[0] += near_weight;
  for (int64_t d = block.thread(); d < dim; d += block.size()) {
    float sum = a.lse ? to_float(out[d]) * near_weight : 0;
    for (int64_t p = 0; p < count; ++p) sum += partial_of(a, first + p, head)[d] * factors[p];
    out[d] = from_float<T>(sum / total[0]);
  }
}

}  // namespace weft::cuda
