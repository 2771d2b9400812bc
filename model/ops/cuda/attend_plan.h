/// How the GPU's attention over the cache divides its rows among blocks of threads.
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
  std::vector<cuda::AttendTile> tiles;
};

/// Cuts each row's context, `lengths` tokens, into parts. How many tokens a part has depends on the
/// row's own length alone, so that neither do a row's sums change with the rows beside it: 256, or
/// for contexts beyond 16,384 tokens so many times 256 that there are at most 64 parts. A row of
/// one part has no slot; one without context has no part. The order of the items changes no result.
AttendPlan plan_attention(std::span<const int32_t> lengths);

/// Rows [row, row + count) of a pass, of one sequence, which see its first `start` tokens.
struct ContextRows {
  int64_t row, count, start;
};

/// Divides the attention of a pass's rows, which `spans` cover in order, to what was in the cache
/// before it. Spans of one row are items as above, of several tiles of as many rows as a tile holds
/// of `group` query heads for each of `kv_heads`. Tiles are cut along the context only where there
/// would be too few of them for a GPU, into at most 64 parts of at least 256 tokens. Every row that
/// sees something has a slot, for its own attention inside the pass is merged with these.
AttendPlan plan_context(std::span<const ContextRows> spans, int64_t group, int64_t kv_heads);

/// The most parts that a row of at most `context` tokens has.
int64_t most_attend_parts(int64_t context);

}  // namespace weft
