/// Where LibTorch holds what an engine computes on.
#pragma once

#include <c10/core/Device.h>

#include "model/device.h"
#include "model/ops/cuda/cuda_library.h"

namespace weft {

/// The device of tensors whose memory `device` takes.
inline c10::Device tensor_device(const ComputeDevice& device) {
  if (device.library == nullptr) return c10::Device(c10::DeviceType::CPU);
  return {static_cast<c10::DeviceType>(device.library->device_type),
          static_cast<c10::DeviceIndex>(device.index)};
}

}  // namespace weft
