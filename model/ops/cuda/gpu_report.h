/// The C interface of libweft_cuda.so: no C++ type crosses it.
#pragma once

#include <cstdint>

extern "C" {

struct WeftGpu {
  char name[256];
  int64_t memory_bytes;
  int32_t compute_capability;  ///< 10 * major + minor
};

/// Fills up to `capacity` entries with the devices on which a test kernel ran and gave the right
/// sum. Returns their number, or -1 with a message of at most `error_size` bytes.
int32_t weft_gpu_report(WeftGpu* gpus, int32_t capacity, char* error, int32_t error_size);
}
