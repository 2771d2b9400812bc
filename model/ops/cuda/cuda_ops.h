/// The operations on a GPU: matrix products by LibTorch, what lies between them by libweft_cuda.so,
/// attention by either.
#pragma once

#include <ATen/core/Tensor.h>

#include "model/device.h"
#include "model/ops/device_ops.h"
#include "model/ops/paged_inputs.h"

namespace weft::ops {

/// Makes the GPU's forms those of the tensors that lie on `device`, which must name a GPU. Any
/// thread, any number of times.
void install_cuda_forms(const ComputeDevice& device);

/// Throws InputError for a model whose shapes the kernels do not take.
void check_cuda_shape(int64_t hidden_size, int64_t intermediate_size, int64_t head_dim);

/// Norms of heads [dim], undefined where there are none.
struct HeadNorms {
  at::Tensor q, k;
  double eps;
};

/// Norms and rotates the heads of qkv [rows, (heads + 2 kv_heads) dim], queries in place, writes
/// keys and values to `cache` [num_blocks, kv_heads, block_size], and attends from each row to its
/// sequence up to itself: [rows, heads dim]. With the context of `inputs`, by flash attention.
at::Tensor rotary_paged_attention(const at::Tensor& qkv, const HeadNorms& norms,
                                  const at::Tensor& rope_table, const PagedInputs& inputs,
                                  const at::Tensor& cache, const kernels::HeadShape& shape);

}  // namespace weft::ops
