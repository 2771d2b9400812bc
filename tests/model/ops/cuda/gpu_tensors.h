/// Tensors on the fake device, and the kernels that run on them.
#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "base/rng.h"
#include "model/ops/cuda/cuda_library.h"
#include "tests/support/emulated_gpu.h"
#include "tests/support/fake_device/fake_device.h"

namespace weft::test {

inline at::Tensor random_tensor(at::IntArrayRef shape, at::ScalarType dtype, uint64_t seed) {
  at::Tensor t = at::empty(shape, at::kFloat);
  Rng rng(seed);
  float* values = t.data_ptr<float>();
  for (int64_t i = 0; i < t.numel(); ++i) values[i] = static_cast<float>(rng.normal());
  return t.to(dtype);
}

inline double worst_difference(const at::Tensor& a, const at::Tensor& b) {
  EXPECT_EQ(a.sizes(), b.sizes());
  return (a.cpu().to(at::kDouble) - b.cpu().to(at::kDouble)).abs().max().item<double>();
}

/// A tensor's copy on the device; none of none.
inline at::Tensor on_gpu(const at::Tensor& t) {
  return t.defined() ? t.to(fake::device()) : at::Tensor();
}

/// Values of any type as bytes on the device.
template <class T>
inline at::Tensor on_gpu(const std::vector<T>& values) {
  const auto bytes = static_cast<int64_t>(values.size() * sizeof(T));
  const at::Tensor t = at::empty({bytes}, at::kByte);
  std::memcpy(t.data_ptr(), values.data(), values.size() * sizeof(T));
  return on_gpu(t);
}

inline void* pointer(const at::Tensor& t) { return t.defined() ? t.data_ptr() : nullptr; }

template <class T>
const T* pointer(const at::Tensor& bytes) {
  return static_cast<const T*>(bytes.const_data_ptr());
}

/// Fails where a launch was refused.
inline void expect_launched(int32_t status) {
  EXPECT_EQ(status, 0) << emulated_gpu().error_text(status);
}

inline cuda::Dtype dtype_of(const at::Tensor& t) {
  return t.scalar_type() == at::kFloat ? cuda::Dtype::kF32 : cuda::Dtype::kBf16;
}

inline const cuda::Kernels& gpu_kernels() { return emulated_gpu().kernels; }

}  // namespace weft::test
