#include "trainer/learn/update/linear_cross_entropy.h"

#include <ATen/ops/log_softmax.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "tests/trainer/learn/update/learn_support.h"

namespace weft {
namespace {

using test::random_tensor;

constexpr int64_t kTokens = 13, kHidden = 24, kVocab = 101;

struct Problem {
  at::Tensor hidden, weight, targets;
  std::vector<float> slopes;
};

Problem make_problem() {
  Rng rng(5);
  Problem p{random_tensor({kTokens, kHidden}, rng),
            random_tensor({kVocab, kHidden}, rng, 0.3),
            at::empty({kTokens}, at::kLong),
            {}};
  for (int64_t i = 0; i < kTokens; ++i) {
    p.targets.data_ptr<int64_t>()[i] = static_cast<int64_t>(rng.below(kVocab));
    p.slopes.push_back(static_cast<float>(rng.normal()));
  }
  return p;
}

CoefficientFn slopes_of(const Problem& p) {
  return on_host([&p](int64_t begin, std::span<const float> logp, std::span<float> out) {
    for (size_t i = 0; i < logp.size(); ++i) out[i] = p.slopes[begin + i];
  });
}

void expect_autograds(double temperature) {
  Problem p = make_problem();
  at::Tensor weight_grad = at::zeros({kVocab, kHidden}, at::kFloat);
  const auto got = linear_cross_entropy(p.hidden, p.weight, p.targets, slopes_of(p), &weight_grad,
                                        {4, true, temperature});
  p.hidden.set_requires_grad(true);
  p.weight.set_requires_grad(true);
  const at::Tensor log_p = at::log_softmax(at::matmul(p.hidden, p.weight.t()).div(temperature), 1);
  const at::Tensor logp = log_p.gather(1, p.targets.unsqueeze(1)).squeeze(1);
  const auto grads =
      torch::autograd::grad({logp.mul(test::row(p.slopes)).sum()}, {p.hidden, p.weight});
  EXPECT_LT(test::relative_error(got.logp, logp), 1e-6);
  EXPECT_LT(test::relative_error(got.entropy, log_p.exp().mul(log_p).sum(1).neg()), 1e-5);
  EXPECT_LT(test::relative_error(got.hidden_grad, grads[0]), 1e-6);
  EXPECT_LT(test::relative_error(weight_grad, grads[1]), 1e-6);
}

TEST(LinearCrossEntropy, GivesAutogradsLogpEntropyAndGradients) { expect_autograds(1); }

TEST(LinearCrossEntropy, DividesLogitsByTheTemperature) { expect_autograds(0.7); }

TEST(LinearCrossEntropy, DoesNotDependOnTheChunk) {
  const Problem p = make_problem();
  const auto whole =
      linear_cross_entropy(p.hidden, p.weight, p.targets, slopes_of(p), nullptr, {64, true});
  for (const int64_t chunk : {1, 5, 13}) {
    const auto parts =
        linear_cross_entropy(p.hidden, p.weight, p.targets, slopes_of(p), nullptr, {chunk, true});
    EXPECT_LT(test::relative_error(parts.logp, whole.logp), 1e-6);
    EXPECT_LT(test::relative_error(parts.entropy, whole.entropy), 1e-6);
    EXPECT_LT(test::relative_error(parts.hidden_grad, whole.hidden_grad), 1e-6);
  }
}

TEST(LinearCrossEntropy, ComputesLogpAsTheModelDoes) {
  const auto model = test::tiny_model();
  Rng rng(9);
  const at::Tensor hidden = random_tensor({7, 32}, rng);
  at::Tensor targets = at::empty({7}, at::kLong);
  for (int64_t i = 0; i < 7; ++i) targets.data_ptr<int64_t>()[i] = 8 * i;
  const auto got = linear_cross_entropy(hidden, model->lm_head_weight(), targets, {}, nullptr);
  EXPECT_TRUE(got.logp.equal(model->token_logprobs(hidden, targets)));
  EXPECT_FALSE(got.hidden_grad.defined());
}

}  // namespace
}  // namespace weft
