#include "trainer/learn/update/muon.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/linalg_svd.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/trainer/learn/update/learn_support.h"

namespace weft {
namespace {

double polynomial(double s, int steps) {
  for (int i = 0; i < steps; ++i) s = 3.4445 * s - 4.7750 * s * s * s + 2.0315 * std::pow(s, 5);
  return s;
}

/// Falling.
at::Tensor singular_values(const at::Tensor& x) {
  return std::get<1>(at::linalg_svd(x.to(at::kDouble), /*full_matrices=*/false));
}

// The iteration changes singular values by a polynomial and nothing else: those of the result are
// the polynomial, in fp64, of those of the matrix.
TEST(Muon, ReplacesEachSingularValueByThePolynomial) {
  Rng rng(3);
  for (const auto& shape : {std::vector<int64_t>{24, 40}, {40, 24}, {16, 16}}) {
    const at::Tensor x = test::random_tensor(shape, rng);
    const at::Tensor before = singular_values(x / x.norm());
    const at::Tensor after = singular_values(orthogonalize(x, 5));
    std::vector<double> expected;
    for (int64_t i = 0; i < before.numel(); ++i) {
      const double s = before[i].item<double>();
      expected.push_back(polynomial(s, 5));
      if (s < .002) continue;
      EXPECT_GT(expected.back(), .68);
      EXPECT_LT(expected.back(), 1.21);
    }
    std::sort(expected.rbegin(), expected.rend());
    for (int64_t i = 0; i < after.numel(); ++i) {
      EXPECT_NEAR(after[i].item<double>(), expected[static_cast<size_t>(i)], 1e-4);
    }
  }
}

TEST(Muon, LeavesAMatrixOfZeros) {
  EXPECT_TRUE(orthogonalize(at::zeros({3, 5}, at::kFloat), 5).eq(0).all().item<bool>());
}

// Whatever the gradient's size: 0.2 of the learning rate, times singular values of 0.68 to 1.21.
TEST(Muon, MovesByAFifthOfTheLearningRate) {
  Rng rng(4);
  for (const double size : {1e-6, 1.0, 1e6}) {
    const at::Tensor weights = at::zeros({30, 20}, at::kFloat), momentum = at::zeros_like(weights);
    muon_step(weights, test::random_tensor({30, 20}, rng, size), momentum, {}, .1, 0, {});
    const double root_mean_square = std::sqrt(weights.square().mean().item<double>());
    EXPECT_GT(root_mean_square, .68 * .2 * .1);
    EXPECT_LT(root_mean_square, 1.21 * .2 * .1);
  }
}

TEST(Muon, UpdatesTheMatricesOfAFusedWeightEachByItself) {
  Rng rng(5);
  const at::Tensor start = test::random_tensor({18, 8}, rng);
  const at::Tensor fused = start.clone(), momentum = at::zeros_like(start);
  const at::Tensor first = start.narrow(0, 0, 12).clone(), rest = start.narrow(0, 12, 6).clone();
  const at::Tensor of_first = at::zeros_like(first), of_rest = at::zeros_like(rest);
  for (int t = 0; t < 3; ++t) {
    const at::Tensor gradient = test::random_tensor({18, 8}, rng);
    muon_step(fused, gradient, momentum, {12, 6}, .1, .01, {});
    muon_step(first, gradient.narrow(0, 0, 12), of_first, {}, .1, .01, {});
    muon_step(rest, gradient.narrow(0, 12, 6), of_rest, {}, .1, .01, {});
  }
  EXPECT_LT(test::relative_error(fused.narrow(0, 0, 12), first), 1e-6);
  EXPECT_LT(test::relative_error(fused.narrow(0, 12, 6), rest), 1e-6);
}

// w = (1 - lr wd) w - ...: with no gradient only the decay is left.
TEST(Muon, DecaysWeights) {
  const at::Tensor weights = at::zeros({2, 2}, at::kFloat).fill_(2);
  const at::Tensor none = at::zeros_like(weights);
  muon_step(weights, none, none.clone(), {}, .1, .5, {});
  EXPECT_FLOAT_EQ(weights[0][0].item<float>(), 1.9f);
}

}  // namespace
}  // namespace weft
