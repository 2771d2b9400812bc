// GRPO on a GPU, or on the fake device (see device_training_test.cpp): policy, adapter, gradients
// and optimizer lie there, and the engine decodes with the weights that the update writes.
#include <gtest/gtest.h>

#include "model/ops/cuda/cuda_ops.h"
#include "tests/support/gpu_under_test.h"
#include "tests/trainer/learn/grpo/grpo_toy.h"

namespace weft {
namespace {

using test::Toy;

class GrpoOnDevice : public testing::Test {
 protected:
  void SetUp() override {
    if (device_.library == nullptr) GTEST_SKIP() << test::the_gpu().reason;
    ops::install_cuda_forms(device_);
  }
  const ComputeDevice device_ = test::the_gpu().device;
};

// Sums in another order move a logprob by some 2^-24 of its terms; no draw is so near to its bound.
TEST_F(GrpoOnDevice, AFirstStepIsTheCpus) {
  for (const bool full : {false, true}) {
    Toy cpu(5, false, full), gpu(5, false, full, device_);
    const auto expected = cpu.trainer->step(), got = gpu.trainer->step();
    ASSERT_EQ(got.episodes.size(), expected.episodes.size());
    for (size_t i = 0; i < got.episodes.size(); ++i) {
      EXPECT_EQ(got.episodes[i].completion_ids, expected.episodes[i].completion_ids) << i;
    }
    for (const char* key : {"loss", "grad_norm", "entropy", "reward_mean"}) {
      const double value = expected.metrics[key].get<double>();
      EXPECT_NEAR(got.metrics[key].get<double>(), value, 1e-4 * std::abs(value) + 1e-6) << key;
    }
    EXPECT_EQ(got.metrics["tokens"], expected.metrics["tokens"]);
    EXPECT_LE(got.metrics["mismatch_max"].get<double>(), 2e-5);
  }
}

}  // namespace
}  // namespace weft
