#include "model/ops/cuda/packed_plan.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <vector>

#include "model/ops/queued_copy.h"

namespace weft::ops {
namespace {

// Arrays of int32 in one tensor of the device.
class Arrays {
 public:
  /// The place of what add() gave last.
  int64_t add(const std::vector<int32_t>& values) {
    const auto at = std::ssize(all_);
    all_.insert(all_.end(), values.begin(), values.end());
    return at;
  }
  at::Tensor to(at::Device device) const {
    at::Tensor host = at::empty({std::ssize(all_)}, at::kInt);
    std::copy(all_.begin(), all_.end(), host.data_ptr<int32_t>());
    return queued_copy(host, device);
  }

 private:
  std::vector<int32_t> all_;
};

std::vector<int32_t> positions_of(const PackedBatch& batch) {
  const int32_t* first = batch.positions.const_data_ptr<int32_t>();
  return {first, first + batch.num_tokens()};
}

std::vector<std::vector<int64_t>> readers_of(const PackedBatch& batch) {
  std::vector<std::vector<int64_t>> readers(batch.num_sequences());
  for (int64_t s = 0; s < batch.num_sequences(); ++s) {
    if (batch.prefix[s] >= 0) readers[batch.prefix[s]].push_back(s);
  }
  return readers;
}

void add_range(std::vector<int64_t>& rows, int64_t begin, int64_t end) {
  for (int64_t r = begin; r < end; ++r) rows.push_back(r);
}

}  // namespace

CudaPackedPlan::CudaPackedPlan(const PackedBatch& packed, at::Device device) : PackedPlan(packed) {
  const auto& cu = packed.cu_seqlens;
  const auto readers = readers_of(packed);
  std::vector<int32_t> first, prompt_first, prompt_last, last, readers_first, readers_last, ranges;
  std::vector<int32_t> all_ends(cu.begin(), cu.end()), r_ends = {0}, p_ends = {0};
  std::vector<int64_t> r_rows, p_rows;
  for (int64_t s = 0; s < packed.num_sequences(); ++s) {
    const int64_t length = cu[s + 1] - cu[s], prompt = packed.prefix[s];
    longest = std::max(longest, length);
    const auto begin = static_cast<int32_t>(std::ssize(ranges) / 2);
    for (const int64_t reader : readers[s]) {
      ranges.push_back(static_cast<int32_t>(cu[reader]));
      ranges.push_back(static_cast<int32_t>(cu[reader + 1]));
      add_range(r_rows, cu[reader], cu[reader + 1]);
    }
    if (!readers[s].empty()) {
      add_range(p_rows, cu[s], cu[s + 1]);
      longest_prompt = std::max(longest_prompt, length);
      longest_readers = std::max(longest_readers, std::ssize(r_rows) - r_ends.back());
      r_ends.push_back(static_cast<int32_t>(r_rows.size()));
      p_ends.push_back(static_cast<int32_t>(p_rows.size()));
    }
    const auto fill = [&](std::vector<int32_t>& array, int64_t value) {
      array.insert(array.end(), length, static_cast<int32_t>(value));
    };
    fill(first, cu[s]);
    fill(last, cu[s + 1]);
    fill(prompt_first, prompt < 0 ? 0 : cu[prompt]);
    fill(prompt_last, prompt < 0 ? 0 : cu[prompt + 1]);
    fill(readers_first, begin);
    fill(readers_last, std::ssize(ranges) / 2);
  }
  shares = !ranges.empty();
  Arrays arrays;
  const int64_t at[] = {arrays.add(first),         arrays.add(prompt_first),
                        arrays.add(prompt_last),   arrays.add(last),
                        arrays.add(readers_first), arrays.add(readers_last),
                        arrays.add(ranges),        arrays.add(positions_of(packed)),
                        arrays.add(all_ends),      arrays.add(r_ends),
                        arrays.add(p_ends)};
  storage_ = arrays.to(device);
  const int32_t* base = storage_.const_data_ptr<int32_t>();
  sees = {base + at[0], base + at[1], base + at[2], base + at[3],
          base + at[4], base + at[5], base + at[6]};
  positions = base + at[7];
  ends = storage_.narrow(0, at[8], std::ssize(all_ends));
  reader_ends = storage_.narrow(0, at[9], std::ssize(r_ends));
  prompt_ends = storage_.narrow(0, at[10], std::ssize(p_ends));
  if (!shares) return;
  reader_rows = queued_copy(index_tensor(r_rows), device);
  prompt_rows = queued_copy(index_tensor(p_rows), device);
}

}  // namespace weft::ops
