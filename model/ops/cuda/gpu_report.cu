#include <cuda_runtime.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "model/ops/cuda/gpu_report.h"

namespace {

constexpr int kThreads = 256;
constexpr int kBlocks = 64;

/// Adds up 0, 1, ..., n - 1.
__global__ void add_indices(unsigned long long* sum) {
  __shared__ unsigned long long partial[kThreads];
  const unsigned index = blockIdx.x * blockDim.x + threadIdx.x;
  partial[threadIdx.x] = index;
  __syncthreads();
  for (unsigned half = kThreads / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) partial[threadIdx.x] += partial[threadIdx.x + half];
    __syncthreads();
  }
  if (threadIdx.x == 0) atomicAdd(sum, partial[0]);
}

cudaError_t run_test_kernel(unsigned long long* sum) {
  unsigned long long* on_device = nullptr;
  cudaError_t status = cudaMalloc(&on_device, sizeof(*on_device));
  if (status != cudaSuccess) return status;
  status = cudaMemset(on_device, 0, sizeof(*on_device));
  if (status == cudaSuccess) {
    add_indices<<<kBlocks, kThreads>>>(on_device);
    status = cudaGetLastError();
  }
  if (status == cudaSuccess) {
    status = cudaMemcpy(sum, on_device, sizeof(*sum), cudaMemcpyDeviceToHost);
  }
  cudaFree(on_device);
  return status;
}

cudaError_t report(int device, WeftGpu& gpu, bool& right) {
  cudaDeviceProp properties;
  cudaError_t status = cudaGetDeviceProperties(&properties, device);
  if (status == cudaSuccess) status = cudaSetDevice(device);
  unsigned long long sum = 0;
  if (status == cudaSuccess) status = run_test_kernel(&sum);
  if (status != cudaSuccess) return status;
  constexpr unsigned long long n = kThreads * kBlocks;
  right = sum == n * (n - 1) / 2;
  std::snprintf(gpu.name, sizeof(gpu.name), "%s", properties.name);
  gpu.memory_bytes = static_cast<int64_t>(properties.totalGlobalMem);
  gpu.compute_capability = 10 * properties.major + properties.minor;
  return cudaSuccess;
}

void write_reason(cudaError_t status, char* text, int32_t size) {
  if (status != cudaErrorInsufficientDriver) {
    std::snprintf(text, size, "%s", cudaGetErrorString(status));
    return;
  }
  int driver = 0, runtime = 0;
  cudaDriverGetVersion(&driver);
  cudaRuntimeGetVersion(&runtime);
  write_driver_too_old(driver, runtime, text, size);
}

}  // namespace

extern "C" int32_t weft_gpu_report(WeftGpu* gpus, int32_t capacity, char* error,
                                   int32_t error_size) {
  int count = 0;
  cudaError_t status = cudaGetDeviceCount(&count);
  count = std::min(count, static_cast<int>(capacity));
  for (int device = 0; status == cudaSuccess && device < count; ++device) {
    bool right = false;
    status = report(device, gpus[device], right);
    if (status == cudaSuccess && !right) {
      std::snprintf(error, error_size, "GPU %d (%s) computed a wrong sum", device,
                    gpus[device].name);
      return -1;
    }
  }
  if (status != cudaSuccess) {
    write_reason(status, error, error_size);
    return -1;
  }
  return count;
}
