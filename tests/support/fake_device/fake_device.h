/// An accelerator without hardware, for tests of what runs on one: LibTorch's PrivateUse1 with
/// memory that the host cannot read, and streams whose order is checked (fake_gpu.h). Operators run
/// on the CPU; one that is given a CPU tensor with dimensions among the device's fails by name, as
/// it does on a GPU.
#pragma once

#include <c10/core/Device.h>

namespace weft::test::fake {

/// The device. The first call registers it with LibTorch, for the process's life.
c10::Device device();

}  // namespace weft::test::fake
