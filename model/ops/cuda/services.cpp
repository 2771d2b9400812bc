#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime.h>

#include <exception>
#include <memory>
#include <string>

#include "model/ops/cuda/cuda_library.h"
#include "model/ops/cuda/kernels.h"

namespace weft::cuda {
namespace {

constexpr int32_t kThrown = -1;  // what a function returns when LibTorch threw

std::string& thrown_text() {
  thread_local std::string text;
  return text;
}

template <class F>
int32_t guarded(F&& f) {
  try {
    return f();
  } catch (const std::exception& e) {
    thrown_text() = e.what();
    return kThrown;
  }
}

cudaStream_t current() { return c10::cuda::getCurrentCUDAStream().stream(); }

int32_t use_device(int32_t device) {
  return guarded([&] {
    c10::cuda::set_device(static_cast<c10::DeviceIndex>(device));
    c10::cuda::device_synchronize();
    c10::cuda::setCurrentCUDAStream(
        c10::cuda::getStreamFromPool(false, static_cast<c10::DeviceIndex>(device)));
    return 0;
  });
}

void* stream() { return current(); }

int32_t synchronize() { return cudaStreamSynchronize(current()); }

int32_t settle(int32_t device) {
  return guarded([&] {
    const c10::cuda::CUDAGuard guard(static_cast<c10::DeviceIndex>(device));
    c10::cuda::device_synchronize();
    return 0;
  });
}

int32_t memory(int32_t device, int64_t* free_bytes, int64_t* total_bytes) {
  const c10::cuda::CUDAGuard guard(static_cast<c10::DeviceIndex>(device));
  size_t available = 0, total = 0;
  const cudaError_t status = cudaMemGetInfo(&available, &total);
  *free_bytes = static_cast<int64_t>(available);
  *total_bytes = static_cast<int64_t>(total);
  return status;
}

int32_t pin(size_t bytes, void** data) { return cudaMallocHost(data, bytes); }
void unpin(void* data) { cudaFreeHost(data); }

int32_t copy(void* to, const void* from, size_t bytes) {
  return cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, current());
}

int32_t record(void** event) {
  auto& made = *reinterpret_cast<cudaEvent_t*>(event);
  if (!made) {
    const cudaError_t status = cudaEventCreateWithFlags(&made, cudaEventDisableTiming);
    if (status != cudaSuccess) return status;
  }
  return cudaEventRecord(made, current());
}

int32_t wait(void* event) { return cudaEventSynchronize(static_cast<cudaEvent_t>(event)); }

void destroy_event(void* event) { cudaEventDestroy(static_cast<cudaEvent_t>(event)); }

// The pool that all graphs of a thread share: they run one at a time, and none keeps a result in it
// beyond its own run.
at::cuda::MempoolId_t shared_pool() {
  thread_local const at::cuda::MempoolId_t pool = at::cuda::graph_pool_handle();
  return pool;
}

int32_t capture(GraphBody body, void* context, void** graph) {
  return guarded([&] {
    auto recorded = std::make_unique<at::cuda::CUDAGraph>();
    recorded->capture_begin(shared_pool(), cudaStreamCaptureModeThreadLocal);
    std::string failure;
    try {
      body(context);
    } catch (const std::exception& e) {
      failure = e.what();
    }
    recorded->capture_end();
    if (!failure.empty()) {
      thrown_text() = failure;
      return kThrown;
    }
    *graph = recorded.release();
    return 0;
  });
}

int32_t replay(void* graph) {
  return guarded([&] {
    static_cast<at::cuda::CUDAGraph*>(graph)->replay();
    return 0;
  });
}

void destroy(void* graph) { delete static_cast<at::cuda::CUDAGraph*>(graph); }

const char* error_text(int32_t error) {
  if (error == kThrown) return thrown_text().c_str();
  return cudaGetErrorString(static_cast<cudaError_t>(error));
}

}  // namespace
}  // namespace weft::cuda

extern "C" const weft::cuda::Library* weft_cuda_library() {
  using namespace weft::cuda;
  static const Library library = {kernels(),
                                  {use_device, stream, synchronize, settle, memory, pin, unpin,
                                   copy, record, wait, destroy_event, capture, replay, destroy},
                                  error_text,
                                  static_cast<int8_t>(c10::DeviceType::CUDA)};
  return &library;
}
