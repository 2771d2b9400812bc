#include "model/ops/packed_batch.h"

#include <ATen/ops/empty.h>

#include <algorithm>

#include "base/error.h"

namespace weft {

PackedBatch PackedBatch::from_lengths(std::span<const int64_t> lengths) {
  return with_prefixes(lengths, std::vector<int64_t>(lengths.size(), -1));
}

PackedBatch PackedBatch::with_prefixes(std::span<const int64_t> lengths,
                                       std::span<const int64_t> prefix) {
  WEFT_ASSERT(lengths.size() == prefix.size());
  PackedBatch batch;
  batch.cu_seqlens.push_back(0);
  for (int64_t length : lengths) batch.cu_seqlens.push_back(batch.cu_seqlens.back() + length);
  batch.prefix.assign(prefix.begin(), prefix.end());
  batch.positions = at::empty({batch.num_tokens()}, at::kInt);
  int32_t* position = batch.positions.data_ptr<int32_t>();
  for (size_t s = 0; s < lengths.size(); ++s) {
    const int64_t p = prefix[s];
    WEFT_ASSERT(p < static_cast<int64_t>(s) && (p < 0 || prefix[p] < 0));
    for (int64_t t = 0; t < lengths[s]; ++t) {
      *position++ = static_cast<int32_t>(t + (p < 0 ? 0 : lengths[p]));
    }
  }
  return batch;
}

at::Tensor index_tensor(const std::vector<int64_t>& values) {
  at::Tensor t = at::empty({std::ssize(values)}, at::kLong);
  std::copy(values.begin(), values.end(), t.data_ptr<int64_t>());
  return t;
}

}  // namespace weft
