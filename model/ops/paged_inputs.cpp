#include "model/ops/paged_inputs.h"

#include <algorithm>

#include "base/error.h"

namespace weft::ops {
namespace {

using kernels::kBlockTokens;
using kernels::PagedSpan;

constexpr int64_t kItemWords = sizeof(cuda::AttendItem) / sizeof(int32_t);

int32_t slot(const PagedSpan& span, int64_t t) {
  const int64_t block = span.blocks[t / kBlockTokens];
  return static_cast<int32_t>(block * kBlockTokens + t % kBlockTokens);
}

}  // namespace

HostPagedInputs::HostPagedInputs(const std::vector<PagedSpan>& spans, int64_t num_rows,
                                 PagedReads reads)
    : rows(num_rows) {
  const bool with_context = reads == PagedReads::kContext;
  if (with_context) row_ends = context_ends = {0};
  for (const PagedSpan& span : spans) {
    const int64_t end = span.start + span.num_tokens;
    for (int64_t t = span.start; t < end; ++t) {
      positions.push_back(static_cast<int32_t>(t));
      slots.push_back(slot(span, t));
      first_block.push_back(static_cast<int32_t>(block_list.size()));
      lengths.push_back(static_cast<int32_t>(t + 1));
    }
    block_list.insert(block_list.end(), span.blocks,
                      span.blocks + (end + kBlockTokens - 1) / kBlockTokens);
    longest_span = std::max(longest_span, span.num_tokens);
    longest_context = std::max(longest_context, end);
    if (!with_context) continue;
    for (int64_t t = 0; t < end; ++t) context_slots.push_back(slot(span, t));
    row_ends.push_back(static_cast<int32_t>(span.row + span.num_tokens));
    context_ends.push_back(static_cast<int32_t>(context_ends.back() + end));
  }
  WEFT_ASSERT(std::ssize(positions) <= rows);
  slots.resize(rows, -1);
  for (auto* array : {&positions, &first_block, &lengths}) array->resize(rows, 0);
  if (!with_context) attention = plan_attention(lengths);
  attention.first_slot.resize(rows + 1, 0);
  max_items = std::ssize(attention.items);
  for (int32_t& first : first_block) first += static_cast<int32_t>(max_items * kItemWords);
}

std::vector<int32_t> HostPagedInputs::packed() const {
  std::vector<int32_t> all;
  for (const auto* array : {&positions, &slots, &first_block, &lengths, &row_ends, &context_ends,
                            &context_slots, &attention.first_slot}) {
    all.insert(all.end(), array->begin(), array->end());
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
      num_context(std::ssize(host.context_slots)),
      longest_span(host.longest_span),
      longest_context(host.longest_context) {
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
  row_ends = take(std::ssize(host.row_ends));
  context_ends = take(std::ssize(host.context_ends));
  context_slots = pointer(num_context);
  first_slot = pointer(rows + 1);
  num_items = pointer(1);
  block_list = all.const_data_ptr<int32_t>() + at;
  items = reinterpret_cast<const cuda::AttendItem*>(block_list);
}

}  // namespace weft::ops
