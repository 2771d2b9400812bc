/// Bodies of paged decode attention: all query heads of one kv head together, so that each key and
/// value is read once; fp32 online softmax (arXiv:2205.14135, algorithm 1); the context cut into
/// splits that are computed side by side and merged by a second kernel.
#pragma once

#include "model/device/cuda/cuda_library.h"
#include "model/device/cuda/row_bodies.h"
#include "model/device/cuda/simt.h"

namespace weft::cuda {

/// Query heads of one kv head that fit the tensor cores' tile.
constexpr int kTileRows = 16;

/// The blocks of a sequence that a split computes.
struct SplitRange {
  int64_t first, last;  ///< [first, last)
};

WEFT_SIMT SplitRange split_range(const PagedAttention& a, int64_t row, int64_t split) {
  const int64_t blocks = (a.lengths[row] + kSlotTokens - 1) / kSlotTokens;
  const int64_t share = (blocks + a.splits - 1) / a.splits;
  const int64_t first = split * share, last = first + share;
  return {first < blocks ? first : blocks, last < blocks ? last : blocks};
}

/// Where a query head's split puts its sums [head_dim], peak and weight.
WEFT_SIMT float* partial_of(const PagedAttention& a, int64_t row, int64_t head, int64_t split) {
  return a.partial + ((row * a.heads + head) * a.splits + split) * (a.head_dim + 2);
}

template <class T>
WEFT_SIMT const T* block_of(const PagedAttention& a, int64_t row, int64_t b, int64_t kv_head) {
  const int64_t id = a.block_list[a.first_block[row] + b];
  return static_cast<const T*>(a.cache) +
         (id * a.kv_heads + kv_head) * 2 * kSlotTokens * stored_dim(a.head_dim);
}

/// Whether attend_tile_body computes it; attend_body takes the rest.
inline bool fits_tiles(const PagedAttention& a) {
  return a.dtype == Dtype::kBf16 && (a.head_dim == 64 || a.head_dim == 128) &&
         a.heads / a.kv_heads <= kTileRows;
}

/// Elements of shared memory, in floats, that attend_body needs.
inline int64_t attend_shared(const PagedAttention& a) {
  const int64_t group = a.heads / a.kv_heads;
  return group * (2 * a.head_dim + kSlotTokens + 3);
}

/// Any dtype, group and head dimension. Grid: row, kv head, split. Shared memory holds queries and
/// sums [group, head_dim], weights [group, 16], and peak, sum and factor of each head.
template <class T, class Block>
WEFT_SIMT void attend_body(Block& block, const PagedAttention& a) {
  const int64_t row = block.x(), kv_head = block.y(), split = block.z();
  const int64_t group = a.heads / a.kv_heads, dim = a.head_dim, stored = stored_dim(dim);
  const auto q = block.template shared<float>(0);
  const auto sums = q + group * dim;
  const auto weights = sums + group * dim;
  const auto peak = weights + group * kSlotTokens;
  const auto total = peak + group;
  const auto factor = total + group;
  const T* query = static_cast<const T*>(a.q) + row * a.q_stride + kv_head * group * dim;
  for (int64_t i = block.thread(); i < group * dim; i += block.size()) {
    q[i] = to_float(query[i]);
    sums[i] = 0;
  }
  for (int64_t h = block.thread(); h < group; h += block.size()) {
    peak[h] = -INFINITY;
    total[h] = 0;
  }
  block.sync();
  const int warps = block.size() / kWarp, lane = block.thread() % kWarp;
  const SplitRange range = split_range(a, row, split);
  for (int64_t b = range.first; b < range.last; ++b) {
    const T* keys = block_of<T>(a, row, b, kv_head);
    const T* values = keys + kSlotTokens * stored;
    const int64_t left = a.lengths[row] - b * kSlotTokens;
    const int64_t count = left < kSlotTokens ? left : kSlotTokens;
    for (int64_t i = block.thread() / kWarp; i < count * group; i += warps) {
      const int64_t h = i / count, t = i % count;
      float dot = 0;
      for (int64_t d = lane; d < dim; d += kWarp) {
        dot += q[h * dim + d] * to_float(keys[t * stored + d]);
      }
      dot = reduce_warp(block, dot, Add());
      if (lane == 0) weights[h * kSlotTokens + t] = dot * a.scale;
    }
    block.sync();
    for (int64_t h = block.thread(); h < group; h += block.size()) {
      const auto w = weights + h * kSlotTokens;
      const float before = peak[h];
      float highest = before, sum = 0;
      for (int64_t t = 0; t < count; ++t) highest = Max()(highest, static_cast<float>(w[t]));
      for (int64_t t = 0; t < count; ++t) {
        const float e = expf(w[t] - highest);
        sum += e;
        w[t] = to_float(from_float<T>(e));
      }
      factor[h] = expf(before - highest);
      total[h] = total[h] * factor[h] + sum;
      peak[h] = highest;
    }
    block.sync();
    for (int64_t i = block.thread(); i < group * dim; i += block.size()) {
      const int64_t h = i / dim, d = i % dim;
      float sum = sums[i] * factor[h];
      for (int64_t t = 0; t < count; ++t) {
        sum += weights[h * kSlotTokens + t] * to_float(values[d * kSlotTokens + t]);
      }
      sums[i] = sum;
    }
    block.sync();
  }
  for (int64_t i = block.thread(); i < group * dim; i += block.size()) {
    partial_of(a, row, kv_head * group + i / dim, split)[i % dim] = sums[i];
  }
  for (int64_t h = block.thread(); h < group; h += block.size()) {
    float* out = partial_of(a, row, kv_head * group + h, split) + dim;
    out[0] = peak[h];
    out[1] = total[h];
  }
}

/// The tile of queries, keys or values that one lane holds, and the softmax so far of its two
/// query heads, `lane / 4` and `lane / 4 + 8`.
template <int kDim>
struct TileState {
  uint32_t q[kDim / 16][4];
  float sums[kDim / 8][4];
  float peak[2], total[2];
};

/// Queries as the left operand. The 32 dimensions of two products lie so that a lane's part is 8
/// neighbours: both operands permute them alike, which changes no sum of products.
template <int kDim>
WEFT_SIMT void load_queries(const Bf16* query, int64_t group, int lane, TileState<kDim>& s) {
  WEFT_UNROLL
  for (int j = 0; j < kDim / 32; ++j) {
    WEFT_UNROLL
    for (int half = 0; half < 2; ++half) {
      const int64_t head = lane / 4 + 8 * half;
      uint32_t part[4] = {0, 0, 0, 0};
      if (head < group) {
        const Pack<Bf16> p = load_pack(query + head * kDim + 32 * j + 8 * (lane % 4));
        memcpy(part, &p, sizeof part);
      }
      s.q[2 * j][half] = part[0];
      s.q[2 * j][half + 2] = part[1];
      s.q[2 * j + 1][half] = part[2];
      s.q[2 * j + 1][half + 2] = part[3];
    }
  }
}

/// Scores of 16 tokens: c[t][2 half + r] is head lane / 4 + 8 half, token 4 (lane % 4) + 2 t + r.
/// Column n of tile t is token 4 (n / 2) + 2 t + n % 2, so that a lane's four weights meet four
/// neighbouring values.
template <int kDim, class Block>
WEFT_SIMT void tile_scores(Block& block, const Bf16* keys, int lane, const TileState<kDim>& s,
                           float (&c)[2][4]) {
  WEFT_UNROLL
  for (int t = 0; t < 2; ++t) {
    const int n = lane / 4;
    const Bf16* key = keys + (4 * (n / 2) + 2 * t + n % 2) * kDim + 8 * (lane % 4);
    uint32_t part[kDim / 32][4];
    WEFT_UNROLL
    for (int j = 0; j < kDim / 32; ++j) {
      const Pack<Bf16> p = load_pack(key + 32 * j);
      memcpy(part[j], &p, sizeof part[j]);
    }
    WEFT_UNROLL
    for (int i = 0; i < 4; ++i) c[t][i] = 0;
    WEFT_UNROLL
    for (int j = 0; j < kDim / 32; ++j) {
      const uint32_t low[2] = {part[j][0], part[j][1]}, high[2] = {part[j][2], part[j][3]};
      block.mma(c[t], s.q[2 * j], low);
      block.mma(c[t], s.q[2 * j + 1], high);
    }
  }
}

/// Turns scores into weights and moves the softmax on; returns the factors of what was summed.
template <int kDim, class Block>
WEFT_SIMT void tile_softmax(Block& block, const PagedAttention& a, int64_t visible, int lane,
                            float (&c)[2][4], TileState<kDim>& s, float (&factor)[2]) {
  WEFT_UNROLL
  for (int half = 0; half < 2; ++half) {
    float highest = s.peak[half];
    WEFT_UNROLL
    for (int t = 0; t < 2; ++t) {
      WEFT_UNROLL
      for (int r = 0; r < 2; ++r) {
        float& score = c[t][2 * half + r];
        const bool seen = 4 * (lane % 4) + 2 * t + r < visible;
        score = seen ? score * a.scale : -INFINITY;
        highest = Max()(highest, score);
      }
    }
    highest = Max()(highest, block.shuffle(highest, lane ^ 1));
    highest = Max()(highest, block.shuffle(highest, lane ^ 2));
    factor[half] = expf(s.peak[half] - highest);
    s.peak[half] = highest;
    s.total[half] *= factor[half];
    WEFT_UNROLL
    for (int t = 0; t < 2; ++t) {
      WEFT_UNROLL
      for (int r = 0; r < 2; ++r) {
        float& weight = c[t][2 * half + r];
        weight = expf(weight - highest);
        s.total[half] += weight;
      }
    }
  }
}

/// bf16 on tensor cores; head_dim kDim, a multiple of 32, groups of at most 16. Grid as above, one
/// warp a block.
template <int kDim, class Block>
WEFT_SIMT void attend_tile_body(Block& block, const PagedAttention& a) {
  const int64_t row = block.x(), kv_head = block.y(), split = block.z();
  const int64_t group = a.heads / a.kv_heads;
  const int lane = block.thread();
  TileState<kDim> s;
  load_queries(static_cast<const Bf16*>(a.q) + row * a.q_stride + kv_head * group * kDim, group,
               lane, s);
  WEFT_UNROLL
  for (int half = 0; half < 2; ++half) {
    s.peak[half] = -INFINITY;
    s.total[half] = 0;
  }
  WEFT_UNROLL
  for (int j = 0; j < kDim / 8; ++j) {
    WEFT_UNROLL
    for (int i = 0; i < 4; ++i) s.sums[j][i] = 0;
  }
  const SplitRange range = split_range(a, row, split);
  for (int64_t b = range.first; b < range.last; ++b) {
    const Bf16* keys = block_of<Bf16>(a, row, b, kv_head);
    const Bf16* values = keys + kSlotTokens * kDim + lane / 4 * kSlotTokens + 4 * (lane % 4);
    Pair<uint32_t> v[kDim / 8];
    WEFT_UNROLL
    for (int j = 0; j < kDim / 8; ++j) v[j] = load_pair<uint32_t>(values + j * 8 * kSlotTokens);
    float c[2][4], factor[2];
    tile_scores(block, keys, lane, s, c);
    tile_softmax(block, a, a.lengths[row] - b * kSlotTokens, lane, c, s, factor);
    const uint32_t weights[4] = {pack_bf16(c[0][0], c[0][1]), pack_bf16(c[0][2], c[0][3]),
                                 pack_bf16(c[1][0], c[1][1]), pack_bf16(c[1][2], c[1][3])};
    WEFT_UNROLL
    for (int j = 0; j < kDim / 8; ++j) {
      WEFT_UNROLL
      for (int i = 0; i < 4; ++i) s.sums[j][i] *= factor[i / 2];
      block.mma(s.sums[j], weights, v[j].at);
    }
  }
  WEFT_UNROLL
  for (int half = 0; half < 2; ++half) {
    float total = s.total[half];
    total += block.shuffle(total, lane ^ 1);
    total += block.shuffle(total, lane ^ 2);
    const int64_t head = lane / 4 + 8 * half;
    if (head >= group) continue;
    float* out = partial_of(a, row, kv_head * group + head, split);
    WEFT_UNROLL
    for (int j = 0; j < kDim / 8; ++j) {
      store_pair(out + 8 * j + 2 * (lane % 4),
                 Pair<float>{{s.sums[j][2 * half], s.sums[j][2 * half + 1]}});
    }
    if (lane % 4 == 0) {
      out[kDim] = s.peak[half];
      out[kDim + 1] = total;
    }
  }
}

/// Merges the splits of one query head: grid row, head. Splits without tokens have weight 0.
template <class T, class Block>
WEFT_SIMT void merge_splits_body(Block& block, const PagedAttention& a) {
  const int64_t row = block.x(), head = block.y(), dim = a.head_dim;
  const float* parts = partial_of(a, row, head, 0);
  float peak = -INFINITY, total = 0;
  for (int64_t s = 0; s < a.splits; ++s) peak = Max()(peak, parts[s * (dim + 2) + dim]);
  if (peak == -INFINITY) peak = 0;
  for (int64_t s = 0; s < a.splits; ++s) {
    const float* part = parts + s * (dim + 2) + dim;
    total += part[1] * expf(part[0] - peak);
  }
  T* out = static_cast<T*>(a.out) + (row * a.heads + head) * dim;
  for (int64_t d = block.thread(); d < dim; d += block.size()) {
    float sum = 0;
    for (int64_t s = 0; s < a.splits; ++s) {
      const float* part = parts + s * (dim + 2);
      sum += part[d] * expf(part[dim] - peak);
    }
    out[d] = from_float<T>(a.lengths[row] > 0 ? sum / total : 0.0f);
  }
}

}  // namespace weft::cuda
