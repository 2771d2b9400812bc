/// The GPU that tests of the CUDA path run on: without one, its emulation; with the label gpu, the
/// machine's first.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "model/device/device.h"

namespace weft::test {

struct GpuUnderTest {
  ComputeDevice device;           ///< without a library where there is none
  at::Device tensors = at::kCPU;  ///< where the weights go
  std::string reason;             ///< why there is none
};

GpuUnderTest gpu_under_test();

}  // namespace weft::test
