/// The C interface of libweft_cuda.so: no C++ type crosses it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>

/// Writes why a driver cannot run what was built for another CUDA, as at most `size` bytes of
/// `text`. Versions as CUDA counts them, 12080 for 12.8; 0: the driver's library was not found.
inline void write_driver_too_old(int driver, int built_for, char* text, size_t size) {
  if (driver == 0) {
    std::snprintf(text, size, "the NVIDIA driver's libcuda.so.1 cannot be opened");
    return;
  }
  std::snprintf(text, size,
                "the NVIDIA driver is for CUDA %d.%d at most, libweft_cuda.so for %d.%d: a newer "
                "driver is needed",
                driver / 1000, driver % 1000 / 10, built_for / 1000, built_for % 1000 / 10);
}

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
