#include <cuda_runtime.h>

#include <algorithm>

#include "model/ops/cuda/attention_tile_body.h"
#include "model/ops/cuda/kernels.h"
#include "model/ops/cuda/launch_shapes.h"
#include "model/ops/cuda/lora_bodies.h"
#include "model/ops/cuda/packed_attention_bodies.h"
#include "model/ops/cuda/row_bodies.h"
#include "model/ops/cuda/sample_body.h"
#include "model/ops/cuda/training_bodies.h"

namespace weft::cuda {
namespace {

// The GPU's Block; see simt.h.
struct DeviceBlock {
  WEFT_SIMT int thread() const { return static_cast<int>(threadIdx.x); }
  WEFT_SIMT int size() const { return static_cast<int>(blockDim.x); }
  WEFT_SIMT int64_t x() const { return blockIdx.x; }
  WEFT_SIMT int64_t y() const { return blockIdx.y; }
  WEFT_SIMT int64_t grid_x() const { return gridDim.x; }
  template <class T>
  using Shared = T*;
  template <class T>
  WEFT_SIMT T* shared(int64_t byte) const {
    extern __shared__ uint4 memory[];
    return reinterpret_cast<T*>(reinterpret_cast<char*>(memory) + byte);
  }
  WEFT_SIMT uint32_t add_shared(uint32_t* p, uint32_t value) const { return atomicAdd(p, value); }
  WEFT_SIMT void max_shared(uint32_t* p, uint32_t value) const { atomicMax(p, value); }
  WEFT_SIMT float load(const float* p) const { return __ldg(p); }
  WEFT_SIMT void sync() const { __syncthreads(); }
  template <class T>
  WEFT_SIMT T shuffle(T value, int lane) const {
    return __shfl_sync(0xffffffffu, value, lane);
  }
  WEFT_SIMT void mma(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) const {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
        "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
  }
};

template <class T>
__global__ void __launch_bounds__(kRowThreads) run_add_rms_norm(AddRmsNorm a) {
  DeviceBlock block;
  add_rms_norm_body<T>(block, a);
}

template <class T>
__global__ void __launch_bounds__(kRowThreads) run_rope_store(RopeStore a) {
  DeviceBlock block;
  rope_store_body<T>(block, a);
}

template <class T>
__global__ void __launch_bounds__(kRowThreads) run_silu_mul(SiluMul a) {
  DeviceBlock block;
  silu_mul_body<T>(block, a);
}

template <class T>
__global__ void __launch_bounds__(kAttendThreads, kAttendBlocks) run_attend(PagedAttention a) {
  DeviceBlock block;
  attend_body<T>(block, a);
}

template <int kDim>
__global__ void __launch_bounds__(kTileThreads, kTileBlocks) run_attend_tile(PagedAttention a) {
  DeviceBlock block;
  attend_tile_body<kDim>(block, a);
}

template <int kDim>
__global__ void __launch_bounds__(kTileThreads, kTileRowBlocks) run_attend_rows(PagedAttention a) {
  DeviceBlock block;
  attend_rows_body<kDim>(block, a);
}

template <class T>
__global__ void __launch_bounds__(kAttendThreads) run_merge_parts(PagedAttention a) {
  DeviceBlock block;
  merge_parts_body<T>(block, a);
}

__global__ void __launch_bounds__(kSampleThreads, kSampleBlocks) run_sample(SampleRows a) {
  DeviceBlock block;
  sample_body(block, a);
}

__global__ void __launch_bounds__(kRowThreads) run_take_ids(TakeIds a) {
  DeviceBlock block;
  take_ids_body(block, a);
}

template <class T>
__global__ void __launch_bounds__(kLoraThreads, kLoraBlocks) run_lora_shrink(BatchedLora a) {
  DeviceBlock block;
  lora_shrink_body<T>(block, a);
}

template <class T>
__global__ void __launch_bounds__(kLoraThreads, kLoraBlocks) run_lora_expand(BatchedLora a) {
  DeviceBlock block;
  lora_expand_body<T>(block, a);
}

template <class T>
__global__ void __launch_bounds__(kRowThreads) run_rms_norm_backward(RmsNormBackward a) {
  DeviceBlock block;
  rms_norm_backward_body<T>(block, a);
}

template <class T>
__global__ void __launch_bounds__(kRowThreads) run_norm_weight_gradient(RmsNormBackward a) {
  DeviceBlock block;
  norm_weight_gradient_body<T>(block, a);
}

template <class T>
__global__ void __launch_bounds__(kRowThreads) run_silu_mul_backward(SiluMulBackward a) {
  DeviceBlock block;
  silu_mul_backward_body<T>(block, a);
}

template <class T>
__global__ void __launch_bounds__(kRowThreads) run_rotate_rows(RotateRows a) {
  DeviceBlock block;
  rotate_rows_body<T>(block, a);
}

template <class T>
__global__ void __launch_bounds__(kAttendThreads, kAttendBlocks)
    run_packed_attention(PackedAttention a) {
  DeviceBlock block;
  packed_attention_body<T>(block, a);
}

template <class T>
__global__ void __launch_bounds__(kAttendThreads, kAttendBlocks)
    run_packed_query_gradient(PackedAttentionBackward a) {
  DeviceBlock block;
  packed_query_gradient_body<T>(block, a);
}

template <class T>
__global__ void __launch_bounds__(kAttendThreads, kAttendBlocks)
    run_packed_key_gradient(PackedAttentionBackward a) {
  DeviceBlock block;
  packed_key_gradient_body<T>(block, a);
}

__global__ void __launch_bounds__(kLossThreads) run_loss_rows(LossRows a) {
  DeviceBlock block;
  loss_rows_body(block, a);
}

template <class T>
__global__ void __launch_bounds__(kLossThreads) run_logit_gradient(LogitGradient a) {
  DeviceBlock block;
  logit_gradient_body<T>(block, a);
}

// Calls f(float{}) or f(Bf16{}) by dtype.
template <class F>
int32_t with_type(Dtype dtype, F&& launch) {
  dtype == Dtype::kF32 ? launch(float{}) : launch(Bf16{});
  return cudaGetLastError();
}

cudaStream_t to_stream(void* stream) { return static_cast<cudaStream_t>(stream); }

dim3 grid(int64_t x, int64_t y = 1, int64_t z = 1) {
  return dim3(static_cast<unsigned>(x), static_cast<unsigned>(y), static_cast<unsigned>(z));
}

int32_t add_rms_norm(const AddRmsNorm& a, void* stream) {
  if (a.rows == 0) return cudaSuccess;
  return with_type(a.dtype, [&](auto tag) {
    run_add_rms_norm<decltype(tag)>
        <<<grid(a.rows), kRowThreads, kNormShared, to_stream(stream)>>>(a);
  });
}

int32_t rope_store(const RopeStore& a, void* stream) {
  if (a.rows == 0) return cudaSuccess;
  return with_type(a.dtype, [&](auto tag) {
    run_rope_store<decltype(tag)><<<grid(a.rows), kRowThreads, 0, to_stream(stream)>>>(a);
  });
}

int32_t silu_mul(const SiluMul& a, void* stream) {
  if (a.rows == 0) return cudaSuccess;
  return with_type(a.dtype, [&](auto tag) {
    const int64_t share = kRowThreads * Pack<decltype(tag)>::kSize;
    run_silu_mul<decltype(tag)>
        <<<grid(a.rows, (a.dim + share - 1) / share), kRowThreads, 0, to_stream(stream)>>>(a);
  });
}

// Launches as many blocks as the device holds at once, or fewer where there are at most fewer
// items: a block takes several in turn.
template <class Kernel, class Args>
int32_t launch_items(Kernel kernel, int threads, size_t shared, int64_t most_items, const Args& a,
                     cudaStream_t stream) {
  int device = 0, sms = 0, blocks = 0;
  cudaError_t status = cudaGetDevice(&device);
  if (status == cudaSuccess) {
    status = cudaDeviceGetAttribute(&sms, cudaDevAttrMultiProcessorCount, device);
  }
  if (status == cudaSuccess) {
    status = cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, kernel, threads, shared);
  }
  if (status == cudaSuccess && blocks == 0) status = cudaErrorInvalidValue;  // too much shared
  if (status != cudaSuccess) return status;
  const int64_t held = int64_t{sms} * blocks;
  kernel<<<grid(std::min(held, most_items)), threads, shared, stream>>>(a);
  return cudaGetLastError();
}

int32_t attend_items(const PagedAttention& a, cudaStream_t stream) {
  const int64_t items = a.max_items * a.kv_heads;
  if (!fits_tiles(a)) {
    const auto kernel = a.dtype == Dtype::kF32 ? run_attend<float> : run_attend<Bf16>;
    return launch_items(kernel, kAttendThreads, attend_shared(a) * sizeof(float), items, a, stream);
  }
  const auto kernel = a.head_dim == 128 ? run_attend_tile<128> : run_attend_tile<64>;
  return launch_items(kernel, kTileThreads, attend_tile_shared(a) * sizeof(float), items, a,
                      stream);
}

int32_t attend_tiles(const PagedAttention& a, cudaStream_t stream) {
  if (!fits_tiles(a)) return cudaErrorInvalidValue;
  const auto kernel = a.head_dim == 128 ? run_attend_rows<128> : run_attend_rows<64>;
  return launch_items(kernel, kTileThreads, 0, a.num_tiles * a.kv_heads, a, stream);
}

int32_t paged_attention(const PagedAttention& a, void* stream) {
  if (a.rows == 0) return cudaSuccess;
  int32_t status = cudaSuccess;
  if (a.max_items > 0) status = attend_items(a, to_stream(stream));
  if (status == cudaSuccess && a.num_tiles > 0) status = attend_tiles(a, to_stream(stream));
  if (status != cudaSuccess) return status;
  return with_type(a.dtype, [&](auto tag) {
    run_merge_parts<decltype(tag)>
        <<<grid(a.rows, a.heads), kAttendThreads, kMergeShared, to_stream(stream)>>>(a);
  });
}

int32_t sample(const SampleRows& a, void* stream) {
  if (a.rows == 0) return cudaSuccess;
  run_sample<<<grid(a.rows), kSampleThreads, kSampleShared, to_stream(stream)>>>(a);
  return cudaGetLastError();
}

int32_t take_ids(const TakeIds& a, void* stream) {
  if (a.rows == 0) return cudaSuccess;
  run_take_ids<<<grid(1), kRowThreads, 0, to_stream(stream)>>>(a);
  return cudaGetLastError();
}

int32_t batched_lora(const BatchedLora& a, void* stream) {
  if (a.rows == 0) return cudaSuccess;
  const bool wide = a.dtype == Dtype::kF32;
  const int64_t chunks = lora_chunks(a.in), shares = (a.out + kLoraColumns - 1) / kLoraColumns;
  const int32_t status = launch_items(
      wide ? run_lora_shrink<float> : run_lora_shrink<Bf16>, kLoraThreads, kLoraShrinkShared,
      a.rows * (a.max_rank / kLoraRanks) * chunks, a, to_stream(stream));
  if (status != cudaSuccess) return status;
  return launch_items(wide ? run_lora_expand<float> : run_lora_expand<Bf16>, kLoraThreads,
                      kLoraExpandShared, a.rows * shares, a, to_stream(stream));
}

int32_t rms_norm_backward(const RmsNormBackward& a, void* stream) {
  if (a.rows == 0) return cudaSuccess;
  return with_type(a.dtype, [&](auto tag) {
    using T = decltype(tag);
    const cudaStream_t on = to_stream(stream);
    run_rms_norm_backward<T><<<grid(a.rows), kRowThreads, kTrainingShared, on>>>(a);
    if (!a.g_weight) return;
    const int64_t blocks = (a.dim + kRowThreads - 1) / kRowThreads;
    run_norm_weight_gradient<T><<<grid(blocks, kNormShares), kRowThreads, 0, on>>>(a);
  });
}

int32_t silu_mul_backward(const SiluMulBackward& a, void* stream) {
  if (a.rows == 0) return cudaSuccess;
  return with_type(a.dtype, [&](auto tag) {
    using T = decltype(tag);
    const int64_t share = kRowThreads * Pack<T>::kSize;
    run_silu_mul_backward<T>
        <<<grid(a.rows, (a.dim + share - 1) / share), kRowThreads, 0, to_stream(stream)>>>(a);
  });
}

int32_t rotate_rows(const RotateRows& a, void* stream) {
  if (a.rows == 0) return cudaSuccess;
  return with_type(a.dtype, [&](auto tag) {
    run_rotate_rows<decltype(tag)><<<grid(a.rows), kRowThreads, 0, to_stream(stream)>>>(a);
  });
}

int32_t packed_attention(const PackedAttention& a, void* stream) {
  if (a.rows == 0) return cudaSuccess;
  return with_type(a.dtype, [&](auto tag) {
    run_packed_attention<decltype(tag)>
        <<<grid(a.rows, a.heads), kAttendThreads, packed_attention_shared(a), to_stream(stream)>>>(
            a);
  });
}

int32_t packed_attention_backward(const PackedAttentionBackward& b, void* stream) {
  const PackedAttention& a = b.forward;
  if (a.rows == 0) return cudaSuccess;
  return with_type(a.dtype, [&](auto tag) {
    using T = decltype(tag);
    const cudaStream_t on = to_stream(stream);
    const int64_t shared = packed_attention_shared(a);
    run_packed_query_gradient<T><<<grid(a.rows, a.heads), kAttendThreads, shared, on>>>(b);
    run_packed_key_gradient<T><<<grid(a.rows, a.kv_heads), kAttendThreads, shared, on>>>(b);
  });
}

int32_t loss_rows(const LossRows& a, void* stream) {
  if (a.rows == 0) return cudaSuccess;
  run_loss_rows<<<grid(a.rows), kLossThreads, kTrainingShared, to_stream(stream)>>>(a);
  return cudaGetLastError();
}

int32_t logit_gradient(const LogitGradient& a, void* stream) {
  if (a.rows == 0) return cudaSuccess;
  return with_type(a.dtype, [&](auto tag) {
    run_logit_gradient<decltype(tag)>
        <<<grid(a.rows), kLossThreads, kTrainingShared, to_stream(stream)>>>(a);
  });
}

}  // namespace

Kernels kernels() {
  return {add_rms_norm,
          rope_store,
          paged_attention,
          silu_mul,
          sample,
          take_ids,
          batched_lora,
          rms_norm_backward,
          silu_mul_backward,
          rotate_rows,
          packed_attention,
          packed_attention_backward,
          loss_rows,
          logit_gradient};
}

}  // namespace weft::cuda
