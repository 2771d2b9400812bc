/// `attend` on matrix tiles (AMX), for up to 16 query rows at a time. Blocks of keys and values are
/// right factors as they lie: 16 pairs of dimensions by 16 tokens, and 8 pairs of tokens by 16
/// dimensions.
#pragma once

#include "model/ops/cpu/isa/attend.h"
#include "model/ops/cpu/isa/tiles.h"

namespace weft::kernels {
namespace {

constexpr int64_t kTiledDims = 4 * kTileRows;  // of values, summed together

// Query rows [row, row + rows) of `a`. Tiles: 0 to 3 sums, 4 and 5 left factors 32 and 16 deep, 6
// and 7 right ones.
class AttendTiles {
 public:
  AttendTiles(const AttendArgs<Bf16>& a, int64_t row, int64_t rows)
      : a_(a), row_(row), rows_(rows), fetched_(row == 0 ? a.fetched : nullptr) {
    for (int64_t i = 0; i < rows_; ++i) {
      peak_[i] = kNegativeInfinity;
      sum_[i] = 0;
      furthest_ = std::max(furthest_, a.limit[row + i]);
    }
    std::memset(a.out + row * a.dim, 0, rows * a.dim * sizeof(float));
  }

  void run() {
    const TileState state(shapes());
    for (int64_t b = 0; b < a_.num_blocks && a_.base[b] < furthest_; b += kChunkBlocks) {
      int64_t blocks = std::min(kChunkBlocks, a_.num_blocks - b);
      while (blocks > 1 && a_.base[b + blocks - 1] >= furthest_) --blocks;
      score(b, blocks);
      for (int64_t i = 0; i < rows_; ++i) {
        factor_[i] = soften(scores_ + i * kChunkTokens, a_, row_ + i, b, blocks,
                            weights_ + i * kChunkTokens, &peak_[i], &sum_[i]);
      }
      for (int64_t d = 0; d < a_.dim; d += kTiledDims) add_values(b, blocks, d);
    }
    for (int64_t i = 0; i < rows_; ++i) {
      const float inverse = 1.0f / sum_[i];
      float* out = a_.out + (row_ + i) * a_.dim;
      for (int64_t d = 0; d < a_.dim; ++d) out[d] *= inverse;
      a_.lse[row_ + i] = peak_[i] + std::log(sum_[i]);
    }
  }

 private:
  static constexpr int64_t kBytes = sizeof(Bf16);

  TileShapes shapes() const {
    TileShapes shapes;
    for (int i = 0; i < 6; ++i) shapes.rows[i] = static_cast<uint8_t>(rows_);
    shapes.row_bytes[5] = 32;
    shapes.rows[7] = 8;
    return shapes;
  }

  // Lines of the block that is fetched while block b is read.
  void fetch(int64_t b, int64_t first, int64_t lines) {
    if (!fetched_) return;
    for (int64_t i = 0; i < lines; ++i) fetch_to_l2(fetched_[b] + (first + i) * 32);
  }

  // Scores of four blocks, or as many as there are, in tiles 0 to 3.
  void score(int64_t b, int64_t blocks) {
    for_four_tiles([](auto i) { tile_zero<i>(); });
    int64_t d = 0;
    for (; d + kTileDepth <= a_.dim; d += kTileDepth) add_scores<4, 6>(b, blocks, d);
    if (d < a_.dim) add_scores<5, 7>(b, blocks, d);
    for_four_tiles([&](auto i) { tile_store<i>(scores_ + i * 16, kChunkTokens * sizeof(float)); });
  }

  // Adds what the dimensions from d on, as many as the tiles are deep, give.
  template <int kQueries, int kKeys>
  void add_scores(int64_t b, int64_t blocks, int64_t d) {
    tile_load<kQueries>(a_.q + row_ * a_.dim + d, a_.dim * kBytes);
    for_four_tiles([&](auto i) {
      if (i >= blocks) return;
      tile_load<kKeys>(a_.blocks[b + i] + d * kBlockTokens, 64);
      tile_multiply<i, kQueries, kKeys>();
    });
    for (int64_t j = 0; j < blocks; ++j) fetch(b + j, d / 2, std::min(kTileDepth, a_.dim - d) / 2);
  }

  // out = out * factor + weights values, for 64 dimensions from d on, or as many as there are.
  void add_values(int64_t b, int64_t blocks, int64_t d) {
    const int64_t dims = std::min(kTiledDims, a_.dim - d);
    for_four_tiles([](auto i) { tile_zero<i>(); });
    for (int64_t j = 0; j < blocks; ++j) {
      const Bf16* values = a_.blocks[b + j] + a_.dim * kBlockTokens + 2 * d;
      tile_load<5>(weights_ + j * kBlockTokens, kChunkTokens * kBytes);
      for_four_tiles([&](auto i) {
        if (16 * i >= dims) return;
        tile_load<7>(values + 32 * i, 2 * a_.dim * kBytes);
        tile_multiply<i, 5, 7>();
      });
      // The values' half of a block has as many lines as the keys'.
      fetch(b + j, (a_.dim + d) / 2, dims / 2);
    }
    for_four_tiles([&](auto i) { tile_store<i>(sums_ + i * 16, kTiledDims * sizeof(float)); });
    for (int64_t i = 0; i < rows_; ++i) {
      float* out = a_.out + (row_ + i) * a_.dim + d;
      for (int64_t at = 0; at < dims; at += 16) {
        store16(out + at, load16(out + at) * factor_[i] + load16(sums_ + i * kTiledDims + at));
      }
    }
  }

  const AttendArgs<Bf16>& a_;
  int64_t row_, rows_;
  const Bf16* const* fetched_;
  int32_t furthest_ = 0;
  float peak_[kTileRows], sum_[kTileRows], factor_[kTileRows];
  alignas(64) float scores_[kTileRows * kChunkTokens];
  alignas(64) Bf16 weights_[kTileRows * kChunkTokens];
  alignas(64) float sums_[kTileRows * kTiledDims];
};

void attend_tiles(const AttendArgs<Bf16>& a) {
  for (int64_t row = 0; row < a.rows; row += kTileRows) {
    AttendTiles(a, row, std::min(kTileRows, a.rows - row)).run();
  }
}

}  // namespace
}  // namespace weft::kernels
