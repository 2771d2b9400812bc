/// Matrix tiles (AMX): their shape, rows packed for them and back.
#pragma once

#include <type_traits>

#include "model/ops/cpu/isa/vec.h"

namespace weft::kernels {
namespace {

constexpr int64_t kTileRows = 16;                      // rows of w, or of x, in a tile
constexpr int64_t kTileDepth = 32;                     // numbers of the reduced axis in a tile
constexpr int64_t kTileSize = kTileRows * kTileDepth;  // numbers in a tile

// out[i][j] = v[j][i].
WEFT_INLINE void transpose16(__m512i* v) {
  __m512i a[16], b[16];
#pragma GCC unroll 8
  for (int i = 0; i < 16; i += 2) {
    a[i] = _mm512_unpacklo_epi32(v[i], v[i + 1]);
    a[i + 1] = _mm512_unpackhi_epi32(v[i], v[i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4) {
    b[i] = _mm512_unpacklo_epi64(a[i], a[i + 2]);
    b[i + 1] = _mm512_unpackhi_epi64(a[i], a[i + 2]);
    b[i + 2] = _mm512_unpacklo_epi64(a[i + 1], a[i + 3]);
    b[i + 3] = _mm512_unpackhi_epi64(a[i + 1], a[i + 3]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const __m512i even = _mm512_shuffle_i32x4(b[i], b[i + 4], 0x88);
    const __m512i odd = _mm512_shuffle_i32x4(b[i], b[i + 4], 0xdd);
    const __m512i even2 = _mm512_shuffle_i32x4(b[i + 8], b[i + 12], 0x88);
    const __m512i odd2 = _mm512_shuffle_i32x4(b[i + 8], b[i + 12], 0xdd);
    v[i] = _mm512_shuffle_i32x4(even, even2, 0x88);
    v[i + 4] = _mm512_shuffle_i32x4(odd, odd2, 0x88);
    v[i + 8] = _mm512_shuffle_i32x4(even, even2, 0xdd);
    v[i + 12] = _mm512_shuffle_i32x4(odd, odd2, 0xdd);
  }
}

// The instructions on tiles. GCC's intrinsics do not say that they read memory, so that a store
// before them may be dropped.
template <int kTile>
WEFT_INLINE void tile_zero() {
  asm volatile("tilezero\t%%tmm%c0" ::"i"(kTile));
}
template <int kTile>
WEFT_INLINE void tile_load(const Bf16* rows, int64_t row_bytes) {
  asm volatile("tileloadd\t(%0,%1,1), %%tmm%c2" ::"r"(rows), "r"(row_bytes), "i"(kTile) : "memory");
}
// Sums += left right, in fp32.
template <int kSums, int kLeft, int kRight>
WEFT_INLINE void tile_multiply() {
  asm volatile("tdpbf16ps\t%%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kSums), "i"(kLeft), "i"(kRight));
}
template <int kTile>
WEFT_INLINE void tile_store(float* rows, int64_t row_bytes) {
  asm volatile("tilestored\t%%tmm%c2, (%0,%1,1)" ::"r"(rows), "r"(row_bytes), "i"(kTile)
               : "memory");
}

// Calls f with the numbers of the first four tiles, which are constants.
template <class F>
WEFT_INLINE void for_four_tiles(const F& f) {
  f(std::integral_constant<int, 0>());
  f(std::integral_constant<int, 1>());
  f(std::integral_constant<int, 2>());
  f(std::integral_constant<int, 3>());
}

// The shapes of the eight tiles: rows, and bytes of a row.
struct alignas(64) TileShapes {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

// The thread has tiles of such shapes while this lives.
class TileState {
 public:
  explicit TileState(const TileShapes& shapes) { asm volatile("ldtilecfg\t%0" ::"m"(shapes)); }
  ~TileState() { asm volatile("tilerelease"); }
  TileState(const TileState&) = delete;
  TileState& operator=(const TileState&) = delete;
};

// Rows as tiles [ceil(rows / 16), depth, 16 pairs, 16 rows, 2], zeros where they end.
void pack_rows(const Bf16* x, int64_t rows, int64_t k, Bf16* packed) {
  for (int64_t row = 0; row < rows; row += kTileRows) {
    const int64_t count = std::min(kTileRows, rows - row);
    for (int64_t at = 0; at < k; at += kTileDepth, packed += kTileSize) {
      const int64_t depth = std::min(kTileDepth, k - at);
      const auto mask = static_cast<__mmask32>((uint64_t{1} << depth) - 1);
      __m512i v[16];
#pragma GCC unroll 16
      for (int i = 0; i < 16; ++i) {
        v[i] = i < count ? _mm512_maskz_loadu_epi16(mask, x + (row + i) * k + at)
                         : _mm512_setzero_si512();
      }
      transpose16(v);
#pragma GCC unroll 16
      for (int i = 0; i < 16; ++i) _mm512_store_si512(packed + i * kTileDepth, v[i]);
    }
  }
}

}  // namespace
}  // namespace weft::kernels
