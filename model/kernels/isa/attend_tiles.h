/// `attend` on matrix tiles (AMX), for up to 16 query rows at a time. Blocks of keys and values are
/// right factors as they lie: 16 pairs of dimensions by 16 tokens, and 8 pairs of tokens by 16
/// dimensions.
#pragma once

#include "model/kernels/isa/attend.h"
#include "model/kernels/isa/tiles.h"

#ifdef __AMX_BF16__
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
      before_tiles_read(weights_);
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
  TileShapes shapes() const {
    TileShapes shapes;
    for (int i = 0; i < 6; ++i) shapes.rows[i] = static_cast<uint8_t>(rows_);
    shapes.row_bytes[5] = 32;
    shapes.rows[7] = 8;
    return shapes;
  }

  // Lines of the block that is fetched while block b is read.
  WEFT_INLINE void fetch(const Bf16* const* fetched, int64_t b, int64_t first, int64_t lines) {
    if (!fetched) return;
    for (int64_t i = 0; i < lines; ++i) fetch_to_l2(fetched[b] + (first + i) * 32);
  }

  // Scores of four blocks, or as many as there are, in tiles 0 to 3.
  void score(int64_t b, int64_t blocks) {
    const Bf16* const* keys = a_.blocks + b;
    const Bf16* q = a_.q + row_ * a_.dim;
    const int64_t stride = a_.dim * static_cast<int64_t>(sizeof(Bf16));
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    int64_t d = 0;
    for (; d + kTileDepth <= a_.dim; d += kTileDepth) {
      const int64_t at = d * kBlockTokens;
      _tile_loadd(4, q + d, stride);
      _tile_loadd(6, keys[0] + at, 64);
      _tile_dpbf16ps(0, 4, 6);
      if (blocks > 1) {
        _tile_loadd(6, keys[1] + at, 64);
        _tile_dpbf16ps(1, 4, 6);
      }
      if (blocks > 2) {
        _tile_loadd(6, keys[2] + at, 64);
        _tile_dpbf16ps(2, 4, 6);
      }
      if (blocks > 3) {
        _tile_loadd(6, keys[3] + at, 64);
        _tile_dpbf16ps(3, 4, 6);
      }
      for (int64_t j = 0; j < blocks; ++j) fetch(fetched_, b + j, d / 2, 16);
    }
    if (d < a_.dim) {
      const int64_t at = d * kBlockTokens;
      _tile_loadd(5, q + d, stride);
      _tile_loadd(7, keys[0] + at, 64);
      _tile_dpbf16ps(0, 5, 7);
      if (blocks > 1) {
        _tile_loadd(7, keys[1] + at, 64);
        _tile_dpbf16ps(1, 5, 7);
      }
      if (blocks > 2) {
        _tile_loadd(7, keys[2] + at, 64);
        _tile_dpbf16ps(2, 5, 7);
      }
      if (blocks > 3) {
        _tile_loadd(7, keys[3] + at, 64);
        _tile_dpbf16ps(3, 5, 7);
      }
      for (int64_t j = 0; j < blocks; ++j) fetch(fetched_, b + j, d / 2, 8);
    }
    constexpr int64_t row_bytes = kChunkTokens * sizeof(float);
    _tile_stored(0, scores_, row_bytes);
    _tile_stored(1, scores_ + 16, row_bytes);
    _tile_stored(2, scores_ + 32, row_bytes);
    _tile_stored(3, scores_ + 48, row_bytes);
  }

  // out = out * factor + weights values, for 64 dimensions from d on, or as many as there are.
  void add_values(int64_t b, int64_t blocks, int64_t d) {
    const int64_t dims = std::min(kTiledDims, a_.dim - d);
    const int64_t stride = 2 * a_.dim * static_cast<int64_t>(sizeof(Bf16));
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int64_t j = 0; j < blocks; ++j) {
      const Bf16* values = a_.blocks[b + j] + a_.dim * kBlockTokens + 2 * d;
      _tile_loadd(5, weights_ + j * kBlockTokens, kChunkTokens * sizeof(Bf16));
      _tile_loadd(7, values, stride);
      _tile_dpbf16ps(0, 5, 7);
      if (dims > 16) {
        _tile_loadd(7, values + 32, stride);
        _tile_dpbf16ps(1, 5, 7);
      }
      if (dims > 32) {
        _tile_loadd(7, values + 64, stride);
        _tile_dpbf16ps(2, 5, 7);
      }
      if (dims > 48) {
        _tile_loadd(7, values + 96, stride);
        _tile_dpbf16ps(3, 5, 7);
      }
      // The values' half of a block has as many lines as the keys'.
      fetch(fetched_, b + j, (a_.dim + d) / 2, dims / 2);
    }
    constexpr int64_t row_bytes = kTiledDims * sizeof(float);
    _tile_stored(0, sums_, row_bytes);
    _tile_stored(1, sums_ + 16, row_bytes);
    _tile_stored(2, sums_ + 32, row_bytes);
    _tile_stored(3, sums_ + 48, row_bytes);
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
  before_tiles_read(a.q);
  for (int64_t row = 0; row < a.rows; row += kTileRows) {
    AttendTiles(a, row, std::min(kTileRows, a.rows - row)).run();
  }
}

}  // namespace
}  // namespace weft::kernels
#endif
