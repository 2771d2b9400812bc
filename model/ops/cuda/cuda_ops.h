/// The operations on a GPU: matrix products by LibTorch, what lies between them by libweft_cuda.so,
/// attention by either.
#pragma once

#include <ATen/core/Tensor.h>

#include "model/device.h"
#include "model/ops/cuda/cuda_library.h"
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
/// sequence up to itself: [rows, heads dim].
at::Tensor rotary_paged_attention(const at::Tensor& qkv, const HeadNorms& norms,
                                  const at::Tensor& rope_table, const PagedInputs& inputs,
                                  const at::Tensor& cache, const kernels::HeadShape& shape);

/// Where the adapters' weights for one linear layer lie; names as in BatchedLora.
struct LoraTableView {
  const cuda::LoraWeights* weights;
  int64_t stride, max_rank;
};

/// Adds to y [rows, out] the updates of x [rows, in] by the adapter of each row's tile. All
/// pointers are the device's.
void add_batched_lora(const at::Tensor& y, const at::Tensor& x, const cuda::LoraTile* tiles,
                      const int32_t* num_tiles, const LoraTableView& table);

}  // namespace weft::ops
