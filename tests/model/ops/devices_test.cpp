// The operations on a GPU, emulated on the fake device, beside the CPU's.
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <functional>

#include "base/error.h"
#include "model/ops/cpu/kernels.h"
#include "model/ops/cuda/cuda_ops.h"
#include "model/ops/ops.h"
#include "tests/support/emulated_gpu.h"
#include "tests/support/fake_device/fake_device.h"

namespace weft {
namespace {

constexpr kernels::HeadShape kShape{4, 2, 16};
constexpr double kEps = 1e-6;

auto ThrowsError(const char* what, const char* where) {
  return testing::ThrowsMessage<Error>(
      testing::AllOf(testing::HasSubstr(what), testing::HasSubstr(where)));
}

class OperationsOn : public testing::TestWithParam<at::ScalarType> {
 protected:
  static void SetUpTestSuite() { ops::install_cuda_forms({&test::emulated_gpu(), 0}); }

  at::Tensor random(at::IntArrayRef shape) const { return at::randn(shape).to(GetParam()); }

  /// Calls `f` with tensors on the CPU and with copies on the device; results of about `size`, each
  /// a sum of `terms` products in fp32 in an order of its own, rounded to the dtype.
  void expect_same(const std::vector<at::Tensor>& arguments, double size, double terms,
                   const std::function<at::Tensor(const std::vector<at::Tensor>&)>& f,
                   bool rounded = true) const {
    std::vector<at::Tensor> copies, moved;
    for (const at::Tensor& t : arguments) {
      copies.push_back(t.defined() ? t.clone() : t);
      moved.push_back(t.defined() ? t.to(test::fake::device()) : t);
    }
    const at::Tensor expected = f(copies), got = f(moved);
    ASSERT_EQ(got.device(), test::fake::device());
    ASSERT_EQ(got.sizes(), expected.sizes());
    ASSERT_EQ(got.scalar_type(), expected.scalar_type());
    const double step = rounded && GetParam() == at::kBFloat16 ? 0x1p-7 : terms * 0x1p-23;
    const at::Tensor apart = (got.cpu().to(at::kDouble) - expected.to(at::kDouble)).abs();
    EXPECT_LE(apart.max().item<double>(), size * step);
  }
};

INSTANTIATE_TEST_SUITE_P(Each, OperationsOn, testing::Values(at::kFloat, at::kBFloat16),
                         [](const auto& info) { return c10::toString(info.param); });

TEST_P(OperationsOn, RowsAreCopiedToTheBit) {
  expect_same({random({9, 16}), at::tensor({3, 0, 3, 8}, at::kLong)}, 0, 0,
              [](const auto& t) { return ops::take_rows(t[0], t[1]); });
}

TEST_P(OperationsOn, ProductsAreTheCpus) {
  const at::Tensor x = random({5, 64}), w = random({24, 64}), bias = random({24});
  expect_same({x, w, {}}, 64, 64, [](const auto& t) { return ops::linear(t[0], t[1], t[2]); });
  expect_same({x, w, bias}, 64, 64, [](const auto& t) { return ops::linear(t[0], t[1], t[2]); });
  expect_same({random({5, 24}), x, w}, 64, 64,
              [](const auto& t) { return ops::add_linear(t[0], t[1], t[2]); });
  expect_same(
      {x, w}, 64, 64, [](const auto& t) { return ops::linear_f32(t[0], t[1]); },
      /*rounded=*/false);
}

TEST_P(OperationsOn, NormsAreTheCpusAndAddInPlace) {
  const at::Tensor x = random({5, 64}), delta = random({5, 64}), w = random({64});
  expect_same({x, w}, 16, 64, [](const auto& t) { return ops::rms_norm(t[0], t[1], kEps); });
  expect_same({x, delta, w}, 16, 64,
              [](const auto& t) { return ops::add_rms_norm(t[0], t[1], t[2], kEps); });
  expect_same({x, delta, w}, 0, 0, [](const auto& t) {
    ops::add_rms_norm(t[0], t[1], t[2], kEps);
    return t[0];
  });
  expect_same({random({5, kShape.row_size()}), random({16}), random({16})}, 16, 16,
              [](const auto& t) { return ops::norm_heads(t[0], t[1], t[2], kShape, kEps); });
}

TEST_P(OperationsOn, GatesAreTheCpus) {
  expect_same({random({5, 48})}, 16, 4, [](const auto& t) { return ops::silu_mul(t[0]); });
}

TEST_P(OperationsOn, AttentionInsideEachSequenceIsTheCpus) {
  const PackedBatch batch = PackedBatch::from_lengths(std::vector<int64_t>{1, 40, 16, 3});
  const at::Tensor table = at::randn({64, 2, 8});
  expect_same({random({60, kShape.row_size()}), table}, 8, 64, [&](const auto& t) {
    return ops::rotary_attention(t[0], ops::plan_packed(batch, t[0].device()), t[1], kShape);
  });
}

TEST_P(OperationsOn, LogprobsAreTheCpus) {
  expect_same(
      {at::randn({4, 300}), at::tensor({0, 299, 7, 7}, at::kLong)}, 8, 300,
      [](const auto& t) { return ops::token_logprobs(t[0], t[1]); }, /*rounded=*/false);
}

TEST_P(OperationsOn, OneWithoutAFormOnTheDeviceIsNamed) {
  const at::Tensor x = random({4, 16}).to(test::fake::device()).requires_grad_();
  EXPECT_THAT([&] { ops::rms_norm(x, x[0].detach(), kEps); }, ThrowsError("rms_norm", "cuda"));
  const at::Tensor y = ops::silu_mul(x);
  EXPECT_THAT([&] { torch::autograd::grad({y}, {x}, {y.detach()}); },
              ThrowsError("silu_mul_backward", "cuda"));
  const PackedBatch shared =
      PackedBatch::with_prefixes(std::vector<int64_t>{4, 2}, std::vector<int64_t>{-1, 0});
  EXPECT_THAT([&] { ops::plan_packed(shared, test::fake::device()); },
              ThrowsError("shared prompts", "cuda"));
}

TEST_P(OperationsOn, RowsThatTheKernelsCannotReadAreRefused) {
  const at::Tensor x = random({4, 6}).to(test::fake::device());
  EXPECT_THAT([&] { ops::silu_mul(x); }, ThrowsError("silu_mul", "got 3"));
  EXPECT_THAT([&] { ops::rms_norm(x, x[0], kEps); }, ThrowsError("add_rms_norm", "got 6"));
}

TEST_P(OperationsOn, TensorsOfTwoDevicesAreNamed) {
  const at::Tensor x = random({4, 8}), w = random({4, 8}).to(test::fake::device());
  EXPECT_THAT([&] { ops::linear(x, w); }, ThrowsError("linear", "cpu"));
  EXPECT_THAT([&] { ops::add_rms_norm(w, {}, x[0], kEps); }, ThrowsError("add_rms_norm", "cpu"));
}

TEST(Operations, ADeviceWithoutFormsIsNamed) {
  const at::Tensor x = at::empty({4, 8}, at::TensorOptions(at::kMeta));
  EXPECT_THAT([&] { ops::silu_mul(x); }, ThrowsError("no operations", "meta"));
}

TEST(Operations, TheCpusKernelsRefuseATensorOfAnotherDevice) {
  ops::install_cuda_forms({&test::emulated_gpu(), 0});
  const at::Tensor x = at::randn({4, 8}).to(test::fake::device());
  EXPECT_THAT([&] { kernels::silu_mul(x); }, ThrowsError("the CPU's kernels", "tensor on"));
}

}  // namespace
}  // namespace weft
