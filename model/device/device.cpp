#include "model/device/device.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <array>
#include <filesystem>

#include "base/error.h"
#include "model/device/cuda/gpu_report.h"

namespace weft {

namespace {

namespace fs = std::filesystem;

constexpr const char* kLibrary = "libweft_cuda.so";
constexpr const char* kDriver = "/proc/driver/nvidia/version";

/// Where the library lies: beside the program in a build folder, in ../lib once installed.
fs::path library_path() {
  const fs::path bin = fs::read_symlink("/proc/self/exe").parent_path();
  for (const fs::path& dir : {bin, bin.parent_path() / "lib"}) {
    if (fs::exists(dir / kLibrary)) return dir / kLibrary;
  }
  return {};
}

}  // namespace

GpuSearch find_gpus() {
  if (!fs::exists(kDriver)) return {{}, "no NVIDIA driver"};
  const fs::path path = library_path();
  if (path.empty()) return {{}, fmt::format("no {}: built without nvcc", kLibrary)};
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);  // for the process's life
  if (library == nullptr) return {{}, dlerror()};
  const auto report =
      reinterpret_cast<decltype(&weft_gpu_report)>(dlsym(library, "weft_gpu_report"));
  if (report == nullptr) return {{}, dlerror()};

  std::array<WeftGpu, 64> found;
  std::array<char, 512> error{};
  const int32_t count = report(found.data(), static_cast<int32_t>(found.size()), error.data(),
                               static_cast<int32_t>(error.size()));
  if (count < 0) throw Error(error.data());
  GpuSearch search;
  for (int32_t i = 0; i < count; ++i) {
    search.gpus.push_back({found[i].name, found[i].memory_bytes, found[i].compute_capability});
  }
  if (count == 0) search.reason = "the NVIDIA driver lists no GPU";
  return search;
}

void check_device(const std::string& name) {
  if (name == "auto" || name == "cpu") return;
  if (name != "cuda" && !name.starts_with("cuda:")) {
    throw InputError(fmt::format("device: expected auto, cpu or cuda[:N], got \"{}\"", name));
  }
  const GpuSearch search = find_gpus();
  const std::string found =
      search.gpus.empty() ? search.reason : fmt::format("found {}", search.gpus.front().name);
  throw InputError(fmt::format(
      "device: \"{}\" cannot be used, the engine and the trainer compute on the CPU ({})", name,
      found));
}

}  // namespace weft
