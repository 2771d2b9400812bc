#include "model/engine/kv_cache.h"

#include <ATen/ops/zeros.h>

#include "model/kernels/mapped_tensor.h"

namespace weft {

KvCache::KvCache(int64_t num_layers, const kernels::HeadShape& shape, at::ScalarType dtype,
                 int64_t num_blocks, at::Device device) {
  if (!device.is_cpu()) {
    together_ = at::zeros({num_layers, num_blocks, shape.kv_heads, shape.block_size()},
                          at::TensorOptions(dtype).device(device));
  }
  for (int64_t l = 0; l < num_layers; ++l) {
    layers_.push_back(device.is_cpu() ? kernels::mapped_tensor(
                                            {num_blocks, shape.kv_heads, shape.block_size()}, dtype)
                                      : together_.select(0, l));
  }
}

int64_t KvCache::block_bytes(int64_t num_layers, const kernels::HeadShape& shape,
                             at::ScalarType dtype) {
  return num_layers * shape.kv_heads * shape.block_size() *
         static_cast<int64_t>(c10::elementSize(dtype));
}

void KvCache::copy(int32_t from, int32_t to) {
  if (together_.defined()) {
    together_.select(1, to).copy_(together_.select(1, from));
    return;
  }
  for (const at::Tensor& layer : layers_) layer.select(0, to).copy_(layer.select(0, from));
}

void KvCache::clear(int32_t block) {
  for (const at::Tensor& layer : layers_) layer.select(0, block).zero_();
}

}  // namespace weft
