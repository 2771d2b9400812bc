#include "model/device.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "tests/support/support.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

bool has_driver() { return fs::exists("/proc/driver/nvidia/version"); }

TEST(Device, WithoutADriverThereIsNoGpuAndAReason) {
  if (has_driver()) GTEST_SKIP() << "this machine has an NVIDIA driver";
  const GpuSearch search = find_gpus();
  EXPECT_TRUE(search.gpus.empty());
  EXPECT_EQ(search.reason, "no NVIDIA driver");
}

TEST(Device, NamesAreChecked) {
  EXPECT_NO_THROW(check_device_name("auto"));
  EXPECT_NO_THROW(check_device_name("cpu"));
  for (const char* name : {"", "gpu", "cuda0", "CPU", "cuda:", "cuda:x", "cuda:-1", "cuda:1 "}) {
    EXPECT_THROW(check_device_name(name), InputError) << name;
    EXPECT_THROW(resolve_device(name), InputError) << name;
  }
}

TEST(Device, AutoIsTheCpu) {
  EXPECT_EQ(resolve_device("auto").library, nullptr);
  EXPECT_EQ(resolve_device("cpu").library, nullptr);
}

TEST(Device, CudaIsRefusedWithWhatWasFound) {
  if (has_driver()) GTEST_SKIP() << "this machine has an NVIDIA driver";
  try {
    resolve_device("cuda:0");
    FAIL() << "accepted";
  } catch (const InputError& error) {
    const std::string text = error.what();
    EXPECT_NE(text.find("cuda:0"), std::string::npos) << text;
    EXPECT_NE(text.find("no NVIDIA driver"), std::string::npos) << text;
  }
}

/// The programs must start on a machine without a GPU: they do not name the library among those
/// that the loader opens, and it is the only one to name CUDA's.
TEST(Device, OnlyTheCudaLibraryNeedsCuda) {
#ifdef WEFT_CUDA
  const fs::path library = fs::path(test::program("libweft_cuda.so"));
  const std::string needs = test::run_program({"/usr/bin/readelf", "-dW", library.string()}).out;
  for (const char* name : {"libtorch_cuda.so", "libcudart.so"}) {
    EXPECT_NE(needs.find(name), std::string::npos) << needs;
  }
  const std::string symbols =
      test::run_program({"/usr/bin/readelf", "--dyn-syms", "-W", library.string()}).out;
  EXPECT_NE(symbols.find("weft_gpu_report"), std::string::npos);
  EXPECT_NE(symbols.find("weft_cuda_library"), std::string::npos);
#else
  GTEST_SKIP() << "built without nvcc";
#endif
}

}  // namespace
}  // namespace weft
