/// bf16 products on matrix tiles (AMX). Rows of w are the left factor and read where they lie: no
/// packed copy of the weights is kept. Rows of x come packed, as the right factor. A tile
/// multiplies 32 numbers of the reduced axis at once and every shape of block takes them in the
/// same order: a row's result has the same bits whatever other rows are in the batch.
#pragma once

#include "model/ops/cpu/isa/tiles.h"

namespace weft::kernels {
namespace {

constexpr int64_t kBlockColumns = 4 * kTileRows;  // rows of w that pass over packed rows of x

// Some rows of w: as many as a tile has, the last of them where w's rows end. Those before
// `first_new` belong to another tile, too.
struct ColumnTile {
  int64_t column;
  int64_t first_new;
  const Bf16* w;
};

// Tiles of sums on their way to where GemmArgs wants them. They are finished one at a time while
// the next ones are multiplied: vectors and tiles have units of their own.
class PendingSums {
 public:
  PendingSums(const GemmArgs<Bf16>& g, int64_t height) : g_(g), height_(height) {}

  // Room for tile i of four, [rows of w, rows of x].
  float* tile(int64_t i) { return sums_[i]; }

  // Tile `count` is of rows [row, row + rows) of x.
  void add(const ColumnTile& columns, int64_t row, int64_t rows) {
    places_[count_++] = {columns.column, columns.first_new, row, rows};
  }
  void finish_one() {
    if (done_ < count_) finish(done_++);
  }
  void finish_all() {
    while (done_ < count_) finish(done_++);
    done_ = count_ = 0;
  }

 private:
  struct Place {
    int64_t column, first, row, rows;
  };

  void finish(int64_t tile) const {
    const Place place = places_[tile];
    const Bf16* added = g_.added;
    float* f32 = g_.f32;
    Bf16* rounded = g_.rounded;
    const auto mask = static_cast<__mmask16>((1u << height_) - (1u << place.first));
    const F32x16 bias = g_.bias ? load(g_.bias + place.column, mask) : F32x16{};
    __m512i v[kTileRows];
#pragma GCC unroll 16
    for (int i = 0; i < kTileRows; ++i) v[i] = _mm512_load_si512(sums_[tile] + i * kTileRows);
    transpose16(v);
    int64_t at = place.row * g_.n + place.column;
#pragma GCC unroll 16
    for (int i = 0; i < kTileRows; ++i, at += g_.n) {
      if (i >= place.rows) return;
      F32x16 sums = (F32x16)v[i] + bias;
      if (added) sums += load(added + at, mask);
      if (f32) {
        _mm512_mask_storeu_ps(f32 + at, mask, (__m512)sums);
      } else {
        _mm256_mask_storeu_epi16(rounded + at, mask, (__m256i)_mm512_cvtneps_pbh((__m512)sums));
      }
    }
  }

  WEFT_INLINE F32x16 load(const Bf16* p, __mmask16 mask) {
    const auto bits = (U16x16)_mm256_maskz_loadu_epi16(mask, p);
    return (F32x16)(__builtin_convertvector(bits, U32x16) << 16);
  }

  const GemmArgs<Bf16>& g_;
  int64_t height_;
  int64_t count_ = 0, done_ = 0;
  Place places_[4];
  alignas(64) float sums_[4][kTileRows * kTileRows];
};

// Products of all packed rows of x with up to 64 rows of w.
class TileBlock {
 public:
  TileBlock(const GemmArgs<Bf16>& g, int64_t height)
      : g_(g), height_(height), ahead_(rows_ahead<Bf16>(g.k)), pending_(g, height) {}
  ~TileBlock() { pending_.finish_all(); }

  void multiply(int64_t n) {
    const int64_t columns = std::min(kBlockColumns, g_.n1 - n);
    ColumnTile tiles[4];
    count_ = (columns + kTileRows - 1) / kTileRows;
    for (int64_t i = 0; i < 4; ++i) tiles[i] = column_tile(n + std::min(i, count_ - 1) * kTileRows);
    const int64_t row_tiles = (g_.m + kTileRows - 1) / kTileRows;
    const int64_t pairs = row_tiles / 2;
    const int64_t blocks = pairs * ((count_ + 1) / 2) + row_tiles % 2 * count_;
    const int64_t steps = std::max<int64_t>(1, blocks * (g_.k / kTileDepth));
    fetched_ = reinterpret_cast<const char*>(g_.w + (n + ahead_) * g_.k);
    fetches_ = (columns * g_.k / kTileDepth + steps - 1) / steps;
    for (int64_t t = 0; t < 2 * pairs; t += 2) {
      for (int64_t i = 0; i < count_; i += 2) multiply_2x2(tiles, i, t);
    }
    if (row_tiles % 2) {
      for (int64_t i = 0; i < count_; ++i) multiply_1x1(tiles[i], row_tiles - 1);
    }
  }

 private:
  const Bf16* rows_tile(int64_t t) const {
    return g_.x + t * ((g_.k + kTileDepth - 1) / kTileDepth) * kTileSize;
  }

  ColumnTile column_tile(int64_t column) const {
    const int64_t start = std::min(column, g_.n1 - height_);
    return {start, column - start, g_.w + start * g_.k};
  }

  // Calls step(offset in rows of w, in packed rows of x) for whole tiles. Meanwhile the rows of w
  // are fetched that are needed kFetchAheadBytes later, line after line and the same number in
  // each step: memory gives most when it is asked all the time. And sums are finished.
  template <class Step>
  WEFT_INLINE void for_each_step(TileBlock& block, const Step& step) {
    const int64_t fetches = block.fetches_, steps = block.g_.k / kTileDepth;
    const char* fetched = block.fetched_;
    for (int64_t s = 0; s < steps; ++s) {
      step(s * kTileDepth, s * kTileSize);
      for (int64_t i = 0; i < fetches; ++i, fetched += 64) fetch_to_l2(fetched);
      if (s % 4 == 3) block.pending_.finish_one();
    }
    block.fetched_ = fetched;
  }

  // The numbers of 16 rows of w after the last whole tile, filled up with zeros.
  void load_rest(const Bf16* w, Bf16* rest) const {
    const int64_t whole = g_.k / kTileDepth * kTileDepth;
    std::memset(rest, 0, kTileSize * sizeof(Bf16));
    for (int64_t i = 0; i < height_; ++i) {
      std::memcpy(rest + i * kTileDepth, w + i * g_.k + whole, (g_.k - whole) * sizeof(Bf16));
    }
  }

  // Tiles i and i + 1 of columns, t and t + 1 of rows.
  void multiply_2x2(const ColumnTile* tiles, int64_t i, int64_t t) {
    const Bf16 *w0 = tiles[i].w, *w1 = tiles[i + 1].w, *x0 = rows_tile(t), *x1 = rows_tile(t + 1);
    const auto step = [](const Bf16* w0, const Bf16* w1, int64_t stride, const Bf16* x0,
                         const Bf16* x1) __attribute__((always_inline)) {
      tile_load<4>(w0, stride);
      tile_load<6>(x0, 64);
      tile_multiply<0, 4, 6>();
      tile_load<7>(x1, 64);
      tile_multiply<1, 4, 7>();
      tile_load<5>(w1, stride);
      tile_multiply<2, 5, 6>();
      tile_multiply<3, 5, 7>();
    };
    for_four_tiles([](auto i) { tile_zero<i>(); });
    const int64_t stride = g_.k * static_cast<int64_t>(sizeof(Bf16));
    for_each_step(
        *this, [&](int64_t at, int64_t packed) __attribute__((always_inline)) {
          step(w0 + at, w1 + at, stride, x0 + packed, x1 + packed);
        });
    if (g_.k % kTileDepth) {
      alignas(64) Bf16 rest[2][kTileSize];
      load_rest(w0, rest[0]);
      load_rest(w1, rest[1]);
      const int64_t packed = g_.k / kTileDepth * kTileSize;
      step(rest[0], rest[1], 64, x0 + packed, x1 + packed);
    }
    pending_.finish_all();
    for_four_tiles([&](auto i) { tile_store<i>(pending_.tile(i), 64); });
    for (int64_t j = 0; j < 4 && i + j / 2 < count_; ++j) {
      add_pending(tiles[i + j / 2], t + j % 2);
    }
  }

  // One tile of columns, tile t of rows.
  void multiply_1x1(const ColumnTile& tile, int64_t t) {
    const Bf16 *w = tile.w, *x = rows_tile(t);
    const auto step =
        [](const Bf16* w, int64_t stride, const Bf16* x) __attribute__((always_inline)) {
      tile_load<4>(w, stride);
      tile_load<6>(x, 64);
      tile_multiply<0, 4, 6>();
    };
    tile_zero<0>();
    const int64_t stride = g_.k * static_cast<int64_t>(sizeof(Bf16));
    for_each_step(
        *this, [&](int64_t at, int64_t packed)
                   __attribute__((always_inline)) { step(w + at, stride, x + packed); });
    if (g_.k % kTileDepth) {
      alignas(64) Bf16 rest[kTileSize];
      load_rest(w, rest);
      step(rest, 64, x + g_.k / kTileDepth * kTileSize);
    }
    pending_.finish_all();
    tile_store<0>(pending_.tile(0), 64);
    add_pending(tile, t);
  }

  void add_pending(const ColumnTile& columns, int64_t t) {
    const int64_t row = t * kTileRows;
    pending_.add(columns, row, std::min(kTileRows, g_.m - row));
  }

  const GemmArgs<Bf16>& g_;
  int64_t height_;
  int64_t ahead_;        // rows of w between one in use and the one fetched meanwhile
  int64_t count_ = 0;    // of tiles of columns
  int64_t fetches_ = 0;  // in a step
  const char* fetched_ = nullptr;
  PendingSums pending_;
};

void gemm_tiles(const GemmArgs<Bf16>& g) {
  if (g.n0 >= g.n1) return;
  const int64_t height = std::min(kTileRows, g.n1 - g.n0);
  TileShapes shapes;
  for (int i = 0; i < 6; ++i) shapes.rows[i] = static_cast<uint8_t>(height);
  const TileState state(shapes);
  TileBlock block(g, height);
  for (int64_t n = g.n0; n < g.n1; n += kBlockColumns) block.multiply(n);
}

}  // namespace
}  // namespace weft::kernels
