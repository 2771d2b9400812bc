// libweft_cuda.so as it is over a driver for an older CUDA.
#include "model/ops/cuda/gpu_report.h"

extern "C" int32_t weft_gpu_report(WeftGpu*, int32_t, char* error, int32_t error_size) {
  write_driver_too_old(/*driver=*/12040, /*built_for=*/13000, error, error_size);
  return -1;
}
