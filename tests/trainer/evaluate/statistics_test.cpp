#include "trainer/evaluate/statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/rng.h"

namespace weft {
namespace {

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

std::vector<double> coin_flips(int n, double p, uint64_t seed) {
  Rng rng(seed);
  std::vector<double> values(static_cast<size_t>(n));
  for (double& value : values) value = rng.uniform() < p ? 1 : 0;
  return values;
}

// The interval of a mean of n flips tends to p +- 1.96 sqrt(p (1-p) / n); with n = 400 and the
// observed p the two differ by the resampling error of a 2.5 % quantile (sd about 0.0006 with
// 10,000 resamples) and the step 1/400 of the mean, so 0.005 is eight standard deviations.
TEST(Bootstrap, MeanOfCoinFlipsHasTheNormalInterval) {
  const auto values = coin_flips(400, 0.3, 7);
  const Estimate estimate = bootstrap_mean(values);
  const double p = estimate.mean;
  const double half = 1.96 * std::sqrt(p * (1 - p) / 400);
  EXPECT_EQ(estimate.n, 400);
  EXPECT_NEAR(estimate.ci.low, p - half, 0.005);
  EXPECT_NEAR(estimate.ci.high, p + half, 0.005);
}

// 300 data sets of 60 normal values: the percentile interval's true coverage is about 0.94 there.
// The count of covered sets is binomial; below 0.90 has probability < 0.3 %, above 0.98 < 0.1 %
// (and the seeds are fixed).
TEST(Bootstrap, IntervalCoversTheTruthAsOftenAsItSays) {
  int covered = 0;
  for (uint64_t set = 0; set < 300; ++set) {
    Rng rng(100 + set);
    std::vector<double> values(60);
    for (double& value : values) value = 0.5 + 0.2 * rng.normal();
    const Estimate estimate = bootstrap_mean(values, {.resamples = 1000, .seed = set});
    covered += estimate.ci.low <= 0.5 && 0.5 <= estimate.ci.high;
  }
  EXPECT_GT(covered, 270);
  EXPECT_LT(covered, 294);
}

TEST(Bootstrap, ConstantValuesHaveAPointInterval) {
  const std::vector<double> values(10, 0.25);
  const Estimate estimate = bootstrap_mean(values);
  EXPECT_DOUBLE_EQ(estimate.ci.low, 0.25);
  EXPECT_DOUBLE_EQ(estimate.ci.high, 0.25);
}

TEST(Bootstrap, SameSeedGivesTheSameInterval) {
  const auto values = coin_flips(50, 0.5, 3);
  const Estimate a = bootstrap_mean(values, {.seed = 5}), b = bootstrap_mean(values, {.seed = 5});
  EXPECT_EQ(a.ci.low, b.ci.low);
  EXPECT_EQ(a.ci.high, b.ci.high);
}

TEST(Bootstrap, MissingValuesAreLeftOutAndNeverZero) {
  const std::vector<double> values = {1, kMissing, 1, kMissing};
  const Estimate estimate = bootstrap_mean(values);
  EXPECT_EQ(estimate.n, 2);
  EXPECT_DOUBLE_EQ(estimate.mean, 1);
}

TEST(Bootstrap, NoDataGivesNaN) {
  const Estimate estimate = bootstrap_mean(std::vector<double>{kMissing});
  EXPECT_EQ(estimate.n, 0);
  EXPECT_TRUE(std::isnan(estimate.mean));
  EXPECT_TRUE(std::isnan(estimate.ci.low));
}

TEST(Bootstrap, PairedDifferenceDropsPairsWithAMissingSide) {
  const std::vector<double> before = {0, 1, kMissing, 0}, after = {1, 1, 1, kMissing};
  const Estimate estimate = bootstrap_paired_difference(before, after);
  EXPECT_EQ(estimate.n, 2);
  EXPECT_DOUBLE_EQ(estimate.mean, 0.5);
}

// Tasks of very different difficulty: pairing removes their spread, here all of it.
TEST(Bootstrap, PairingRemovesTheSpreadBetweenTasks) {
  std::vector<double> before, after;
  for (int i = 0; i < 20; ++i) {
    before.push_back(i / 20.0);
    after.push_back(i / 20.0 + 0.05);
  }
  const Estimate estimate = bootstrap_paired_difference(before, after);
  EXPECT_NEAR(estimate.ci.low, 0.05, 1e-12);
  EXPECT_TRUE(estimate.ci.excludes_zero());
}

// Two methods of the same success rate, 200 data sets: the interval excludes 0 in about 6 % of
// them; more than 26 (13 %) has probability below 0.1 %.
TEST(Bootstrap, EqualMethodsDifferRarely) {
  int false_alarms = 0;
  for (uint64_t set = 0; set < 200; ++set) {
    const auto a = coin_flips(40, 0.4, 1000 + set), b = coin_flips(40, 0.4, 5000 + set);
    false_alarms +=
        bootstrap_paired_difference(a, b, {.resamples = 1000, .seed = set}).ci.excludes_zero();
  }
  EXPECT_LE(false_alarms, 26);
}

TEST(Bootstrap, RefusesSeriesOfDifferentLength) {
  const std::vector<double> one = {1}, two = {1, 2};
  EXPECT_THROW(bootstrap_paired_difference(one, two), InputError);
}

TEST(Bootstrap, RefusesAConfidenceOfOne) {
  EXPECT_THROW(bootstrap_mean(std::vector<double>{1}, {.confidence = 1}), InputError);
}

}  // namespace
}  // namespace weft
