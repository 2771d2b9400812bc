#include "trainer/learn/grpo/policy_loss.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <stdexcept>

namespace weft {
namespace {

using Row = std::vector<float>;

std::vector<double> advantages(std::vector<double> rewards, AdvantageKind kind,
                               bool population = false) {
  const std::vector<uint64_t> group(rewards.size(), 7);
  return group_advantages(rewards, group, kind, population).values;
}

struct Terms {
  Row coefficients;
  PolicySums sums;
};

Terms terms(const Row& logp, const Row& behaviour, const Row& advantage, const Row& weight,
            PolicyLossOptions options = {}, const Row& reference = {}) {
  Terms result;
  result.coefficients.resize(logp.size());
  policy_coefficients({logp, behaviour, reference, advantage, weight}, options, result.coefficients,
                      &result.sums);
  return result;
}

void expect_near(const std::vector<double>& got, const std::vector<double>& expected) {
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], expected[i], 1e-5) << i;
}

TEST(GroupAdvantages, MatchTheGoldenVectorsOfBothDeviations) {
  expect_near(advantages({1, 0, .5, .5}, AdvantageKind::kNormalized, true),
              {1.414214, -1.414214, 0, 0});
  expect_near(advantages({1, 0, .5, .5}, AdvantageKind::kNormalized), {1.224745, -1.224745, 0, 0});
}

TEST(GroupAdvantages, WithoutDeviationAreDifferencesToTheMean) {
  expect_near(advantages({1, 0, .5, .5}, AdvantageKind::kCentered), {.5, -.5, 0, 0});
}

TEST(GroupAdvantages, LeaveOneOutComparesWithTheOthers) {
  expect_near(advantages({1, 0, 0, 0}, AdvantageKind::kLeaveOneOut),
              {1, -1.0 / 3, -1.0 / 3, -1.0 / 3});
}

TEST(GroupAdvantages, AreZeroInAGroupOfEqualRewardsAndInAGroupOfOne) {
  const std::vector<double> rewards = {.3, .3, .9, 1, 0};
  const std::vector<uint64_t> group = {1, 1, 2, 3, 3};
  for (const auto kind :
       {AdvantageKind::kNormalized, AdvantageKind::kCentered, AdvantageKind::kLeaveOneOut}) {
    const auto result = group_advantages(rewards, group, kind);
    EXPECT_EQ(result.num_groups, 3);
    EXPECT_EQ(result.zero_std_groups, 2);
    EXPECT_EQ(result.values[0], 0);
    EXPECT_EQ(result.values[2], 0);
    EXPECT_GT(result.values[3], 0);
  }
}

TEST(GroupAdvantages, DoNotNeedGroupsToBeAdjacent) {
  const std::vector<double> rewards = {1, 10, 0, 20};
  const std::vector<uint64_t> group = {5, 6, 5, 6};
  expect_near(group_advantages(rewards, group, AdvantageKind::kCentered).values, {.5, -5, -.5, 5});
}

TEST(GroupAdvantages, RefuseARewardThatIsNotFinite) {
  EXPECT_THROW(advantages({1, std::nan("")}, AdvantageKind::kNormalized), std::invalid_argument);
}

// Ratios are 1.5 and 0.9 with A = 2. The first is held at 1.28, so it gets no gradient; the second
// gets -r A / num_tokens = -0.9 * 2 / 2. Loss: -(1.28 * 2 + 0.9 * 2) / 2.
TEST(PolicyLoss, GivesNoGradientToATokenHeldAtTheUpperBound) {
  const auto t = terms({std::log(1.5f), std::log(0.9f)}, {0, 0}, {2, 2}, {.5f, .5f});
  EXPECT_EQ(t.coefficients[0], 0.0f);
  EXPECT_NEAR(t.coefficients[1], -0.9f, 1e-6f);
  EXPECT_NEAR(t.sums.loss, -2.18, 1e-6);
  EXPECT_EQ(t.sums.clipped_high, 1);
  EXPECT_EQ(t.sums.clipped_low, 0);
}

// Ratios 0.7 and 1.5 with A = -1: the first is held at 0.8; the second is not bounded above.
TEST(PolicyLoss, HoldsANegativeAdvantageAtTheLowerBoundOnly) {
  const auto t = terms({std::log(.7f), std::log(1.5f)}, {0, 0}, {-1, -1}, {1, 1});
  EXPECT_EQ(t.coefficients[0], 0.0f);
  EXPECT_NEAR(t.coefficients[1], 1.5f, 1e-6f);
  EXPECT_NEAR(t.sums.loss, .8 + 1.5, 1e-6);
  EXPECT_EQ(t.sums.clipped_low, 1);
}

TEST(PolicyLoss, DualClipBoundsTheLossOfANegativeAdvantage) {
  PolicyLossOptions options;
  options.dual_clip = 3;
  const auto t = terms({std::log(5.0f), std::log(2.0f)}, {0, 0}, {-1, -1}, {1, 1}, options);
  EXPECT_EQ(t.coefficients[0], 0.0f);
  EXPECT_NEAR(t.coefficients[1], 2.0f, 1e-6f);
  EXPECT_NEAR(t.sums.loss, 3 + 2, 1e-6);
}

TEST(PolicyLoss, IsMinusTheAdvantageWhereTheRatioIsExactlyOne) {
  const auto t = terms({-1.5f, -.25f}, {-1.5f, -.25f}, {2, -3}, {.25f, .25f});
  EXPECT_EQ(t.coefficients[0], -.5f);
  EXPECT_EQ(t.coefficients[1], .75f);
  EXPECT_EQ(t.sums.ratio_max, 1.0);
}

TEST(PolicyLoss, TokenWeightsSumToOneForBothMeans) {
  const std::array<int64_t, 3> lengths = {2, 5, 13};
  for (const auto mean : {TokenMean::kPerBatch, TokenMean::kPerSequence}) {
    double sum = 0;
    for (const int64_t n : lengths) sum += static_cast<double>(n) * token_weight(mean, n, 3, 20);
    EXPECT_NEAR(sum, 1, 1e-12);
  }
  EXPECT_DOUBLE_EQ(token_weight(TokenMean::kPerSequence, 2, 3, 20), 1.0 / 6);
  EXPECT_DOUBLE_EQ(token_weight(TokenMean::kPerBatch, 2, 3, 20), 1.0 / 20);
}

TEST(PolicyLoss, CoefficientsAreTheDerivativesOfTheLoss) {
  PolicyLossOptions options;
  options.dual_clip = 2.5;
  options.kl_coefficient = .3;
  options.kl = KlKind::kK3;
  const Row behaviour = {-1, -1, -1, -1, -1, -1};
  const Row reference = {-.5f, -2, -1.1f, -1, -.7f, -3};
  const Row advantage = {1, 1, -1, -1, -2, .5f}, weight = {.1f, .2f, .3f, .4f, .5f, .6f};
  const Row logp = {-1.1f, -.5f, -1.4f, -.9f, .2f, -1.05f};  // none within 1e-3 of a bound
  const auto at = [&](const Row& x) {
    return terms(x, behaviour, advantage, weight, options, reference);
  };
  const Row slopes = at(logp).coefficients;
  for (size_t i = 0; i < logp.size(); ++i) {
    Row up = logp, down = logp;
    up[i] += 1e-3f;
    down[i] -= 1e-3f;
    const double step = double{up[i]} - double{down[i]};
    EXPECT_NEAR(slopes[i], (at(up).sums.loss - at(down).sums.loss) / step, 1e-5) << i;
  }
}

TEST(PolicyLoss, KlMatchesTheGoldenValuesOfK3) {
  PolicyLossOptions options;
  options.kl_coefficient = 1;
  const auto t = terms({-.2f, .2f}, {-.2f, .2f}, {0, 0}, {1, 1}, options, {0, 0});
  EXPECT_NEAR(t.sums.kl, .021403 + .018731, 1e-6);
}

/// Expectation over six classes of coefficient(k3 or k3+) times d(logp)/d(logits), exactly.
std::array<double, 6> kl_gradient(KlKind kind, const std::array<double, 6>& p,
                                  const std::array<double, 6>& q) {
  PolicyLossOptions options;
  options.kl_coefficient = 1;
  options.kl = kind;
  std::array<double, 6> gradient{};
  for (size_t token = 0; token < 6; ++token) {
    const Row logp = {static_cast<float>(std::log(p[token]))};
    const Row reference = {static_cast<float>(std::log(q[token]))};
    const double slope = terms(logp, logp, {0}, {1}, options, reference).coefficients[0];
    for (size_t j = 0; j < 6; ++j) gradient[j] += p[token] * slope * ((j == token) - p[j]);
  }
  return gradient;
}

// d KL(p||q) / d logits_j = p_j (log(p_j/q_j) - KL); d KL(q||p) / d logits_j = p_j - q_j.
TEST(PolicyLoss, KlGradientsAreThoseOfTheNamedDivergence) {
  const std::array<double, 6> p = {.3, .25, .2, .1, .1, .05}, q = {.05, .15, .1, .3, .2, .2};
  double reverse = 0;
  for (size_t j = 0; j < 6; ++j) reverse += p[j] * std::log(p[j] / q[j]);
  const auto k3 = kl_gradient(KlKind::kK3, p, q), k3_plus = kl_gradient(KlKind::kK3Plus, p, q);
  double gap = 0;
  for (size_t j = 0; j < 6; ++j) {
    EXPECT_NEAR(k3_plus[j], p[j] * (std::log(p[j] / q[j]) - reverse), 1e-6);
    EXPECT_NEAR(k3[j], p[j] - q[j], 1e-6);
    gap = std::max(gap, std::abs(k3[j] - k3_plus[j]));
  }
  EXPECT_GT(gap, .1);  // the two are not the same thing
}

TEST(PolicyLoss, RefusesALogpThatIsNotFinite) {
  const float nan = std::nanf("");
  EXPECT_THROW(terms({nan}, {0}, {1}, {1}), std::invalid_argument);
  EXPECT_THROW(terms({0}, {-std::numeric_limits<float>::infinity()}, {1}, {1}),
               std::invalid_argument);
  EXPECT_THROW(terms({0, 0}, {0}, {1}, {1}), std::invalid_argument);
}

TEST(PolicyLoss, NamesTheOptionThatIsOutOfRange) {
  PolicyLossOptions options;
  options.clip_low = 1.5;
  EXPECT_THROW(options.validate(), InputError);
  options = {};
  options.dual_clip = .5;
  EXPECT_THROW(options.validate(), InputError);
}

// d = 0.1 and -0.3: mean 0.2, max 0.3, k3 = mean of exp(d) - d - 1.
TEST(Mismatch, CollectsMeanMaxAndK3) {
  Mismatch m;
  m.add(Row{-.9f, -1.3f}, Row{-1, -1});
  EXPECT_NEAR(m.mean(), .2, 1e-6);
  EXPECT_NEAR(m.max, .3, 1e-6);
  EXPECT_NEAR(m.k3(), (std::exp(.1) - 1.1 + std::exp(-.3) + .3 - 1) / 2, 1e-6);
}

}  // namespace
}  // namespace weft
