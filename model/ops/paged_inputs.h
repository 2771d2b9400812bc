/// What attention over a paged cache reads on a GPU beside queries and cache: one array of int32,
/// copied at once.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "model/ops/cpu/attention.h"
#include "model/ops/cuda/attend_plan.h"

namespace weft::ops {

/// Which attention's inputs a pass has.
enum class PagedReads { kItems, kContext };

/// A pass as the host writes it; names as in cuda_library.h.
struct HostPagedInputs {
  int64_t rows = 0;
  std::vector<int32_t> positions, slots, first_block, lengths;  // [rows]
  std::vector<int32_t> block_list;
  // For the decode kernel: its items, and how many of them there is room for.
  AttendPlan attention;
  int64_t max_items = 0;
  // For flash attention: every token that some row sees, span after span.
  std::vector<int32_t> context_slots;
  std::vector<int32_t> row_ends, context_ends;  // [spans + 1] from 0, or empty
  int64_t longest_span = 0, longest_context = 0;

  /// `num_rows` is at least the tokens of the spans; the rest have no slot and no context.
  HostPagedInputs(const std::vector<kernels::PagedSpan>& spans, int64_t num_rows, PagedReads reads);

  /// All arrays one behind the other. The items and then block_list come last, and are one array
  /// to the kernels: first_block counts from the first item on.
  std::vector<int32_t> packed() const;
};

/// The same on the device: views of one tensor, at places that depend on the sizes alone.
struct PagedInputs {
  int64_t rows = 0;
  const int32_t* positions = nullptr;
  const int32_t* slots = nullptr;
  const int32_t* first_block = nullptr;
  const int32_t* lengths = nullptr;
  const int32_t* first_slot = nullptr;
  const int32_t* num_items = nullptr;
  const cuda::AttendItem* items = nullptr;
  int64_t max_items = 0;
  const int32_t* block_list = nullptr;
  const int32_t* context_slots = nullptr;
  int64_t num_context = 0;
  at::Tensor row_ends, context_ends;
  int64_t longest_span = 0, longest_context = 0;

  PagedInputs() = default;
  /// `all`, int32 on the device, holds host.packed().
  PagedInputs(const HostPagedInputs& host, const at::Tensor& all);
};

}  // namespace weft::ops
