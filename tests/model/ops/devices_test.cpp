// The operations on a GPU beside the CPU's. Built twice: ops_unit_tests run it on the fake device,
// ops_gpu_tests on a GPU.
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <functional>

#include "base/error.h"
#include "model/ops/cpu/kernels.h"
#include "model/ops/cuda/cuda_ops.h"
#include "model/ops/one_order.h"
#include "model/ops/ops.h"
#include "model/ops/tensor_device.h"
#include "tests/support/gpu_under_test.h"

namespace weft {
namespace {

constexpr kernels::HeadShape kShape{4, 2, 16};
constexpr double kEps = 1e-6;

at::Device gpu() { return tensor_device(test::the_gpu().device); }

auto ThrowsError(const char* what, const char* where) {
  return testing::ThrowsMessage<Error>(
      testing::AllOf(testing::HasSubstr(what), testing::HasSubstr(where)));
}

class OperationsOn : public testing::TestWithParam<at::ScalarType> {
 protected:
  void SetUp() override {
    if (test::the_gpu().device.library == nullptr) GTEST_SKIP() << test::the_gpu().reason;
    ops::install_cuda_forms(test::the_gpu().device);
  }

  at::Tensor random(at::IntArrayRef shape) const { return at::randn(shape).to(GetParam()); }

  /// Calls `f` with tensors on the CPU and with copies on the device; results of about `size`, each
  /// a sum of `terms` products in fp32 in an order of its own, rounded to the dtype.
  void expect_same(const std::vector<at::Tensor>& arguments, double size, double terms,
                   const std::function<at::Tensor(const std::vector<at::Tensor>&)>& f,
                   bool rounded = true) const {
    std::vector<at::Tensor> copies, moved;
    for (const at::Tensor& t : arguments) {
      copies.push_back(t.defined() ? t.clone() : t);
      moved.push_back(t.defined() ? t.to(gpu()) : t);
    }
    const at::Tensor expected = f(copies), got = f(moved);
    ASSERT_EQ(got.device(), gpu());
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

/// The gradients of f's result, given that of it (the last argument), with respect to the others:
/// side by side in one row.
at::Tensor gradients_of(const std::vector<at::Tensor>& arguments,
                        const std::function<at::Tensor(const std::vector<at::Tensor>&)>& f) {
  std::vector<at::Tensor> leaves, flat;
  for (size_t i = 0; i + 1 < arguments.size(); ++i) {
    leaves.push_back(arguments[i].detach().requires_grad_());
  }
  for (const at::Tensor& g : torch::autograd::grad({f(leaves)}, leaves, {arguments.back()})) {
    flat.push_back(g.reshape({1, -1}));
  }
  return at::cat(flat, 1);
}

TEST_P(OperationsOn, GradientsOfNormsAndGatesAreTheCpus) {
  const at::Tensor g = random({70, 64});  // more rows than the weight's gradient has shares
  expect_same({random({70, 64}), random({64}), g}, 32, 70, [](const auto& t) {
    return gradients_of(t, [](const auto& x) { return ops::rms_norm(x[0], x[1], kEps); });
  });
  expect_same({random({70, 128}), g}, 16, 4, [](const auto& t) {
    return gradients_of(t, [](const auto& x) { return ops::silu_mul(x[0]); });
  });
  const auto heads = [](const auto& x) { return ops::norm_heads(x[0], x[1], x[2], kShape, kEps); };
  expect_same(
      {random({5, kShape.row_size()}), random({16}), random({16}), random({5, kShape.row_size()})},
      32, 64, [&](const auto& t) { return gradients_of(t, heads); });
}

TEST_P(OperationsOn, GradientsOfProductsAreTheCpus) {
  expect_same({random({5, 64}), random({24, 64}), random({24}), random({5, 24})}, 64, 64,
              [](const auto& t) {
                return gradients_of(t, [](const auto& x) { return ops::linear(x[0], x[1], x[2]); });
              });
}

/// Sequences of one batch, some of which share prompts: one of them two, one shares its own alone.
PackedBatch with_shared_prompts() {
  return PackedBatch::with_prefixes(std::vector<int64_t>{20, 33, 1, 9, 40, 17},
                                    std::vector<int64_t>{-1, 0, 0, -1, -1, 4});
}

// What a row sums up is fewer than 128 terms; an attention of bf16 rounds weights and slopes, too.
TEST_P(OperationsOn, AttentionWithSharedPromptsIsTheCpus) {
  const PackedBatch batch = with_shared_prompts();
  const at::Tensor table = at::randn({64, 2, 8}).clamp(-1, 1);
  const auto attend = [&](const auto& t) {
    return ops::rotary_attention(t[0], ops::plan_packed(batch, t[0].device()),
                                 table.to(t[0].device()), kShape);
  };
  const at::Tensor qkv = random({120, kShape.row_size()}), g = random({120, 64});
  expect_same({qkv}, 8, 128, attend);
  expect_same({qkv, g}, 32, 128, [&](const auto& t) { return gradients_of(t, attend); });
}

// Computed with no flash attention.
TEST_P(OperationsOn, AttentionOfOneOrderIsTheCpusWithItsGradient) {
  const ops::OneOrder one_order(true);
  const PackedBatch batch = with_shared_prompts();
  const at::Tensor table = at::randn({64, 2, 8}).clamp(-1, 1);
  const auto attend = [&](const auto& t) {
    return ops::rotary_attention(t[0], ops::plan_packed(batch, t[0].device()),
                                 table.to(t[0].device()), kShape);
  };
  expect_same({random({120, kShape.row_size()}), random({120, 64})}, 32, 128,
              [&](const auto& t) { return gradients_of(t, attend); });
}

TEST_P(OperationsOn, LossesAndTheirGradientsAreTheCpus) {
  const at::Tensor logits = at::randn({5, 300}) * 3, slopes = at::randn({5});
  const at::Tensor targets = at::tensor({0, 299, 7, 7, 150}, at::kLong);
  for (const double temperature : {1.0, 0.7}) {
    const auto row = [&](const auto& t, bool sums) {
      const auto rows = ops::loss_rows(t[0], t[1], temperature);
      return sums ? rows.lse : rows.logp;
    };
    for (const bool sums : {true, false}) {
      expect_same(
          {logits, targets}, 16, 300, [&](const auto& t) { return row(t, sums); },
          /*rounded=*/false);
    }
    const auto gradient = [&](const auto& t, const at::Tensor& entropy) {
      return ops::logit_gradient(t[0], t[1], row(t, true), t[2], temperature, GetParam(), entropy);
    };
    expect_same({logits, targets, slopes}, 4, 16, [&](const auto& t) { return gradient(t, {}); });
    expect_same(
        {logits, targets, slopes}, 6, 300,
        [&](const auto& t) {
          const at::Tensor entropy = at::empty_like(t[2]);
          gradient(t, entropy);
          return entropy;
        },
        /*rounded=*/false);
  }
}

TEST(Operations, OneWithoutAFormOnTheDeviceIsNamed) {
  struct Bare : ops::DeviceOps {
    std::string device() const override { return "bare"; }
  };
  const at::Tensor x = at::randn({4, 8});
  EXPECT_THAT([&] { Bare().silu_mul(x); }, ThrowsError("silu_mul", "bare"));
  EXPECT_THAT([&] { Bare().rms_norm_backward(x, x, x[0], x[0], true); },
              ThrowsError("rms_norm_backward", "bare"));
}

TEST_P(OperationsOn, RowsThatTheKernelsCannotReadAreRefused) {
  const at::Tensor x = random({4, 6}).to(gpu());
  EXPECT_THAT([&] { ops::silu_mul(x); }, ThrowsError("silu_mul", "got 3"));
  EXPECT_THAT([&] { ops::rms_norm(x, x[0], kEps); }, ThrowsError("add_rms_norm", "got 6"));
}

TEST_P(OperationsOn, TensorsOfTwoDevicesAreNamed) {
  const at::Tensor x = random({4, 8}), w = random({4, 8}).to(gpu());
  EXPECT_THAT([&] { ops::linear(x, w); }, ThrowsError("linear", "cpu"));
  EXPECT_THAT([&] { ops::add_rms_norm(w, {}, x[0], kEps); }, ThrowsError("add_rms_norm", "cpu"));
}

TEST(Operations, ADeviceWithoutFormsIsNamed) {
  const at::Tensor x = at::empty({4, 8}, at::TensorOptions(at::kMeta));
  EXPECT_THAT([&] { ops::silu_mul(x); }, ThrowsError("no operations", "meta"));
}

TEST(Operations, TheCpusKernelsRefuseATensorOfAnotherDevice) {
  if (test::the_gpu().device.library == nullptr) GTEST_SKIP() << test::the_gpu().reason;
  ops::install_cuda_forms(test::the_gpu().device);
  const at::Tensor x = at::randn({4, 8}).to(gpu());
  EXPECT_THAT([&] { kernels::silu_mul(x); }, ThrowsError("the CPU's kernels", "tensor on"));
}

}  // namespace
}  // namespace weft
