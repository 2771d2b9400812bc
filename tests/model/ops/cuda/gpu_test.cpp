#include <gtest/gtest.h>

#include "model/device.h"

namespace weft {
namespace {

TEST(Gpu, RunsTheTestKernelAndTellsItsMemory) {
  const GpuSearch search = find_gpus();
  if (search.gpus.empty()) GTEST_SKIP() << search.reason;
  for (const Gpu& gpu : search.gpus) {
    EXPECT_FALSE(gpu.name.empty());
    EXPECT_GT(gpu.memory_bytes, int64_t{1} << 30);
    EXPECT_GE(gpu.compute_capability, 80);
  }
}

}  // namespace
}  // namespace weft
