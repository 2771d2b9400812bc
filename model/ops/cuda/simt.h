/// What the bodies of the GPU kernels are written in: threads of a block, bf16, 16-byte loads.
///
/// A body is a template over a `Block`, so that one source runs on both machines. The GPU's Block
/// is in kernels.cu; tests drive the same bodies with one whose threads are fibers of the CPU. A
/// Block has
///   thread(), size()      index in the block, threads of the block (a multiple of 32)
///   x(), y()              the block's place in the grid
///   grid_x()              blocks of the grid's first dimension
///   Shared<T>             pointer to T in the memory of the whole block: p[i] and p + i
///   shared<T>(byte)       the T at that byte of it; byte 0 is 16-byte aligned
///   add_shared(p, value)  adds to the uint32_t at p as one step; gives what was there
///   max_shared(p, value)  makes the uint32_t at p at least `value` as one step
///   load(p)               the float at p, in the device's memory
///   sync()                barrier of the block
///   shuffle(value, lane)  `value` of another lane of this thread's 32, all of which take part; it
///                         puts no order on memory (CUDA C++ Programming Guide, warp shuffle)
///   mma(c, a, b)          c += a b, the warp's bf16 tile product of 16 x 16 by 16 x 8 with the
///                         fragments of mma.sync.m16n8k16 (PTX ISA 8.0, section 9.7.13.4.8)
#pragma once

#include <math.h>

#include <cstdint>
#include <cstring>

#include "model/ops/cpu/kernel_table.h"

#ifdef __CUDACC__
#include <cuda_bf16.h>
#define WEFT_SIMT __device__ __forceinline__
#define WEFT_UNROLL _Pragma("unroll")
#define WEFT_NO_UNROLL _Pragma("unroll 1")
#else
#define WEFT_SIMT inline
#define WEFT_UNROLL
#define WEFT_NO_UNROLL
#endif

namespace weft::cuda {

using kernels::Bf16;

constexpr int kWarp = 32;

WEFT_SIMT float bits_to_float(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

WEFT_SIMT uint32_t float_to_bits(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

/// Number of bits that are set.
WEFT_SIMT int count_bits(uint32_t word) {
#ifdef __CUDA_ARCH__
  return __popc(word);
#else
  return __builtin_popcount(word);
#endif
}

WEFT_SIMT float to_float(float x) { return x; }
WEFT_SIMT float to_float(Bf16 x) { return bits_to_float(static_cast<uint32_t>(x.bits) << 16); }

/// Nearest value of T, ties to even; NaN stays NaN.
template <class T>
WEFT_SIMT T from_float(float x);

template <>
WEFT_SIMT float from_float<float>(float x) {
  return x;
}

template <>
WEFT_SIMT Bf16 from_float<Bf16>(float x) {
#ifdef __CUDA_ARCH__
  return {__bfloat16_as_ushort(__float2bfloat16_rn(x))};
#else
  const uint32_t u = float_to_bits(x);
  if (x != x) return {0x7fff};
  return {static_cast<uint16_t>((u + 0x7fff + ((u >> 16) & 1)) >> 16)};
#endif
}

/// Two bf16 in one register, `low` in the lower half.
WEFT_SIMT uint32_t pack_bf16(float low, float high) {
  return from_float<Bf16>(low).bits | static_cast<uint32_t>(from_float<Bf16>(high).bits) << 16;
}

/// What one thread loads at once: 16 bytes.
template <class T>
struct alignas(16) Pack {
  static constexpr int kSize = 16 / sizeof(T);
  T at[kSize];
};

template <class T>
WEFT_SIMT Pack<T> load_pack(const T* p) {
  return *reinterpret_cast<const Pack<T>*>(p);
}

template <class T>
WEFT_SIMT void store_pack(T* p, const Pack<T>& pack) {
  *reinterpret_cast<Pack<T>*>(p) = pack;
}

/// Two words that one thread moves at once: 8 bytes, so aligned. (A copy by memcpy is as wide as
/// the alignment that the compiler can prove.)
template <class T>
struct alignas(8) Pair {
  T at[2];
};

template <class T, class From>
WEFT_SIMT Pair<T> load_pair(const From* p) {
  return *reinterpret_cast<const Pair<T>*>(p);
}

template <class T>
WEFT_SIMT void store_pair(T* p, const Pair<T>& pair) {
  *reinterpret_cast<Pair<T>*>(p) = pair;
}

struct Add {
  template <class T>
  WEFT_SIMT T operator()(T a, T b) const {
    return a + b;
  }
};
struct Max {
  template <class T>
  WEFT_SIMT T operator()(T a, T b) const {
    return a < b ? b : a;
  }
};
struct Min {
  template <class T>
  WEFT_SIMT T operator()(T a, T b) const {
    return b < a ? b : a;
  }
};

/// Value of `op` over the warp, for every lane; the order of the operands is fixed.
template <class Block, class T, class Op>
WEFT_SIMT T reduce_warp(Block& block, T value, Op op) {
  for (int mask = kWarp / 2; mask > 0; mask /= 2) {
    value = op(value, block.shuffle(value, (block.thread() % kWarp) ^ mask));
  }
  return value;
}

/// Values of `op` over the block, for every thread, in place. `scratch`, a Shared<T>, holds N of
/// each warp and may be used again after the call.
template <int N, class Block, class T, class Scratch, class Op>
WEFT_SIMT void reduce_block(Block& block, T (&values)[N], Scratch scratch, Op op) {
  const int warps = block.size() / kWarp;
  WEFT_UNROLL
  for (int i = 0; i < N; ++i) {
    values[i] = reduce_warp(block, values[i], op);
    if (block.thread() % kWarp == 0) scratch[block.thread() / kWarp * N + i] = values[i];
  }
  block.sync();
  WEFT_UNROLL
  for (int i = 0; i < N; ++i) {
    values[i] = scratch[i];
    for (int w = 1; w < warps; ++w) {
      const T other = scratch[w * N + i];
      values[i] = op(values[i], other);
    }
  }
  block.sync();
}

}  // namespace weft::cuda
