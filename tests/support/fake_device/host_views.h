/// Tensors of the CPU on the bytes that tensors of the device stand for.
#pragma once

#include <ATen/core/Tensor.h>

#include <utility>
#include <vector>

#include "tests/support/fake_device/fake_gpu.h"

namespace weft::test::fake {

/// Views that share a storage where the device's tensors do. They do not keep the memory alive, and
/// an operator that resizes one moves it to memory of the CPU.
class HostViews {
 public:
  at::Tensor of(const at::Tensor& device);

 private:
  at::Storage storage_of(const at::Tensor& device);

  std::vector<std::pair<const c10::StorageImpl*, at::Storage>> storages_;
  std::vector<std::pair<at::Tensor, at::Tensor>> tensors_;  // of the device, of the CPU
};

/// From the first to the last byte of a tensor's elements.
Access access_to(const at::Tensor& device, bool writes);

}  // namespace weft::test::fake
