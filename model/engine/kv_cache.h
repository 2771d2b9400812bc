/// Blocks of keys and values with reference counts. Used by the engine's thread alone.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "model/kernels/attention.h"

namespace weft {

class KvCache {
 public:
  /// On the CPU, reserves address space for `num_blocks` blocks in each layer; pages are committed
  /// when first written. Elsewhere takes the memory at once. Throws Error if there is no room.
  KvCache(int64_t num_layers, const kernels::HeadShape& shape, at::ScalarType dtype,
          int64_t num_blocks, at::Device device = at::kCPU);

  /// Bytes of one block over all layers.
  static int64_t block_bytes(int64_t num_layers, const kernels::HeadShape& shape,
                             at::ScalarType dtype);

  /// Blocks that hold `num_tokens` tokens.
  static int64_t blocks_for(int64_t num_tokens) {
    return (num_tokens + kernels::kBlockTokens - 1) / kernels::kBlockTokens;
  }

  /// [num_blocks, kv_heads, block_size] of one layer. What a block holds where is the kernels'
  /// affair: AttendArgs for the CPU, cuda_library.h for GPUs.
  const at::Tensor& layer(int64_t l) const { return layers_[l]; }

  /// A free block with one reference. std::logic_error if none is free: admission keeps that away.
  int32_t allocate();
  void share(int32_t block);
  void release(int32_t block);
  void release_all(std::vector<int32_t>& blocks);

  /// Holds a block that others hold too beyond their releases, or ends that. It is idle while
  /// nobody else holds it.
  void keep(int32_t block);
  void drop(int32_t block);
  bool is_idle(int32_t block) const { return kept_[block] && references_[block] == 1; }

  /// Copies the contents of a block in every layer.
  void copy(int32_t from, int32_t to);
  /// Clears blocks that may hold NaN: masked slots are multiplied by zero, not skipped.
  void clear(const std::vector<int32_t>& blocks);

  int64_t num_blocks() const { return static_cast<int64_t>(references_.size()); }
  int64_t num_free() const { return static_cast<int64_t>(free_.size()); }
  int64_t num_idle() const { return num_idle_; }
  /// Blocks that are neither free nor idle.
  int64_t num_used() const { return num_blocks() - num_free() - num_idle_; }

 private:
  at::Tensor together_;  // all layers where they are one tensor: [L, ...]
  std::vector<at::Tensor> layers_;
  std::vector<int32_t> references_;
  std::vector<bool> kept_;
  int64_t num_idle_ = 0;
  std::vector<int32_t> free_;  // last in, first out: few pages are ever touched
};

}  // namespace weft
