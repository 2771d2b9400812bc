/// Sequences laid end to end.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

namespace weft {

/// Sequences laid end to end, without padding. Token t of the batch belongs to sequence s with
/// cu_seqlens[s] <= t < cu_seqlens[s + 1].
struct PackedBatch {
  std::vector<int64_t> cu_seqlens;  ///< [num_sequences + 1], from 0 to T
  /// [num_sequences] -1, or the sequence (earlier in the batch, itself without a prefix) whose
  /// tokens all come before this one's: completions of one prompt share its forward pass.
  std::vector<int64_t> prefix;
  at::Tensor positions;  ///< [T] int32 on the CPU, place of each token in its text, from 0

  int64_t num_tokens() const { return cu_seqlens.back(); }
  int64_t num_sequences() const { return static_cast<int64_t>(cu_seqlens.size()) - 1; }

  /// Independent sequences; positions start at 0 in each.
  static PackedBatch from_lengths(std::span<const int64_t> lengths);

  /// Sequences some of which follow another: `prefix[s]` as above. Throws std::logic_error on a
  /// prefix that is not earlier or has a prefix itself.
  static PackedBatch with_prefixes(std::span<const int64_t> lengths,
                                   std::span<const int64_t> prefix);
};

/// Numbers as a tensor [n] int64 on the CPU.
at::Tensor index_tensor(const std::vector<int64_t>& values);

}  // namespace weft
