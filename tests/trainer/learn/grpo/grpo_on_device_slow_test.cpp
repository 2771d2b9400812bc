// A whole toy run of GRPO on a GPU, or on the fake device, whose kernels take it minutes.
#include <gtest/gtest.h>

#include "model/ops/cuda/cuda_ops.h"
#include "tests/support/gpu_under_test.h"
#include "tests/trainer/learn/grpo/grpo_toy.h"

namespace weft {
namespace {

TEST(GrpoRunOnDevice, LiftsTheReward) {
  const ComputeDevice device = test::the_gpu().device;
  if (device.library == nullptr) GTEST_SKIP() << test::the_gpu().reason;
  ops::install_cuda_forms(device);
  test::Toy toy(1, /*permute=*/false, /*full=*/false, device);
  toy.config.steps = 20;
  EXPECT_GT(toy.gain(/*samples=*/8), .15);
}

}  // namespace
}  // namespace weft
