#include "model/device.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <array>
#include <charconv>
#include <filesystem>
#include <string_view>

#include "base/error.h"
#include "model/ops/cuda/cuda_library.h"
#include "model/ops/cuda/gpu_report.h"

namespace weft {

namespace {

namespace fs = std::filesystem;

constexpr const char* kLibrary = "libweft_cuda.so";

/// Where the library lies: beside the program in a build folder, in ../lib once installed.
fs::path library_path(const std::string& folder) {
  const fs::path bin = fs::read_symlink("/proc/self/exe").parent_path();
  std::vector<fs::path> folders = {bin, bin.parent_path() / "lib"};
  if (!folder.empty()) folders = {folder};
  for (const fs::path& dir : folders) {
    if (fs::exists(dir / kLibrary)) return dir / kLibrary;
  }
  return {};
}

struct Opened {
  void* library = nullptr;
  std::string reason;  // why it is null
};

Opened open_library(const CudaFiles& files) {
  if (!fs::exists(files.driver)) return {nullptr, "no NVIDIA driver"};
  const fs::path path = library_path(files.folder);
  if (path.empty()) return {nullptr, fmt::format("no {}: built without nvcc", kLibrary)};
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);  // for the process's life
  if (library != nullptr) return {library, ""};
  return {nullptr, fmt::format("{} cannot be opened: {}", kLibrary, dlerror())};
}

std::string found_text(const GpuSearch& search) {
  if (search.gpus.empty()) return search.reason;
  return fmt::format("found {} GPU{}, the first {}", search.gpus.size(),
                     search.gpus.size() == 1 ? "" : "s", search.gpus.front().name);
}

// The number in "cuda:N", 0 for "cuda"; -1 for no such name.
int gpu_number(const std::string& name) {
  if (name == "cuda") return 0;
  constexpr std::string_view prefix = "cuda:";
  if (!name.starts_with(prefix)) return -1;
  const char* begin = name.data() + prefix.size();
  const char* end = name.data() + name.size();
  int number = -1;
  const auto [stop, error] = std::from_chars(begin, end, number);
  return error == std::errc() && stop == end && *begin != '-' ? number : -1;
}

}  // namespace

GpuSearch find_gpus(const CudaFiles& files) {
  const Opened opened = open_library(files);
  if (opened.library == nullptr) return {{}, opened.reason};
  const auto report =
      reinterpret_cast<decltype(&weft_gpu_report)>(dlsym(opened.library, "weft_gpu_report"));
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

void check_device_name(const std::string& name) {
  if (name == "auto" || name == "cpu" || gpu_number(name) >= 0) return;
  throw InputError(fmt::format("device: expected auto, cpu or cuda[:N], got \"{}\"", name));
}

ComputeDevice resolve_device(const std::string& name, const CudaFiles& files) {
  check_device_name(name);
  if (name == "auto" || name == "cpu") return {};
  GpuSearch search;
  try {
    search = find_gpus(files);
  } catch (const Error& error) {
    search.reason = error.what();
  }
  const int number = gpu_number(name);
  if (number >= static_cast<int>(search.gpus.size())) {
    throw InputError(fmt::format("device: \"{}\" cannot be used ({})", name, found_text(search)));
  }
  const auto table = reinterpret_cast<decltype(&weft_cuda_library)>(
      dlsym(open_library(files).library, "weft_cuda_library"));
  if (table == nullptr) throw Error(dlerror());
  return {table(), number};
}

}  // namespace weft
