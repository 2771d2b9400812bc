#include "model/device/device.h"

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
  EXPECT_NO_THROW(check_device("auto"));
  EXPECT_NO_THROW(check_device("cpu"));
  for (const char* name : {"", "gpu", "cuda0", "CPU"}) {
    EXPECT_THROW(check_device(name), InputError) << name;
  }
}

TEST(Device, CudaIsRefusedWithWhatWasFound) {
  if (has_driver()) GTEST_SKIP() << "this machine has an NVIDIA driver";
  try {
    check_device("cuda:0");
    FAIL() << "accepted";
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("cuda:0"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("no NVIDIA driver"), std::string::npos);
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
