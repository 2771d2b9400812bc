/// What a program may compute on. Free of LibTorch and of CUDA: libweft_cuda.so, which is built
/// where nvcc is, gets opened only on a machine with an NVIDIA driver.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace weft {

/// A GPU that libweft_cuda.so can run kernels on.
struct Gpu {
  std::string name;
  int64_t memory_bytes = 0;
  int compute_capability = 0;  ///< 10 * major + minor
};

struct GpuSearch {
  std::vector<Gpu> gpus;  ///< in CUDA's order
  std::string reason;     ///< why `gpus` is empty
};

/// Looks for GPUs. Opens libweft_cuda.so (beside the program, or in ../lib) where the driver is,
/// and lets it run a kernel on each device; a device that computes a wrong sum is an Error.
GpuSearch find_gpus();

/// Checks the name of a device, "auto", "cpu" or "cuda[:N]". Throws InputError for another name,
/// and for cuda with what was found on this machine, since the engine has no CUDA path.
void check_device(const std::string& name);

}  // namespace weft
