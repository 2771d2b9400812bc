/// libweft_cuda.so without a GPU: its kernels' bodies on fibers, its services and its memory those
/// of the fake device. Of the library itself only the launches and the calls of CUDA are left out.
#pragma once

#include "model/ops/cuda/cuda_library.h"

namespace weft::test {

/// Registers the fake device. A graph's replay calls its body again.
const cuda::Library& emulated_gpu();

}  // namespace weft::test
