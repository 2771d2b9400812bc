#include "model/device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "tests/support/input_error.h"
#include "tests/support/support.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

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

/// Why "cuda" is refused with the library of that folder, over a driver that is there.
std::string refusal(const fs::path& folder) {
  const CudaFiles files = {"/proc/version", folder.string()};
  return test::input_error([&] { resolve_device("cuda", files); });
}

TEST(Device, ADriverThatIsTooOldIsNamedWithBothVersions) {
  EXPECT_EQ(refusal(WEFT_FAKE_CUDA "/old_driver"),
            "device: \"cuda\" cannot be used (the NVIDIA driver is for CUDA 12.4 at most, "
            "libweft_cuda.so for 13.0: a newer driver is needed)");
}

TEST(Device, ALibraryForAnotherCudaIsNamedWithWhatItMisses) {
  EXPECT_THAT(refusal(WEFT_FAKE_CUDA "/other_cuda"),
              AllOf(HasSubstr("libweft_cuda.so cannot be opened"), HasSubstr("libcudart.so.99"),
                    Not(HasSubstr("\n"))));
}

TEST(Device, AFileThatIsNoLibraryOrAnotherOneIsNamed) {
  const test::TempDir dir;
  write_file_atomically(dir / "libweft_cuda.so", "what is left of a full disk");
  EXPECT_THAT(refusal(dir.path()), AllOf(HasSubstr("libweft_cuda.so"), Not(HasSubstr("\n"))));
  fs::copy_file(fs::path(WEFT_FAKE_CUDA) / "libcudart.so.99", dir / "libweft_cuda.so",
                fs::copy_options::overwrite_existing);
  EXPECT_THAT(refusal(dir.path()),
              AllOf(HasSubstr("undefined symbol: weft_gpu_report"), Not(HasSubstr("\n"))));
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
