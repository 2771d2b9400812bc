#include "model/engine/kv_cache.h"

#include <ATen/ops/zeros.h>

#include <numeric>

#include "base/error.h"
#include "model/kernels/mapped_tensor.h"

namespace weft {

KvCache::KvCache(int64_t num_layers, const kernels::HeadShape& shape, at::ScalarType dtype,
                 int64_t num_blocks, at::Device device)
    : references_(num_blocks, 0), kept_(num_blocks, false), free_(num_blocks) {
  if (!device.is_cpu()) {
    together_ = at::zeros({num_layers, num_blocks, shape.kv_heads, shape.block_size()},
                          at::TensorOptions(dtype).device(device));
  }
  for (int64_t l = 0; l < num_layers; ++l) {
    layers_.push_back(device.is_cpu() ? kernels::mapped_tensor(
                                            {num_blocks, shape.kv_heads, shape.block_size()}, dtype)
                                      : together_.select(0, l));
  }
  std::iota(free_.rbegin(), free_.rend(), 0);
}

int64_t KvCache::block_bytes(int64_t num_layers, const kernels::HeadShape& shape,
                             at::ScalarType dtype) {
  return num_layers * shape.kv_heads * shape.block_size() *
         static_cast<int64_t>(c10::elementSize(dtype));
}

int32_t KvCache::allocate() {
  WEFT_ASSERT(!free_.empty());
  const int32_t block = free_.back();
  free_.pop_back();
  references_[block] = 1;
  return block;
}

void KvCache::share(int32_t block) {
  num_idle_ -= is_idle(block);
  ++references_[block];
}

void KvCache::release(int32_t block) {
  WEFT_ASSERT(references_[block] > 0);
  if (--references_[block] == 0) free_.push_back(block);
  num_idle_ += is_idle(block);
}

void KvCache::keep(int32_t block) {
  WEFT_ASSERT(!kept_[block] && references_[block] > 0);
  kept_[block] = true;
  ++references_[block];
}

void KvCache::drop(int32_t block) {
  WEFT_ASSERT(kept_[block]);
  num_idle_ -= is_idle(block);
  kept_[block] = false;
  release(block);
}

void KvCache::release_all(std::vector<int32_t>& blocks) {
  for (auto block = blocks.rbegin(); block != blocks.rend(); ++block) release(*block);
  blocks.clear();
}

void KvCache::copy(int32_t from, int32_t to) {
  if (together_.defined()) {
    together_.select(1, to).copy_(together_.select(1, from));
    return;
  }
  for (const at::Tensor& layer : layers_) layer.select(0, to).copy_(layer.select(0, from));
}

void KvCache::clear(const std::vector<int32_t>& blocks) {
  for (const at::Tensor& layer : layers_) {
    for (int32_t block : blocks) layer.select(0, block).zero_();
  }
}

}  // namespace weft
