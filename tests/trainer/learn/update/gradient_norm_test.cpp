// The global norm of gradients as many as models have, against closed forms: a sum in fp32 stops
// growing at some 2^24 times its terms.
#include <ATen/ops/empty.h>
#include <gtest/gtest.h>

#include <cmath>

#include "model/ops/cpu/kernels.h"
#include "trainer/learn/update/optimizer.h"

namespace weft {
namespace {

constexpr int64_t kMany = 200'000'000;  // 0.8 GB

// Sums of squares of 1, 2, 3, ..., 8 times 2^-10, over and over: 204 * 2^-20 for each eight, which
// double holds exactly.
TEST(GradientNorm, OfTwoHundredMillionNumbersIsExact) {
  at::Tensor gradient = at::empty({kMany}, at::kFloat);
  auto* values = gradient.data_ptr<float>();
  for (int64_t i = 0; i < kMany; ++i) values[i] = static_cast<float>(i % 8 + 1) * 0x1p-10f;
  EXPECT_EQ(kernels::l2_norm(gradient), std::sqrt(static_cast<double>(kMany / 8 * 204)) * 0x1p-10);
}

TEST(GradientNorm, OfTwoHundredMillionBf16NumbersIsExact) {
  const at::Tensor gradient = at::empty({kMany}, at::kBFloat16).fill_(0x1p-7);
  EXPECT_EQ(kernels::l2_norm(gradient), std::sqrt(static_cast<double>(kMany)) * 0x1p-7);
}

// One number before and many small ones after it: in fp32 they would vanish beside it.
TEST(GradientNorm, CountsSmallNumbersBesideALargeOne) {
  at::Tensor gradient = at::empty({1 << 24}, at::kFloat).fill_(1);
  gradient[0] = 0x1p13f;
  EXPECT_EQ(kernels::l2_norm(gradient), std::sqrt(0x1p26 + 0x1p24 - 1));
}

// The step clips by that norm: each number of the gradient becomes max_grad_norm / sqrt(n).
TEST(GradientNorm, ClipsGradientsWhoseSquaresOverflowFp32) {
  at::Tensor weights = at::empty({64, 64}, at::kFloat).fill_(1);
  ParameterStore store({{{"matrix", &weights}}});
  Optimizer optimizer(store, {});
  store.flat_gradient().fill_(1e30);
  const StepResult result = optimizer.step(1e-3);
  EXPECT_TRUE(result.applied);
  EXPECT_NEAR(result.grad_norm, 64e30, 1e24);
  EXPECT_NEAR(store.flat_gradient()[77].item<double>(), 1.0 / 64, 1e-8);
}

}  // namespace
}  // namespace weft
