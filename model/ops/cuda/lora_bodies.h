/// Bodies of the batched low-rank update: rows of many adapters in one launch, at most 16 rows of
/// one adapter at a time, so that its weights are read once for them (SGMV, arXiv:2310.18547,
/// section 4). The first kernel gives sums over chunks of x, the second adds these up in one order
/// and multiplies by b. What a row gets does not depend on the rows beside it.
#pragma once

#include "model/ops/cuda/cuda_library.h"
#include "model/ops/cuda/simt.h"

namespace weft::cuda {

/// Warps of a block of both kernels.
constexpr int kLoraWarps = 4;

/// Columns of y that a block computes, and those that a warp computes together.
constexpr int kLoraColumns = 256;
constexpr int kLoraGroup = 16;

/// Ranks of x a^T that lie in shared memory at once.
constexpr int kLoraPanel = 128;

/// Bytes of shared memory that lora_shrink_body needs: sums [kLoraWarps, kLoraRows, kLoraRanks].
constexpr int64_t kLoraShrinkShared = kLoraWarps * kLoraRows * kLoraRanks * sizeof(float);

/// Bytes of shared memory that lora_expand_body needs: x a^T [kLoraRows, kLoraPanel].
constexpr int64_t kLoraExpandShared = kLoraRows * kLoraPanel * sizeof(float);

/// Sums of a row over a chunk.
WEFT_SIMT float* lora_partial(const BatchedLora& a, int64_t row, int64_t chunk) {
  const int64_t chunks = (a.in + kLoraChunk - 1) / kLoraChunk;
  return a.partial + (row * chunks + chunk) * a.max_rank;
}

/// What a block of the first kernel computes: 16 ranks of a tile over a chunk.
struct LoraShrinkPart {
  LoraTile tile;
  LoraWeights weights;
  int64_t chunk, rank;
};

/// By dot products of warps.
template <class T, class Block>
WEFT_SIMT void shrink_by_dots(Block& block, const BatchedLora& a, const LoraShrinkPart& p) {
  const int warps = block.size() / kWarp, lane = block.thread() % kWarp;
  const int64_t begin = p.chunk * kLoraChunk, rest = a.in - begin;
  const int64_t count = rest < kLoraChunk ? rest : kLoraChunk;
  for (int i = block.thread() / kWarp; i < p.tile.count * kLoraRanks; i += warps) {
    const int64_t row = p.tile.first + i / kLoraRanks, rank = p.rank + i % kLoraRanks;
    const T* x = static_cast<const T*>(a.x) + row * a.in + begin;
    const T* w = static_cast<const T*>(p.weights.a) + rank * a.in + begin;
    float sum = 0;
    for (int64_t k = lane; k < count; k += kWarp) sum += to_float(x[k]) * to_float(w[k]);
    sum = reduce_warp(block, sum, Add());
    if (lane == 0) lora_partial(a, row, p.chunk)[rank] = sum;
  }
}

/// Words of 8 neighbouring bf16, or zeros.
WEFT_SIMT void load_words(const Bf16* p, bool there, uint32_t (&words)[4]) {
  WEFT_UNROLL
  for (int i = 0; i < 4; ++i) words[i] = 0;
  if (!there) return;
  const Pack<Bf16> pack = load_pack(p);
  memcpy(words, &pack, sizeof words);
}

/// On tensor cores: each warp sums a fourth of the chunk. Both operands permute the 32 columns of
/// two products alike, so that a lane's part is 8 neighbours.
template <class Block>
WEFT_SIMT void shrink_by_tiles(Block& block, const BatchedLora& a, const LoraShrinkPart& p) {
  constexpr int kShare = kLoraChunk / kLoraWarps;
  const int lane = block.thread() % kWarp, warp = block.thread() / kWarp, g = lane / 4;
  const Bf16* x = static_cast<const Bf16*>(a.x) + (p.tile.first + g) * a.in;
  const Bf16* w = static_cast<const Bf16*>(p.weights.a) + (p.rank + g) * a.in;
  const int64_t begin = p.chunk * kLoraChunk + warp * kShare + 8 * (lane % 4);
  float c[2][4] = {};
  WEFT_UNROLL
  for (int step = 0; step < kShare / 32; ++step) {
    const int64_t k = begin + 32 * step;
    uint32_t left[2][4], right[2][4];
    WEFT_UNROLL
    for (int half = 0; half < 2; ++half) {
      load_words(x + 8 * half * a.in + k, k < a.in && g + 8 * half < p.tile.count, left[half]);
      load_words(w + 8 * half * a.in + k, k < a.in, right[half]);
    }
    WEFT_UNROLL
    for (int i = 0; i < 2; ++i) {
      const uint32_t rows[4] = {left[0][2 * i], left[1][2 * i], left[0][2 * i + 1],
                                left[1][2 * i + 1]};
      WEFT_UNROLL
      for (int t = 0; t < 2; ++t) {
        const uint32_t ranks[2] = {right[t][2 * i], right[t][2 * i + 1]};
        block.mma(c[t], rows, ranks);
      }
    }
  }
  const auto sums = block.template shared<float>(0);
  WEFT_UNROLL
  for (int t = 0; t < 2; ++t) {
    WEFT_UNROLL
    for (int i = 0; i < 4; ++i) {
      const int row = g + 8 * (i / 2), rank = 8 * t + 2 * (lane % 4) + i % 2;
      sums[(warp * kLoraRows + row) * kLoraRanks + rank] = c[t][i];
    }
  }
  block.sync();
  for (int i = block.thread(); i < p.tile.count * kLoraRanks; i += block.size()) {
    float sum = 0;
    for (int v = 0; v < kLoraWarps; ++v) sum += sums[v * kLoraRows * kLoraRanks + i];
    lora_partial(a, p.tile.first + i / kLoraRanks, p.chunk)[p.rank + i % kLoraRanks] = sum;
  }
  block.sync();
}

/// Blocks take the parts in turn: chunks of 16 ranks of a tile.
template <class T, class Block>
WEFT_SIMT void lora_shrink_body(Block& block, const BatchedLora& a) {
  const int64_t chunks = (a.in + kLoraChunk - 1) / kLoraChunk, panels = a.max_rank / kLoraRanks;
  const int64_t parts = *a.num_tiles * panels * chunks;
  for (int64_t i = block.x(); i < parts; i += block.grid_x()) {
    const LoraTile tile = a.tiles[i / chunks / panels];
    const LoraShrinkPart part{tile, a.weights[tile.adapter * a.stride], i % chunks,
                              i / chunks % panels * kLoraRanks};
    if (part.rank >= part.weights.rank) continue;
    if constexpr (sizeof(T) == sizeof(Bf16)) {
      shrink_by_tiles(block, a, part);
    } else {
      shrink_by_dots<T>(block, a, part);
    }
  }
}

/// What a block of the second kernel computes: columns [first, last) of a tile. Of `ranks` of them,
/// from `rank` on, x a^T lies in shared memory, [kLoraRows, ranks].
struct LoraExpandPart {
  LoraTile tile;
  LoraWeights weights;
  int64_t first, last, rank, ranks;
};

/// Adds the chunks' sums up; rounds them.
template <class T, class Block>
WEFT_SIMT void sum_chunks(Block& block, const BatchedLora& a, const LoraExpandPart& p) {
  const int64_t chunks = (a.in + kLoraChunk - 1) / kLoraChunk;
  const auto inner = block.template shared<T>(0);
  for (int64_t i = block.thread(); i < kLoraRows * p.ranks; i += block.size()) {
    const int64_t row = i / p.ranks, rank = p.rank + i % p.ranks;
    float sum = 0;
    for (int64_t c = 0; row < p.tile.count && c < chunks; ++c) {
      sum += lora_partial(a, p.tile.first + row, c)[rank];
    }
    inner[i] = from_float<T>(sum);
  }
}

/// Adds the panel's part of the update to y, a thread's columns one after the other.
template <class T, class Block>
WEFT_SIMT void expand_by_dots(Block& block, const BatchedLora& a, const LoraExpandPart& p) {
  const auto inner = block.template shared<T>(0);
  const int64_t columns = p.last - p.first;
  for (int64_t i = block.thread(); i < p.tile.count * columns; i += block.size()) {
    const int64_t row = i / columns, column = p.first + i % columns;
    const T* b = static_cast<const T*>(p.weights.b) + column * p.weights.rank + p.rank;
    float sum = 0;
    for (int64_t n = 0; n < p.ranks; ++n) {
      const T left = inner[row * p.ranks + n];
      sum += to_float(left) * to_float(b[n]);
    }
    T* y = static_cast<T*>(a.y) + (p.tile.first + row) * a.out + column;
    *y = from_float<T>(to_float(*y) + sum);
  }
}

/// Sums of a warp's groups of columns.
struct LoraSums {
  float at[kLoraColumns / kLoraWarps / kLoraGroup][2][4];
};

/// Adds the panel's products on tensor cores. Column n of product t is column 4 (n / 2) + 2 t + n %
/// 2 of the group, so that a lane's four lie side by side; the 16 ranks of a product are permuted
/// alike in both operands.
template <class Block>
WEFT_SIMT void expand_by_tiles(Block& block, const LoraExpandPart& p, LoraSums& sums) {
  const int lane = block.thread() % kWarp, warp = block.thread() / kWarp;
  const int g = lane / 4, q = lane % 4;
  const auto inner = block.template shared<Pair<uint32_t>>(0);  // 4 ranks each
  const Bf16* b = static_cast<const Bf16*>(p.weights.b) + p.rank + 4 * q;
  for (int64_t n = 0; n < p.ranks; n += kLoraRanks) {
    const Pair<uint32_t> low = inner[(g * p.ranks + n) / 4 + q];
    const Pair<uint32_t> high = inner[((g + 8) * p.ranks + n) / 4 + q];
    const uint32_t rows[4] = {low.at[0], high.at[0], low.at[1], high.at[1]};
    WEFT_UNROLL
    for (int i = 0; i < kLoraColumns / kLoraWarps / kLoraGroup; ++i) {
      const int64_t group = p.first + (i * kLoraWarps + warp) * kLoraGroup;
      WEFT_UNROLL
      for (int t = 0; t < 2; ++t) {
        const int64_t column = group + 4 * (g / 2) + 2 * t + g % 2;
        Pair<uint32_t> ranks{{0, 0}};
        if (column < p.last) ranks = load_pair<uint32_t>(b + column * p.weights.rank + n);
        block.mma(sums.at[i][t], rows, ranks.at);
      }
    }
  }
}

/// Adds to 4 neighbouring bf16, rounded once.
WEFT_SIMT void add_to_quad(Bf16* y, float x0, float x1, float x2, float x3) {
  Pair<uint32_t> words = load_pair<uint32_t>(y);
  const float low[2] = {bits_to_float(words.at[0] << 16), bits_to_float(words.at[1] << 16)};
  const float high[2] = {bits_to_float(words.at[0] & 0xffff0000u),
                         bits_to_float(words.at[1] & 0xffff0000u)};
  words.at[0] = pack_bf16(low[0] + x0, high[0] + x1);
  words.at[1] = pack_bf16(low[1] + x2, high[1] + x3);
  *reinterpret_cast<Pair<uint32_t>*>(y) = words;
}

template <class Block>
WEFT_SIMT void add_sums(Block& block, const BatchedLora& a, const LoraExpandPart& p,
                        const LoraSums& sums) {
  const int lane = block.thread() % kWarp, warp = block.thread() / kWarp;
  WEFT_UNROLL
  for (int i = 0; i < kLoraColumns / kLoraWarps / kLoraGroup; ++i) {
    const int64_t column = p.first + (i * kLoraWarps + warp) * kLoraGroup + 4 * (lane % 4);
    WEFT_UNROLL
    for (int half = 0; half < 2; ++half) {
      const int row = lane / 4 + 8 * half;
      if (row >= p.tile.count || column >= p.last) continue;
      const float(&c)[2][4] = sums.at[i];
      add_to_quad(static_cast<Bf16*>(a.y) + (p.tile.first + row) * a.out + column, c[0][2 * half],
                  c[0][2 * half + 1], c[1][2 * half], c[1][2 * half + 1]);
    }
  }
}

/// Blocks take the parts in turn: kLoraColumns columns of a tile.
template <class T, class Block>
WEFT_SIMT void lora_expand_body(Block& block, const BatchedLora& a) {
  const int64_t shares = (a.out + kLoraColumns - 1) / kLoraColumns;
  for (int64_t i = block.x(); i < *a.num_tiles * shares; i += block.grid_x()) {
    const LoraTile tile = a.tiles[i / shares];
    const LoraWeights weights = a.weights[tile.adapter * a.stride];
    const int64_t first = i % shares * kLoraColumns, end = first + kLoraColumns;
    LoraExpandPart part{tile, weights, first, end < a.out ? end : a.out, 0, 0};
    LoraSums sums = {};
    for (; part.rank < weights.rank; part.rank += kLoraPanel) {
      const int64_t rest = weights.rank - part.rank;
      part.ranks = rest < kLoraPanel ? rest : kLoraPanel;
      sum_chunks<T>(block, a, part);
      block.sync();
      if constexpr (sizeof(T) == sizeof(Bf16)) {
        expand_by_tiles(block, part, sums);
      } else {
        expand_by_dots<T>(block, a, part);
      }
      block.sync();
    }
    if constexpr (sizeof(T) == sizeof(Bf16)) {
      if (weights.rank > 0) add_sums(block, a, part, sums);
    }
  }
}

}  // namespace weft::cuda
