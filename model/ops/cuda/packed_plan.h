/// A packed batch on a GPU.
#pragma once

#include <ATen/core/Tensor.h>

#include "model/ops/cuda/cuda_library.h"
#include "model/ops/device_ops.h"

namespace weft::ops {

/// Who sees whom, for the kernels and for flash attention.
class CudaPackedPlan : public PackedPlan {
 public:
  CudaPackedPlan(const PackedBatch& batch, at::Device device);

  cuda::PackedRows sees{};             ///< on the device, as long as the plan lives
  const int32_t* positions = nullptr;  ///< [T]

  // Flash attention of each sequence to itself.
  at::Tensor ends;  ///< [sequences + 1] int32
  int64_t longest = 0;
  // And of the sequences that share a prompt to that, all of one prompt together.
  bool shares = false;
  at::Tensor reader_rows, prompt_rows;  ///< [readers], [tokens of such prompts] int64
  at::Tensor reader_ends, prompt_ends;  ///< [prompts + 1] int32
  int64_t longest_readers = 0, longest_prompt = 0;

 private:
  at::Tensor storage_;
};

}  // namespace weft::ops
