#include "trainer/learn/grpo/kl.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

namespace weft {
namespace {

using Six = std::array<double, 6>;

constexpr Six kPolicy = {.3, .25, .2, .1, .1, .05}, kReference = {.05, .15, .1, .3, .2, .2};
constexpr Six kSampler = {.1, .1, .3, .2, .2, .1};

// a = 0.2: k1 = a, k2 = 0.02, k3 = exp(-0.2) + 0.2 - 1.
TEST(KlTerm, HasTheValuesOfItsFormula) {
  EXPECT_NEAR(kl_term(KlKind::kK1, -.3, -.5).value, .2, 1e-12);
  EXPECT_NEAR(kl_term(KlKind::kK2, -.3, -.5).value, .02, 1e-12);
  EXPECT_NEAR(kl_term(KlKind::kK3, -.3, -.5).value, .018730753, 1e-9);
  EXPECT_NEAR(kl_term(KlKind::kK3Plus, -.3, -.5).value, .018730753, 1e-9);
  EXPECT_NEAR(kl_term(KlKind::kK3, -.5, -.3).value, .021402758, 1e-9);
  EXPECT_NEAR(kl_term(KlKind::kK1, -.3, -.5, true, 3).value, .6, 1e-12);
  for (const auto kind : {KlKind::kK1, KlKind::kK2, KlKind::kK3}) {
    EXPECT_EQ(kl_term(kind, -.5, -.5).value, 0);
  }
}

TEST(KlTerm, ItsSlopeIsTheDerivativeOfItsValue) {
  constexpr double kStep = 1e-5, kSamplerLogp = -.9;
  for (const auto kind : {KlKind::kK1, KlKind::kK2, KlKind::kK3}) {
    for (const bool importance : {false, true}) {
      for (const double logp : {-.2, -1.0, -2.5}) {
        const auto at = [&](double x) {
          return kl_term(kind, x, -1.1, importance, std::exp(x - kSamplerLogp));
        };
        const double expected = (at(logp + kStep).value - at(logp - kStep).value) / (2 * kStep);
        EXPECT_NEAR(at(logp).slope, expected, 1e-8);
      }
    }
  }
  EXPECT_EQ(kl_term(KlKind::kK3Plus, -.2, -1.1).slope, kl_term(KlKind::kK2, -.2, -1.1).slope);
}

/// Expectation over tokens of `sampler` of slope * d(logp)/d(logits), exactly.
Six kl_gradient(KlKind kind, const Six& sampler, bool importance) {
  Six gradient{};
  for (size_t token = 0; token < 6; ++token) {
    const double slope = kl_term(kind, std::log(kPolicy[token]), std::log(kReference[token]),
                                 importance, kPolicy[token] / sampler[token])
                             .slope;
    for (size_t j = 0; j < 6; ++j) {
      gradient[j] += sampler[token] * slope * ((j == token) - kPolicy[j]);
    }
  }
  return gradient;
}

/// d KL(policy || reference) / d logits_j = p_j (log(p_j / q_j) - KL).
Six reverse_gradient() {
  double kl = 0;
  for (size_t j = 0; j < 6; ++j) kl += kPolicy[j] * std::log(kPolicy[j] / kReference[j]);
  Six result;
  for (size_t j = 0; j < 6; ++j) {
    result[j] = kPolicy[j] * (std::log(kPolicy[j] / kReference[j]) - kl);
  }
  return result;
}

void expect_near(const Six& got, const Six& expected) {
  for (size_t j = 0; j < 6; ++j) EXPECT_NEAR(got[j], expected[j], 1e-12) << j;
}

TEST(KlGradient, OfK1IsZero) { expect_near(kl_gradient(KlKind::kK1, kPolicy, false), Six{}); }

TEST(KlGradient, OfK2AndK3PlusIsThatOfTheReverseKl) {
  expect_near(kl_gradient(KlKind::kK2, kPolicy, false), reverse_gradient());
  expect_near(kl_gradient(KlKind::kK3Plus, kPolicy, false), reverse_gradient());
}

// d KL(reference || policy) / d logits_j = p_j - q_j.
TEST(KlGradient, OfK3IsThatOfTheForwardKlAndNotOfTheReverse) {
  Six forward;
  for (size_t j = 0; j < 6; ++j) forward[j] = kPolicy[j] - kReference[j];
  const Six k3 = kl_gradient(KlKind::kK3, kPolicy, false), reverse = reverse_gradient();
  expect_near(k3, forward);
  double gap = 0;
  for (size_t j = 0; j < 6; ++j) gap = std::max(gap, std::abs(k3[j] - reverse[j]));
  EXPECT_GT(gap, .1);
}

TEST(KlGradient, WithImportanceIsThatOfTheReverseKlFromAnySampler) {
  for (const auto& sampler : {kPolicy, kSampler}) {
    expect_near(kl_gradient(KlKind::kK1, sampler, true), reverse_gradient());
    expect_near(kl_gradient(KlKind::kK3, sampler, true), reverse_gradient());
  }
}

}  // namespace
}  // namespace weft
