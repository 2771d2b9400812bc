// Optimizers on a device beside the CPU's.
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/fake_device/fake_device.h"
#include "tests/trainer/learn/update/learn_support.h"
#include "trainer/learn/update/optimizer.h"

namespace weft {
namespace {

/// A layer of a matrix and a vector, and a matrix outside of layers, after four steps.
std::vector<at::Tensor> trained(at::Device device, OptimizerKind kind, at::ScalarType dtype) {
  Rng rng(12);
  at::Tensor matrix = test::random_tensor({20, 32}, rng).to(device, dtype);
  at::Tensor vector = test::random_tensor({7}, rng).to(device, dtype);
  at::Tensor outside = test::random_tensor({30, 9}, rng).to(device, dtype);
  OptimizerOptions options;
  options.kind = kind;
  options.adamw.weight_decay = .01;
  options.seed = 3;
  ParameterStore store({{{"matrix", &matrix}, {"vector", &vector}}, {{"outside", &outside}}},
                       store_layout(options));
  Optimizer optimizer(store, options);
  for (int t = 0; t < 4; ++t) {
    for (size_t l = 0; l < 2; ++l) {
      for (size_t i = 0; i < store.parameters(l).size(); ++i) {
        at::Tensor& gradient = store.gradient(l, i);
        gradient.copy_(test::random_tensor(gradient.sizes().vec(), rng).to(device));
      }
    }
    EXPECT_TRUE(optimizer.step(.01).applied);
  }
  return {matrix.cpu(), vector.cpu(), outside.cpu()};
}

// One element of a bf16 weight may be rounded to the other side where a sum of another order
// crosses a random threshold; Muon's products are in bf16 on a device: 2^-8 of each of 15 of them,
// of a step of 0.2 of the rate.
TEST(OptimizerOnDevice, GivesTheWeightsOfTheCpu) {
  for (const auto dtype : {at::kFloat, at::kBFloat16}) {
    for (const auto kind : {OptimizerKind::kAdamW, OptimizerKind::kAdamWBf16,
                            OptimizerKind::kAdamW8bit, OptimizerKind::kMuon}) {
      const auto expected = trained(at::kCPU, kind, dtype);
      const auto got = trained(test::fake::device(), kind, dtype);
      for (size_t i = 0; i < expected.size(); ++i) {
        EXPECT_LT(test::relative_error(got[i].to(at::kFloat), expected[i].to(at::kFloat)),
                  dtype == at::kFloat ? 1e-3 : 2e-3)
            << int(kind) << " " << i;
      }
    }
  }
}

// A bound of the norm turns what is too large for fp32's squares into a gradient like others.
TEST(OptimizerOnDevice, ClipsGradientsWhoseSquaresOverflowFp32) {
  Rng rng(1);
  at::Tensor weights = test::random_tensor({64, 64}, rng).to(test::fake::device());
  ParameterStore store({{{"matrix", &weights}}});
  Optimizer optimizer(store, {});
  store.flat_gradient().fill_(1e30);
  const StepResult result = optimizer.step(1e-3);
  EXPECT_TRUE(result.applied);
  EXPECT_NEAR(result.grad_norm, 64e30, 1e24);
  EXPECT_NEAR(store.flat_gradient().cpu()[77].item<double>(), 1.0 / 64, 1e-8);
  for (const double value : {HUGE_VAL, std::nan("")}) {
    store.flat_gradient().fill_(1e30).narrow(0, 5, 1).fill_(value);
    EXPECT_EQ(optimizer.step(1e-3).non_finite, "matrix");
  }
}

}  // namespace
}  // namespace weft
