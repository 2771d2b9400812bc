/// libweft_cuda.so without a GPU: its kernels' bodies on fibers, its services on plain memory. Of
/// the library itself only the launches and the calls of CUDA are left out.
#pragma once

#include "model/device/cuda/cuda_library.h"

namespace weft::test {

/// "Device memory" is the CPU's; a launch returns when it is done; a graph's replay calls its body
/// again.
const cuda::Library& emulated_gpu();

}  // namespace weft::test
