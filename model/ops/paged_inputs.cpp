#include "model/ops/paged_inputs.h"

#include <algorithm>

#include "base/error.h"
#include "model/ops/cuda/flash_attention.h"

namespace weft::ops {
namespace {

using kernels::kBlockTokens;
using kernels::PagedSpan;

constexpr int64_t kItemWords = sizeof(cuda::AttendItem) / sizeof(int32_t);
constexpr int64_t kTileWords = sizeof(cuda::AttendTile) / sizeof(int32_t);

int32_t slot(const PagedSpan& span, int64_t t) {
  const int64_t block = span.blocks[t / kBlockTokens];
  return static_cast<int32_t>(block * kBlockTokens + t % kBlockTokens);
}

}  // namespace

void HostPagedInputs::add(const PagedSpan& span) {
  const int64_t end = span.start + span.num_tokens;
  for (int64_t t = span.start; t < end; ++t) {
    positions.push_back(static_cast<int32_t>(t));
    slots.push_back(slot(span, t));
    first_block.push_back(static_cast<int32_t>(block_list.size()));
  }
  block_list.insert(block_list.end(), span.blocks,
                    span.blocks + (end + kBlockTokens - 1) / kBlockTokens);
  longest_span = std::max(longest_span, span.num_tokens);
}

// To so many rows, and as `packed` lays it out.
void HostPagedInputs::pad(int64_t num_rows) {
  rows = num_rows;
  WEFT_ASSERT(std::ssize(positions) <= rows);
  slots.resize(rows, -1);
  for (auto* array : {&positions, &first_block, &lengths}) array->resize(rows, 0);
  attention.first_slot.resize(rows + 1, attention.first_slot.back());
  max_items = std::ssize(attention.items);
  for (int32_t& first : first_block) first += static_cast<int32_t>(max_items * kItemWords);
}

HostPagedInputs HostPagedInputs::from_cache(const std::vector<PagedSpan>& spans, int64_t num_rows) {
  HostPagedInputs in;
  for (const PagedSpan& span : spans) {
    in.add(span);
    for (int64_t t = 0; t < span.num_tokens; ++t) {
      in.lengths.push_back(static_cast<int32_t>(span.start + t + 1));
    }
  }
  in.attention = plan_attention(in.lengths);
  in.pad(num_rows);
  return in;
}

HostPagedInputs HostPagedInputs::of_own_rows(const std::vector<PagedSpan>& spans,
                                             const kernels::HeadShape& shape) {
  HostPagedInputs in;
  in.row_ends = {0};
  std::vector<ContextRows> seen;
  for (const PagedSpan& span : spans) {
    WEFT_ASSERT(span.row == in.row_ends.back());
    in.add(span);
    in.lengths.insert(in.lengths.end(), span.num_tokens, static_cast<int32_t>(span.start));
    in.row_ends.push_back(static_cast<int32_t>(span.row + span.num_tokens));
    seen.push_back({span.row, span.num_tokens, span.start});
  }
  in.attention = plan_context(seen, shape.group(), shape.kv_heads);
  in.pad(in.row_ends.back());
  return in;
}

std::vector<int32_t> HostPagedInputs::packed() const {
  std::vector<int32_t> all;
  for (const auto* array :
       {&positions, &slots, &first_block, &lengths, &row_ends, &attention.first_slot}) {
    all.insert(all.end(), array->begin(), array->end());
  }
  for (const auto& [row, count, first, last, part] : attention.tiles) {
    all.insert(all.end(), {row, count, first, last, part});
  }
  all.push_back(static_cast<int32_t>(attention.items.size()));
  for (const auto& [row, first, last, slot] : attention.items) {
    all.insert(all.end(), {row, first, last, slot});
  }
  all.insert(all.end(), block_list.begin(), block_list.end());
  return all;
}

PagedInputs::PagedInputs(const HostPagedInputs& host, const at::Tensor& all)
    : rows(host.rows),
      max_items(host.max_items),
      num_tiles(std::ssize(host.attention.tiles)),
      num_slots(std::max<int64_t>(host.max_items, host.attention.first_slot.back())),
      longest_span(host.longest_span) {
  int64_t at = 0;
  const auto take = [&](int64_t count) {
    at += count;
    return all.narrow(0, at - count, count);
  };
  const auto pointer = [&](int64_t count) { return take(count).const_data_ptr<int32_t>(); };
  positions = pointer(rows);
  slots = pointer(rows);
  first_block = pointer(rows);
  lengths = pointer(rows);
  if (!host.row_ends.empty()) row_ends = take(std::ssize(host.row_ends));
  first_slot = pointer(rows + 1);
  tiles = reinterpret_cast<const cuda::AttendTile*>(pointer(num_tiles * kTileWords));
  num_items = pointer(1);
  block_list = all.const_data_ptr<int32_t>() + at;
  items = reinterpret_cast<const cuda::AttendItem*>(block_list);
}

bool takes_own_rows(at::ScalarType dtype, const kernels::HeadShape& shape, bool with_context) {
  if (!takes_flash_attention(dtype, shape.dim)) return false;
  return !with_context || cuda::fits_tiles(cuda::Dtype::kBf16, shape.group(), shape.dim);
}

}  // namespace weft::ops
