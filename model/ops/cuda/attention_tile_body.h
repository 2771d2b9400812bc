/// Bodies of attention over the cache on tensor cores, of single rows and of many rows of one
/// sequence; see attention_bodies.h for what they share with the one for all shapes.
#pragma once

#include "model/ops/cuda/attention_bodies.h"

namespace weft::cuda {

/// Query heads of one kv head that fit the tensor cores' tile.
constexpr int kTileRows = 16;

/// Warps of a block; each takes every fourth block of tokens of a part.
constexpr int kTileWarps = 4;

static_assert(kTilePairs == kTileWarps * kTileRows);

/// Whether the bodies here compute it; attend_body takes the rest.
inline bool fits_tiles(const PagedAttention& a) {
  return fits_tiles(a.dtype, a.heads / a.kv_heads, a.head_dim);
}

/// Floats between one head's sums and the next one's in shared memory, so that 8 lanes that write
/// 16 bytes each meet different banks.
constexpr int kTilePad = 4;

/// Elements of shared memory, in floats, that attend_tile_body needs: peaks and weights
/// [4, kTileRows], sums [4, group, head_dim + kTilePad].
inline int64_t attend_tile_shared(const PagedAttention& a) {
  return kTileWarps * (2 * kTileRows + a.heads / a.kv_heads * (a.head_dim + kTilePad));
}

/// What one lane holds of its warp's 16 queries and their sums, and the softmax so far of its two,
/// `lane / 4` and `lane / 4 + 8`.
///
/// sums[4 j + i][2 half + r] is dimension 32 j + 8 (lane % 4) + 4 r + i of query lane / 4 + 8 half.
template <int kDim>
struct TileState {
  uint32_t q[kDim / 16][4];
  float sums[kDim / 8][4];
  float peak[2], total[2];
};

/// Begins with the queries at(0), ... of [kDim], null for none, as the left operand. The 32
/// dimensions of two products lie so that a lane's part is 8 neighbours: both operands permute them
/// alike, which changes no sum of products.
template <int kDim, class At>
WEFT_SIMT void begin_tile(At at, int lane, TileState<kDim>& s) {
  WEFT_UNROLL
  for (int j = 0; j < kDim / 32; ++j) {
    WEFT_UNROLL
    for (int half = 0; half < 2; ++half) {
      const Bf16* query = at(lane / 4 + 8 * half);
      uint32_t part[4] = {0, 0, 0, 0};
      if (query) {
        const Pack<Bf16> p = load_pack(query + 32 * j + 8 * (lane % 4));
        memcpy(part, &p, sizeof part);
      }
      s.q[2 * j][half] = part[0];
      s.q[2 * j][half + 2] = part[1];
      s.q[2 * j + 1][half] = part[2];
      s.q[2 * j + 1][half + 2] = part[3];
    }
  }
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
}

/// Scores of 16 tokens: c[t][2 half + r] is query lane / 4 + 8 half, token 4 (lane % 4) + 2 t + r.
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
WEFT_SIMT void tile_softmax(Block& block, const PagedAttention& a, int visible, int lane,
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

/// Values of 16 tokens as the right operand: v[p][4 j + i] is dimension 32 j + 4 (lane / 4) + i of
/// tokens 4 (lane % 4) + 2 p and the next one.
template <int kDim>
WEFT_SIMT void load_values(const Bf16* values, int lane, uint32_t (&v)[2][kDim / 8]) {
  WEFT_UNROLL
  for (int p = 0; p < 2; ++p) {
    const Bf16* pair = values + value_place(4 * (lane % 4) + 2 * p, kDim) + 8 * (lane / 4);
    WEFT_UNROLL
    for (int j = 0; j < kDim / 32; ++j) {
      const Pack<Bf16> part = load_pack(pair + 64 * j);
      memcpy(&v[p][4 * j], &part, sizeof part);
    }
  }
}

/// Adds one block of tokens to the lane's state.
template <int kDim, class Block>
WEFT_SIMT void attend_tile(Block& block, const PagedAttention& a, const Bf16* keys, int visible,
                           int lane, TileState<kDim>& s) {
  uint32_t v[2][kDim / 8];
  load_values<kDim>(keys + kSlotTokens * kDim, lane, v);
  float c[2][4], factor[2];
  tile_scores(block, keys, lane, s, c);
  tile_softmax(block, a, visible, lane, c, s, factor);
  const uint32_t weights[4] = {pack_bf16(c[0][0], c[0][1]), pack_bf16(c[0][2], c[0][3]),
                               pack_bf16(c[1][0], c[1][1]), pack_bf16(c[1][2], c[1][3])};
  WEFT_UNROLL
  for (int j = 0; j < kDim / 8; ++j) {
    const uint32_t right[2] = {v[0][j], v[1][j]};
    WEFT_UNROLL
    for (int i = 0; i < 4; ++i) s.sums[j][i] *= factor[i / 2];
    block.mma(s.sums[j], weights, right);
  }
}

/// Merges the warps' states in their order: the result of the item, or its slot's sums.
template <int kDim, class Block>
WEFT_SIMT void merge_warps(Block& block, const PagedAttention& a, const AttendItem& item,
                           int64_t kv_head, const TileState<kDim>& s) {
  constexpr int kStride = kDim + kTilePad;
  const int group = static_cast<int>(a.heads) / static_cast<int>(a.kv_heads);
  const int lane = block.thread() % kWarp, warp = block.thread() / kWarp;
  const auto peaks = block.template shared<float>(0);
  const auto totals = peaks + kTileWarps * kTileRows;
  const auto sums = totals + kTileWarps * kTileRows;
  const auto packs =
      block.template shared<Pack<float>>(2 * kTileWarps * kTileRows * int64_t{sizeof(float)});
  const auto highest = [&](int head) {
    float peak = peaks[head];
    WEFT_UNROLL
    for (int w = 1; w < kTileWarps; ++w) {
      peak = Max()(peak, static_cast<float>(peaks[w * kTileRows + head]));
    }
    return peak;
  };
  WEFT_UNROLL
  for (int half = 0; half < 2; ++half) {
    if (lane % 4 == 0) peaks[warp * kTileRows + lane / 4 + 8 * half] = s.peak[half];
  }
  block.sync();
  WEFT_UNROLL
  for (int half = 0; half < 2; ++half) {
    float total = s.total[half];
    total += block.shuffle(total, lane ^ 1);
    total += block.shuffle(total, lane ^ 2);
    const int head = lane / 4 + 8 * half;
    if (head >= group) continue;
    const float factor = expf(s.peak[half] - highest(head));
    if (lane % 4 == 0) totals[warp * kTileRows + head] = total * factor;
    const int at = (warp * group + head) * (kStride / 4) + 2 * (lane % 4);
    WEFT_UNROLL
    for (int j = 0; j < kDim / 32; ++j) {
      WEFT_UNROLL
      for (int r = 0; r < 2; ++r) {
        Pack<float> part;
        WEFT_UNROLL
        for (int i = 0; i < 4; ++i) part.at[i] = s.sums[4 * j + i][2 * half + r] * factor;
        packs[at + 8 * j + r] = part;
      }
    }
  }
  block.sync();
  for (int i = block.thread(); i < group * kDim; i += block.size()) {
    const int h = i / kDim, d = i % kDim;
    const int64_t head = kv_head * group + h;
    float sum = 0, total = 0;
    WEFT_UNROLL
    for (int w = 0; w < kTileWarps; ++w) {
      sum += sums[(w * group + h) * kStride + d];
      total += totals[w * kTileRows + h];
    }
    if (item.slot < 0) {
      out_of<Bf16>(a, item.row, head)[d] = from_float<Bf16>(sum / total);
      continue;
    }
    float* part = partial_of(a, item.slot, head);
    part[d] = sum;
    if (d == 0) {
      part[kDim] = highest(h);
      part[kDim + 1] = total;
    }
  }
  block.sync();
}

/// bf16 on tensor cores; head_dim kDim, a multiple of 32, groups of at most 16. The grid is of any
/// size, a block of kTileWarps warps.
template <int kDim, class Block>
WEFT_SIMT void attend_tile_body(Block& block, const PagedAttention& a) {
  const int group = static_cast<int>(a.heads) / static_cast<int>(a.kv_heads);
  const int lane = block.thread() % kWarp, warp = block.thread() / kWarp;
  for_items(block, a, [&](const AttendItem& item, int64_t kv_head) {
    const Bf16* queries =
        static_cast<const Bf16*>(a.q) + item.row * a.q_stride + kv_head * group * kDim;
    TileState<kDim> s;
    begin_tile([&](int h) { return h < group ? queries + h * kDim : nullptr; }, lane, s);
    const int length = a.lengths[item.row];
    for (int b = item.first + warp; b < item.last; b += kTileWarps) {
      attend_tile(block, a, block_of<Bf16>(a, item.row, b, kv_head), length - b * kSlotTokens, lane,
                  s);
    }
    merge_warps(block, a, item, kv_head, s);
  });
}

/// Writes what a warp summed of query `i` of its 16, to slot(i), null for none: sums [kDim], peak
/// and weight.
template <int kDim, class Block, class Slot>
WEFT_SIMT void store_tile(Block& block, Slot slot, int lane, const TileState<kDim>& s) {
  WEFT_UNROLL
  for (int half = 0; half < 2; ++half) {
    float total = s.total[half];
    total += block.shuffle(total, lane ^ 1);
    total += block.shuffle(total, lane ^ 2);
    float* part = slot(lane / 4 + 8 * half);
    if (!part) continue;
    WEFT_UNROLL
    for (int j = 0; j < kDim / 32; ++j) {
      WEFT_UNROLL
      for (int r = 0; r < 2; ++r) {
        float* at = part + 32 * j + 8 * (lane % 4) + 4 * r;
        store_pair<float>(at, {s.sums[4 * j][2 * half + r], s.sums[4 * j + 1][2 * half + r]});
        store_pair<float>(at + 2,
                          {s.sums[4 * j + 2][2 * half + r], s.sums[4 * j + 3][2 * half + r]});
      }
    }
    if (lane % 4 == 0) store_pair<float>(part + kDim, {s.peak[half], total});
  }
}

/// The tiles of `a`: each warp takes 16 of a tile's pairs of row and query head and walks all of
/// its blocks, of which the other warps of the block walk the same. The grid is of any size.
template <int kDim, class Block>
WEFT_SIMT void attend_rows_body(Block& block, const PagedAttention& a) {
  const int kv_heads = static_cast<int>(a.kv_heads), group = static_cast<int>(a.heads) / kv_heads;
  const int lane = block.thread() % kWarp, first = block.thread() / kWarp * kTileRows;
  const int units = static_cast<int>(a.num_tiles) * kv_heads;
  for (int u = static_cast<int>(block.x()); u < units; u += static_cast<int>(block.grid_x())) {
    const AttendTile& tile = a.tiles[u / kv_heads];
    if (first >= tile.count * group) continue;
    TileState<kDim> s;
    const auto query = [&](int i) -> const Bf16* {
      const int pair = first + i, row = pair / group;
      if (row >= tile.count) return nullptr;
      return static_cast<const Bf16*>(a.q) + (tile.row + row) * a.q_stride +
             (u % kv_heads * group + pair % group) * kDim;
    };
    begin_tile(query, lane, s);
    const int length = a.lengths[tile.row];
    WEFT_NO_UNROLL
    for (int b = tile.first; b < tile.last; ++b) {
      attend_tile(block, a, block_of<Bf16>(a, tile.row, b, u % kv_heads), length - b * kSlotTokens,
                  lane, s);
    }
    const auto slot = [&](int i) -> float* {
      const int pair = first + i, row = pair / group;
      if (row >= tile.count) return nullptr;
      return partial_of(a, a.first_slot[tile.row + row] + tile.part,
                        u % kv_heads * group + pair % group);
    };
    store_tile(block, slot, lane, s);
  }
}

}  // namespace weft::cuda
