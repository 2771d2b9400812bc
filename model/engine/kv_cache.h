/// Keys and values of the tokens in the cache, by block. Used by the engine's thread alone.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "model/ops/cpu/attention.h"

namespace weft {

class KvCache {
 public:
  /// On the CPU, reserves address space for `num_blocks` blocks of all layers; pages are committed
  /// when first written. Elsewhere takes the memory at once. Throws Error if there is no room.
  KvCache(int64_t num_layers, const kernels::HeadShape& shape, at::ScalarType dtype,
          int64_t num_blocks, at::Device device = at::kCPU);

  /// Bytes of one block over all layers.
  static int64_t block_bytes(int64_t num_layers, const kernels::HeadShape& shape,
                             at::ScalarType dtype);

  /// [num_blocks, kv_heads, block_size] of one layer, each block contiguous. What a block holds
  /// where is the kernels' affair: AttendArgs for the CPU, cuda_library.h for GPUs.
  const at::Tensor& layer(int64_t l) const { return layers_[l]; }

  /// Copies the contents of a block in every layer.
  void copy(int32_t from, int32_t to);
  /// Clears a block that may hold NaN: masked slots are multiplied by zero, not skipped.
  void clear(int32_t block);

 private:
  at::Tensor blocks_;  // [num_blocks, L, kv_heads, block_size]
  std::vector<at::Tensor> layers_;
};

}  // namespace weft
