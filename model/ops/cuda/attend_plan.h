/// How the GPU's decode attention divides its rows among blocks of threads.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/ops/cuda/cuda_library.h"

namespace weft {

/// What a PagedAttention reads of its division.
struct AttendPlan {
  std::vector<cuda::AttendItem> items;  ///< longest first
  std::vector<int32_t> first_slot;      ///< [rows + 1]
};

/// Cuts each row's context, `lengths` tokens, into parts. How many tokens a part has depends on the
/// row's own length alone, so that neither do a row's sums change with the rows beside it: 256, or
/// for contexts beyond 16,384 tokens so many times 256 that there are at most 64 parts. A row of
/// one part has no slot; one without context has no part. The order of the items changes no result.
AttendPlan plan_attention(std::span<const int32_t> lengths);

/// The most parts that a row of at most `context` tokens has.
int64_t most_attend_parts(int64_t context);

}  // namespace weft
