/// LibTorch's flash attention (arXiv:2307.08691) inside packed sequences that may share prompts.
#pragma once

#include <ATen/core/Tensor.h>

#include "model/ops/cpu/attention.h"
#include "model/ops/cuda/packed_plan.h"

namespace weft::ops {

/// Whether it takes them.
bool takes_flash_attention(at::ScalarType dtype, int64_t head_dim);

struct FlashResult {
  at::Tensor out;  ///< [T, heads dim]
  at::Tensor lse;  ///< [heads, T] f32
};

/// qkv [T, row_size] with rotated queries and keys: each sequence, rows ends[i] to ends[i + 1] and
/// at most `longest` of them, attends to itself. `ends` [sequences + 1] int32 on the device.
FlashResult flash_attention_within(const at::Tensor& qkv, const at::Tensor& ends, int64_t longest,
                                   const kernels::HeadShape& shape);

/// The same with the sequences of the plan. What shares a prompt attends to itself and to
/// the prompt in two calls, whose results are merged by their log sums: those of each query's parts
/// add up as the parts of one softmax.
FlashResult packed_flash_attention(const at::Tensor& qkv, const CudaPackedPlan& plan,
                                   const kernels::HeadShape& shape);

/// Gradient [T, row_size] with respect to the rotated qkv. With the merged result and log sums, the
/// backward pass of either call gives its part of the whole softmax's gradient.
at::Tensor packed_flash_attention_backward(const at::Tensor& g_out, const at::Tensor& qkv,
                                           const FlashResult& forward, const CudaPackedPlan& plan,
                                           const kernels::HeadShape& shape);

}  // namespace weft::ops
