#include "trainer/search/weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/error.h"

namespace weft {
namespace {

// Golden vector: R = .9, .5, .1 with beta = 1.
TEST(Weights, AreExpOfRewardAndNormalise) {
  const std::vector<double> rewards = {0.9, 0.5, 0.1};
  const std::vector<double> expected = {2.459603, 1.648721, 1.105171};
  std::vector<double> log_weights;
  for (size_t i = 0; i < 3; ++i) {
    log_weights.push_back(look_ahead_log_weight(std::vector<double>{rewards[i]}, 1.0));
    EXPECT_NEAR(std::exp(log_weights[i]), expected[i], 5e-7);
  }
  const auto p = normalize_log_weights(log_weights);
  EXPECT_THAT(p, testing::ElementsAre(testing::DoubleNear(.471776, 5e-7),
                                      testing::DoubleNear(.316241, 5e-7),
                                      testing::DoubleNear(.211983, 5e-7)));
  EXPECT_NEAR(effective_sample_size(p), 2.7210, 5e-5);
}

TEST(Weights, AverageExpOverCompletionsNotRewards) {
  const std::vector<double> rewards = {1.0, 0.0};
  EXPECT_NEAR(look_ahead_log_weight(rewards, 1.0), std::log((std::exp(1.0) + 1.0) / 2), 1e-12);
  EXPECT_NEAR(look_ahead_log_weight(rewards, -2.0), std::log((std::exp(-2.0) + 1.0) / 2), 1e-12);
}

TEST(Weights, SurviveInverseTemperaturesThatOverflowExp) {
  EXPECT_NEAR(look_ahead_log_weight(std::vector<double>{1.0, 1.0}, 5000), 5000, 1e-9);
  const std::vector<double> log_weights = {5000, 5000 - std::log(3.0)};
  const auto p = normalize_log_weights(log_weights);
  EXPECT_NEAR(p[0], 0.75, 1e-12);
}

TEST(Weights, GiveADroppedParticleNoProbability) {
  const double none = look_ahead_log_weight({}, 1.0);
  const std::vector<double> log_weights = {none, 0.3};
  EXPECT_EQ(normalize_log_weights(log_weights), (std::vector<double>{0.0, 1.0}));
  const std::vector<double> all_dropped = {none, none};
  EXPECT_EQ(effective_sample_size(normalize_log_weights(all_dropped)), 0.0);
}

TEST(Weights, RefuseNan) {
  const std::vector<double> log_weights = {0.0, std::nan("")};
  EXPECT_THROW(normalize_log_weights(log_weights), InputError);
}

// Golden vector: R = .72, .70, .65 at temperature .1.
TEST(Softmax, MatchesTheRefinersGoldenVector) {
  const std::vector<double> rewards = {.72, .70, .65};
  EXPECT_THAT(softmax(rewards, 0.1), testing::ElementsAre(testing::DoubleNear(.431906, 5e-7),
                                                          testing::DoubleNear(.353615, 5e-7),
                                                          testing::DoubleNear(.214478, 5e-7)));
  EXPECT_THROW(softmax(rewards, 0), InputError);
}

TEST(TopIndices, AreLargestFirstAndStable) {
  const std::vector<double> values = {0.1, 0.5, 0.5, 0.9};
  EXPECT_EQ(top_indices(values, 3), (std::vector<size_t>{3, 1, 2}));
  EXPECT_EQ(top_indices(values, 9).size(), 4u);
}

class ResampleTest : public testing::TestWithParam<Resampling> {};

// 4000 repetitions of 7 draws. Each mean count is within 5 standard errors (multinomial variance
// bounds all three methods) of n p_i: false alarm below 4 * 6e-7 per method, fixed seed.
TEST_P(ResampleTest, IsUnbiased) {
  const std::vector<double> p = {0.5, 0.25, 0.2, 0.05};
  const int repetitions = 4000, draws = 7;
  std::vector<double> counts(p.size());
  Rng rng(11);
  for (int r = 0; r < repetitions; ++r) {
    const auto drawn = resample(p, draws, GetParam(), rng);
    ASSERT_EQ(drawn.size(), size_t{draws});
    for (const size_t i : drawn) counts[i] += 1.0 / repetitions;
  }
  for (size_t i = 0; i < p.size(); ++i) {
    const double error = std::sqrt(draws * p[i] * (1 - p[i]) / repetitions);
    EXPECT_NEAR(counts[i], draws * p[i], 5 * error) << i;
  }
}

TEST_P(ResampleTest, NeverDrawsAnImpossibleParticle) {
  const std::vector<double> p = {0.0, 1.0, 0.0};
  Rng rng(3);
  for (const size_t i : resample(p, 50, GetParam(), rng)) EXPECT_EQ(i, 1u);
}

INSTANTIATE_TEST_SUITE_P(Methods, ResampleTest,
                         testing::Values(Resampling::kMultinomial, Resampling::kSystematic,
                                         Resampling::kResidual),
                         [](const auto& info) {
                           for (const auto& [value, name] : enum_table(Resampling{})) {
                             if (value == info.param) return std::string(name);
                           }
                           return std::string();
                         });

TEST(Resample, SystematicStaysWithinOneOfTheExpectedCount) {
  const std::vector<double> p = {0.31, 0.42, 0.27};
  Rng rng(5);
  for (int r = 0; r < 200; ++r) {
    std::vector<double> counts(3);
    for (const size_t i : resample(p, 10, Resampling::kSystematic, rng)) counts[i] += 1;
    for (size_t i = 0; i < 3; ++i) EXPECT_LT(std::abs(counts[i] - 10 * p[i]), 1.0);
  }
}

}  // namespace
}  // namespace weft
