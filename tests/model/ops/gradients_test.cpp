// Products with gradients: of bf16, for which the forward pass is our own, beside LibTorch's.
#include <ATen/ops/addmm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/randn.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "model/ops/ops.h"

namespace weft {
namespace {

at::Tensor leaf(at::IntArrayRef sizes, at::ScalarType dtype) {
  return at::randn(sizes).to(dtype).requires_grad_();
}

// Results are rounded once from sums in fp32: they differ by a step of bf16 where the order of a
// sum decides. Gradients are the same products.
void expect_same(const at::Tensor& ours, const at::Tensor& theirs,
                 const std::vector<at::Tensor>& inputs) {
  ASSERT_EQ(ours.scalar_type(), theirs.scalar_type());
  EXPECT_TRUE(ours.allclose(theirs, /*rtol=*/1.0 / 128, /*atol=*/1e-4));
  const at::Tensor g = at::randn(ours.sizes()).to(ours.scalar_type());
  const auto a = torch::autograd::grad({ours}, inputs, {g});
  const auto b = torch::autograd::grad({theirs}, inputs, {g});
  for (size_t i = 0; i < inputs.size(); ++i) {
    EXPECT_TRUE(a[i].allclose(b[i], 1.0 / 128, 1e-4)) << "input " << i;
    EXPECT_EQ(a[i].sizes(), inputs[i].sizes());
  }
}

class ProductOf : public testing::TestWithParam<at::ScalarType> {};

TEST_P(ProductOf, LinearIsLibTorchsWithItsGradients) {
  const auto x = leaf({19, 70}, GetParam()), w = leaf({37, 70}, GetParam()),
             bias = leaf({37}, GetParam());
  expect_same(ops::linear(x, w), at::linear(x, w), {x, w});
  expect_same(ops::linear(x, w, bias), at::linear(x, w, bias), {x, w, bias});
}

TEST_P(ProductOf, FrozenWeightsGetNoGradient) {
  const auto x = leaf({19, 70}, GetParam()), w = at::randn({37, 70}).to(GetParam()),
             bias = at::randn({37}).to(GetParam());
  expect_same(ops::linear(x, w), at::linear(x, w), {x});
  expect_same(ops::linear(x, w, bias), at::linear(x, w, bias), {x});
}

TEST_P(ProductOf, AddLinearIsAddmmWithItsGradients) {
  const auto y = leaf({19, 37}, GetParam()), x = leaf({19, 16}, GetParam()),
             w = leaf({37, 16}, GetParam());
  const at::Tensor before = y.detach().clone();
  expect_same(ops::add_linear(y, x, w), at::addmm(y, x, w.t()), {y, x, w});
  EXPECT_TRUE(y.equal(before));
}

INSTANTIATE_TEST_SUITE_P(Dtypes, ProductOf, testing::Values(at::kFloat, at::kBFloat16),
                         [](const auto& info) { return c10::toString(info.param); });

}  // namespace
}  // namespace weft
