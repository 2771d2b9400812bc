/// Inside libweft_cuda.so: the launches that kernels.cu gives to the library's table.
#pragma once

#include "model/ops/cuda/cuda_library.h"

namespace weft::cuda {

Kernels kernels();

}  // namespace weft::cuda
