#include "model/engine/kv_cache.h"

#include <ATen/ops/zeros.h>

#include "model/ops/cpu/mapped_tensor.h"

namespace weft {

namespace {

// A block of all layers is one piece on the CPU: memory is cleared in pages of 2 MiB when first
// written, which takes milliseconds each, and where layers lie apart a pass that begins a block may
// have to wait for one in every layer. Kernels of GPUs want the blocks of a layer in one piece.
at::Tensor make_blocks(int64_t num_layers, const kernels::HeadShape& shape, at::ScalarType dtype,
                       int64_t num_blocks, at::Device device) {
  const int64_t heads = shape.kv_heads, size = shape.block_size();
  if (device.is_cpu()) return kernels::mapped_tensor({num_blocks, num_layers, heads, size}, dtype);
  return at::zeros({num_layers, num_blocks, heads, size}, at::TensorOptions(dtype).device(device))
      .transpose(0, 1);
}

}  // namespace

KvCache::KvCache(int64_t num_layers, const kernels::HeadShape& shape, at::ScalarType dtype,
                 int64_t num_blocks, at::Device device)
    : blocks_(make_blocks(num_layers, shape, dtype, num_blocks, device)) {
  for (int64_t l = 0; l < num_layers; ++l) layers_.push_back(blocks_.select(1, l));
}

int64_t KvCache::block_bytes(int64_t num_layers, const kernels::HeadShape& shape,
                             at::ScalarType dtype) {
  return num_layers * shape.kv_heads * shape.block_size() *
         static_cast<int64_t>(c10::elementSize(dtype));
}

void KvCache::copy(int32_t from, int32_t to) {
  blocks_.select(0, to).copy_(blocks_.select(0, from));
}

void KvCache::clear(int32_t block) { blocks_.select(0, block).zero_(); }

}  // namespace weft
