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

/// Where CUDA's parts are looked for.
struct CudaFiles {
  std::string driver = "/proc/driver/nvidia/version";  ///< exists where the driver is
  std::string folder;  ///< of libweft_cuda.so; empty: the program's, or ../lib of it
};

/// Looks for GPUs. Opens libweft_cuda.so where the driver is, and lets it run a kernel on each
/// device. Throws Error in one line where CUDA refuses, a driver that is too old among the reasons,
/// or where a device computes a wrong sum.
GpuSearch find_gpus(const CudaFiles& files = {});

namespace cuda {
struct Library;
}

/// Where an engine computes.
struct ComputeDevice {
  const cuda::Library* library = nullptr;  ///< libweft_cuda.so for the process's life; null: CPU
  int index = 0;                           ///< CUDA's number of the GPU
};

/// The device of a name: "auto", "cpu", "cuda" or "cuda:N". "auto" is the CPU: kernels that no GPU
/// has run yet must be asked for by name. Throws InputError in one line for another name, and for a
/// GPU that is not there or cannot be used with what was found instead.
///
/// To be called before any tensor is made: LibTorch settles at its first need of CUDA whether there
/// is any.
ComputeDevice resolve_device(const std::string& name, const CudaFiles& files = {});

/// Checks the form of a device's name without looking for GPUs. Throws InputError.
void check_device_name(const std::string& name);

}  // namespace weft
