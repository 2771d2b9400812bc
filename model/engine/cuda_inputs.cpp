#include "model/engine/cuda_inputs.h"

#include <algorithm>

#include "base/error.h"
#include "model/kernels/kernel_table.h"

namespace weft {

using kernels::kBlockTokens;

HostInputs::HostInputs(const std::vector<StepSpan>& spans, int64_t num_rows, bool with_context)
    : rows(num_rows), row_ends{0}, context_ends{0} {
  const auto slot = [](const StepSpan& span, int64_t t) {
    const int64_t block = (*span.blocks)[t / kBlockTokens];
    return static_cast<int32_t>(block * kBlockTokens + t % kBlockTokens);
  };
  for (const StepSpan& span : spans) {
    const auto begin = static_cast<int64_t>(ids.size());
    const auto count = static_cast<int64_t>(span.ids.size());
    const int64_t end = span.start + count;
    ids.insert(ids.end(), span.ids.begin(), span.ids.end());
    for (int64_t t = span.start; t < end; ++t) {
      positions.push_back(static_cast<int32_t>(t));
      slots.push_back(slot(span, t));
      first_block.push_back(static_cast<int32_t>(block_list.size()));
      lengths.push_back(static_cast<int32_t>(t + 1));
    }
    const auto blocks = static_cast<std::ptrdiff_t>((end + kBlockTokens - 1) / kBlockTokens);
    block_list.insert(block_list.end(), span.blocks->begin(), span.blocks->begin() + blocks);
    for (int64_t t = 0; with_context && t < end; ++t) context_slots.push_back(slot(span, t));
    row_ends.push_back(static_cast<int32_t>(begin + count));
    context_ends.push_back(static_cast<int32_t>(context_ends.back() + end));
    longest_span = std::max(longest_span, count);
    longest_context = std::max(longest_context, end);
    if (span.wants_logits) wanted.push_back(begin + count - 1);
    if (span.lora && !adapters.empty() && adapters.back().lora == span.lora) {
      adapters.back().end = begin + count;
    } else if (span.lora) {
      adapters.push_back({span.lora, begin, begin + count});
    }
  }
  WEFT_ASSERT(static_cast<int64_t>(ids.size()) <= rows);
  slots.resize(rows, -1);
  for (auto* array : {&ids, &positions, &first_block, &lengths}) array->resize(rows, 0);
}

std::vector<int32_t> HostInputs::packed() const {
  std::vector<int32_t> all;
  for (const auto* array : {&ids, &positions, &slots, &first_block, &lengths, &row_ends,
                            &context_ends, &context_slots, &block_list}) {
    all.insert(all.end(), array->begin(), array->end());
  }
  return all;
}

CudaInputs::CudaInputs(const HostInputs& host, const at::Tensor& all)
    : rows(host.rows),
      num_context(std::ssize(host.context_slots)),
      longest_span(host.longest_span),
      longest_context(host.longest_context) {
  int64_t at = 0;
  const auto take = [&](int64_t count) {
    at += count;
    return all.narrow(0, at - count, count);
  };
  const auto pointer = [&](int64_t count) { return take(count).const_data_ptr<int32_t>(); };
  ids = take(rows);
  positions = pointer(rows);
  slots = pointer(rows);
  first_block = pointer(rows);
  lengths = pointer(rows);
  row_ends = take(std::ssize(host.row_ends));
  context_ends = take(std::ssize(host.context_ends));
  context_slots = pointer(num_context);
  block_list = all.const_data_ptr<int32_t>() + at;
}

PinnedBuffer::~PinnedBuffer() {
  if (data_) library_.services.unpin(data_);
}

void PinnedBuffer::check(int32_t status) const {
  if (status != 0) throw Error(std::string("CUDA: ") + library_.error_text(status));
}

void* PinnedBuffer::reserve(size_t bytes) {
  if (busy_) check(library_.services.synchronize());
  busy_ = false;
  if (bytes > size_) {
    if (data_) library_.services.unpin(data_);
    data_ = nullptr;
    size_ = 0;
    check(library_.services.pin(bytes, &data_));
    size_ = bytes;
  }
  return data_;
}

void PinnedBuffer::copy_to(void* device, size_t bytes) {
  busy_ = true;
  check(library_.services.copy(device, data_, bytes));
}

}  // namespace weft
