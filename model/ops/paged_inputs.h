/// What attention over a paged cache reads on a GPU beside queries and cache: one array of int32,
/// copied at once.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "model/ops/cpu/attention.h"
#include "model/ops/cuda/attend_plan.h"

namespace weft::ops {

/// A pass as the host writes it; names as in cuda_library.h.
struct HostPagedInputs {
  int64_t rows = 0;
  std::vector<int32_t> positions, slots, first_block, lengths;  // [rows]
  std::vector<int32_t> block_list;
  AttendPlan attention;
  int64_t max_items = 0;  // that there is room for
  // Of a pass whose rows attend to each other by flash attention, and by `attention` to what was
  // there before it alone.
  std::vector<int32_t> row_ends;  // [spans + 1] from 0, or empty
  int64_t longest_span = 0;

  /// Every row reads all it sees from the cache. `num_rows` is at least the tokens of the spans;
  /// the rest have no slot and no context.
  static HostPagedInputs from_cache(const std::vector<kernels::PagedSpan>& spans, int64_t num_rows);

  /// Rows of one span attend to each other. Only for what takes_own_rows is true of.
  static HostPagedInputs of_own_rows(const std::vector<kernels::PagedSpan>& spans,
                                     const kernels::HeadShape& shape);

  /// All arrays one behind the other. The items and then block_list come last, and are one array
  /// to the kernels: first_block counts from the first item on.
  std::vector<int32_t> packed() const;

 private:
  void add(const kernels::PagedSpan& span);
  void pad(int64_t num_rows);
};

/// Whether flash attention computes spans, and tiles (cuda_library.h) what some have in the cache.
bool takes_own_rows(at::ScalarType dtype, const kernels::HeadShape& shape, bool with_context);

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
  const cuda::AttendTile* tiles = nullptr;
  int64_t num_tiles = 0, num_slots = 0;
  at::Tensor row_ends;  // undefined: rows read all they see from the cache
  int64_t longest_span = 0;

  PagedInputs() = default;
  /// `all`, int32 on the device, holds host.packed().
  PagedInputs(const HostPagedInputs& host, const at::Tensor& all);
};

}  // namespace weft::ops
