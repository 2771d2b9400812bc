/// Which blocks of the KV cache are held, how often, and which are free: numbers of blocks without
/// what is in them. Used by the engine's thread alone.
#pragma once

#include <cstdint>
#include <vector>

#include "model/ops/cpu/kernel_table.h"

namespace weft {

/// Blocks that hold `num_tokens` tokens.
constexpr int64_t blocks_for(int64_t num_tokens) {
  return (num_tokens + kernels::kBlockTokens - 1) / kernels::kBlockTokens;
}

class BlockPool {
 public:
  explicit BlockPool(int64_t num_blocks);

  /// A free block with one reference. std::logic_error if none is free: admission keeps that away.
  int32_t allocate();
  void share(int32_t block);
  void release(int32_t block);
  void release_all(std::vector<int32_t>& blocks);

  /// Holds a block that others hold too beyond their releases, or ends that. It is idle while
  /// nobody else holds it.
  void keep(int32_t block);
  void drop(int32_t block);
  bool is_kept(int32_t block) const { return kept_[block]; }
  bool is_idle(int32_t block) const { return kept_[block] && references_[block] == 1; }

  /// Holders of a block, that of keep() included.
  int32_t references(int32_t block) const { return references_[block]; }

  int64_t num_blocks() const { return static_cast<int64_t>(references_.size()); }
  int64_t num_free() const { return static_cast<int64_t>(free_.size()); }
  int64_t num_idle() const { return num_idle_; }
  /// Blocks that are neither free nor idle.
  int64_t num_used() const { return num_blocks() - num_free() - num_idle_; }

 private:
  std::vector<int32_t> references_;
  std::vector<bool> kept_;
  int64_t num_idle_ = 0;
  std::vector<int32_t> free_;  // last in, first out: few pages are ever touched
};

}  // namespace weft
