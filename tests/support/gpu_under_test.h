/// The GPU that tests of the CUDA path run on: without one, its emulation; with the label gpu, the
/// machine's first.
#pragma once

#include <cstdint>
#include <string>

#include "model/device.h"

namespace weft::test {

struct GpuUnderTest {
  ComputeDevice device;                ///< without a library where there is none
  std::string reason;                  ///< why there is none
  int64_t (*num_replays)() = nullptr;  ///< graphs that were replayed so far, where that is counted
};

GpuUnderTest gpu_under_test();

/// The same, looked for once.
inline const GpuUnderTest& the_gpu() {
  static const GpuUnderTest found = gpu_under_test();
  return found;
}

}  // namespace weft::test
