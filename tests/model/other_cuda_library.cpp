// libweft_cuda.so as it is where CUDA's library has another version than the one it was built with.
#include "model/ops/cuda/gpu_report.h"

extern "C" int version_of_another_cuda();

extern "C" int32_t weft_gpu_report(WeftGpu*, int32_t, char*, int32_t) {
  return version_of_another_cuda();
}
