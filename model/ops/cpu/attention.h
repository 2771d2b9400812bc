/// Causal attention over packed sequences and over a paged cache, both on the same block kernel.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "model/ops/cpu/kernel_table.h"

namespace weft::kernels {

/// Heads of one attention layer. Query head h reads key/value head h / (heads / kv_heads).
struct HeadShape {
  int64_t heads;
  int64_t kv_heads;
  int64_t dim;

  int64_t group() const { return heads / kv_heads; }
  int64_t row_size() const { return (heads + 2 * kv_heads) * dim; }
  /// Elements of one block of one kv head, keys and values.
  int64_t block_size() const { return 2 * kBlockTokens * padded_dim(dim); }
  float scale() const;
};

/// Sequences inside a packed batch; see PackedBatch for the meaning of both.
struct PackedLayout {
  const std::vector<int64_t>& cu_seqlens;
  const std::vector<int64_t>& prefix;
};

struct AttentionResult {
  at::Tensor out;  ///< [T, heads dim]
  at::Tensor lse;  ///< [T, heads] f32
};

/// qkv [T, row_size] with rotated queries and keys: heads q, then k, then v. A row has the bits
/// that paged_attention gives it after the same text, whether that shares its prompt or not.
AttentionResult packed_attention(const at::Tensor& qkv, const PackedLayout& layout,
                                 const HeadShape& shape);

/// Gradient [T, row_size] with respect to the rotated qkv.
at::Tensor packed_attention_backward(const at::Tensor& g_out, const at::Tensor& qkv,
                                     const AttentionResult& forward, const PackedLayout& layout,
                                     const HeadShape& shape);

/// Some new tokens of one sequence, rows [row, row + num_tokens) of the pass, whose keys and values
/// go to positions from `start` of the sequence's blocks.
struct PagedSpan {
  int64_t row;
  int64_t num_tokens;
  int64_t start;
  const int32_t* blocks;  ///< block table of the sequence
};

/// Stores the keys and values of the rows in `cache` [num_blocks, kv_heads, block_size], of which
/// each block is contiguous, then attends from each row to its sequence up to itself. Returns [T,
/// heads dim].
at::Tensor paged_attention(const at::Tensor& qkv, const at::Tensor& cache,
                           const std::vector<PagedSpan>& spans, const HeadShape& shape);

}  // namespace weft::kernels
