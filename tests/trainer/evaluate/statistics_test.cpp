#include "trainer/evaluate/statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "base/error.h"
#include "base/rng.h"
#include "tests/trainer/evaluate/paired_scores.h"

namespace weft {
namespace {

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

TaskValues coin_flips(int n, double p, uint64_t seed) {
  Rng rng(seed);
  TaskValues values(static_cast<size_t>(n));
  for (auto& value : values) value = {rng.uniform() < p ? 1.0 : 0.0};
  return values;
}

/// `successes` of n tasks with the value 1.
TaskValues binary(int successes, int n) {
  TaskValues values(static_cast<size_t>(n), {0});
  for (int i = 0; i < successes; ++i) values[size_t(i)] = {1};
  return values;
}

TaskValues of(const std::vector<double>& values) { return one_each(values); }

/// Paired 0/1 values with these counts of (1,1), (1,0), (0,1) and (0,0).
Estimate paired(int both, int only_a, int only_b, int neither) {
  const auto scores = test::paired_scores(both, only_a, only_b, neither);
  return estimate_difference(of(scores.a), of(scores.b));
}

void expect_interval(const Estimate& estimate, double low, double high, double tolerance) {
  EXPECT_NEAR(estimate.ci.low, low, tolerance);
  EXPECT_NEAR(estimate.ci.high, high, tolerance);
}

// Four examples to four places; statsmodels gives the same.
TEST(Wilson, GivesThePublishedIntervals) {
  expect_interval(estimate_mean(binary(81, 263)), 0.2553, 0.3662, 0.00005);
  expect_interval(estimate_mean(binary(15, 148)), 0.0624, 0.1605, 0.00005);
  expect_interval(estimate_mean(binary(0, 20)), 0, 0.1611, 0.00005);
  expect_interval(estimate_mean(binary(1, 29)), 0.0061, 0.1718, 0.00005);
}

TEST(Wilson, NothingOrAllOfAFewTasksIsNoPoint) {
  const Estimate none = estimate_mean(binary(0, 8)), all = estimate_mean(binary(8, 8));
  EXPECT_EQ(none.method, "wilson");
  EXPECT_EQ(none.n, 8);
  expect_interval(none, 0, 0.3244075649, 1e-9);
  expect_interval(all, 1 - 0.3244075649, 1, 1e-9);
  EXPECT_GT(estimate_mean(binary(0, 1)).ci.high, 0.7);
}

// Exact coverage for 8 tasks: the sum of binomial probabilities of the counts whose interval holds
// p, averaged over p. Newcombe 1998 finds 0.95 on average.
TEST(Wilson, CoversTheTruthAsOftenAsItSays) {
  constexpr int kTasks = 8, kGrid = 199;
  double coverage = 0;
  for (int point = 1; point <= kGrid; ++point) {
    const double p = double(point) / (kGrid + 1);
    for (int k = 0; k <= kTasks; ++k) {
      const Interval ci = estimate_mean(binary(k, kTasks)).ci;
      if (p < ci.low || p > ci.high) continue;
      const double choose =
          std::exp(std::lgamma(kTasks + 1) - std::lgamma(k + 1) - std::lgamma(kTasks - k + 1));
      coverage += choose * std::pow(p, k) * std::pow(1 - p, kTasks - k) / kGrid;
    }
  }
  EXPECT_NEAR(coverage, 0.95, 0.01);
}

// The worked example of Altman et al., Statistics with Confidence (2000), table 6.2: 0.011 to
// 0.226.
TEST(Newcombe, GivesThePublishedInterval) {
  const Estimate estimate = paired(14, 5, 0, 22);
  EXPECT_EQ(estimate.method, "newcombe");
  EXPECT_EQ(estimate.n, 41);
  EXPECT_NEAR(estimate.mean, 5.0 / 41, 1e-12);
  expect_interval(estimate, 0.011, 0.226, 0.0005);
}

// Two more tables, of 50 pairs and of Bentur et al. (2009), by a second program in another
// language.
TEST(Newcombe, AgreesWithASecondProgram) {
  expect_interval(paired(36, 12, 2, 0), 0.0569, 0.3404, 0.00005);
  expect_interval(paired(1, 1, 7, 12), -0.5069, -0.0256, 0.00005);
}

TEST(Newcombe, ChangesItsSignWithTheSides) {
  const Estimate one = paired(1, 1, 7, 12), other = paired(1, 7, 1, 12);
  expect_interval(other, -one.ci.high, -one.ci.low, 1e-12);
  EXPECT_LT(one.ci.high, 0);
}

TEST(Newcombe, MethodsThatNeverDifferedStillHaveAWidth) {
  for (const Estimate& same : {paired(0, 0, 0, 8), paired(8, 0, 0, 0), paired(4, 0, 0, 4)}) {
    EXPECT_EQ(same.mean, 0);
    EXPECT_LT(same.ci.low, -0.1);
    EXPECT_GT(same.ci.high, 0.1);
    EXPECT_STREQ(reading_of(same.ci), "inconclusive");
  }
}

// Two methods of the same rate, 400 pairs of data sets: the interval excludes 0 in at most 5 % of
// them; more than 36 (9 %) has probability below 0.1 %.
TEST(Newcombe, EqualMethodsDifferRarely) {
  int false_alarms = 0;
  for (uint64_t set = 0; set < 400; ++set) {
    const auto a = coin_flips(40, 0.4, 1000 + set), b = coin_flips(40, 0.4, 5000 + set);
    false_alarms += std::string(reading_of(estimate_difference(a, b).ci)) != "inconclusive";
  }
  EXPECT_LE(false_alarms, 36);
}

const std::vector<double> kFractions = {0.1, 0.25, 0.5, 0.5, 0.75, 0, 0, 0.05, 0.9, 1, 0.3, 0.1};
const BootstrapOptions kMany = {.resamples = 200000};

// scipy.stats.bootstrap (1.16, method BCa, a million resamples) on the same values. With 200,000
// resamples a limit has a standard deviation of 0.0007 and moves in steps of 1/240.
TEST(Bca, AgreesWithScipy) {
  const Estimate estimate = estimate_mean(of(kFractions), kMany);
  EXPECT_EQ(estimate.method, "bca");
  EXPECT_TRUE(estimate.note.empty());
  expect_interval(estimate, 0.2000, 0.5917, 0.005);
  expect_interval(estimate_mean(of({0, 0, 0, 0, 0, 0, 0.25, 0, 0.5, 1}), kMany), 0.025, 0.475,
                  0.005);
}

// The same with tasks of several values: the statistic is sum over sum, whole tasks are drawn.
TEST(Bca, AgreesWithScipyOnTasksOfSeveralValues) {
  const TaskValues tasks = {{1, 0, 1}, {0, 0, 0}, {1},       {0.5, 0.5},
                            {0, 1, 1}, {0, 0},    {1, 1, 1}, {0.25, 0, 0}};
  const Estimate estimate = estimate_mean(tasks, kMany);
  EXPECT_EQ(estimate.n, 8);
  EXPECT_NEAR(estimate.mean, 0.4625, 1e-12);
  expect_interval(estimate, 0.1912, 0.7361, 0.006);
}

TEST(Bca, CopiesOfATasksValueAddNothing) {
  TaskValues single, copied;
  for (int i = 0; i < 30; ++i) {
    single.push_back({(i % 5) / 5.0});
    copied.push_back(std::vector<double>(9, (i % 5) / 5.0));
  }
  const Estimate one = estimate_mean(single), nine = estimate_mean(copied);
  EXPECT_EQ(one.n, nine.n);
  expect_interval(nine, one.ci.low, one.ci.high, 1e-12);
}

// Zeros and ones, but several a task: the tasks are the units, not the 24 values.
TEST(Bca, SamplesOfATaskAreNotIndependentTasks) {
  TaskValues clustered, flat;
  for (int i = 0; i < 8; ++i) clustered.push_back(std::vector<double>(3, i % 2));
  for (const auto& task : clustered) {
    for (const double value : task) flat.push_back({value});
  }
  const Estimate estimate = estimate_mean(clustered), wrong = estimate_mean(flat);
  EXPECT_EQ(estimate.n, 8);
  EXPECT_GT(estimate.ci.high - estimate.ci.low, 1.3 * (wrong.ci.high - wrong.ci.low));
}

// 300 data sets of 60 normal values: the true coverage is about 0.94. The count of covered sets is
// binomial; below 0.90 has probability < 0.3 %, above 0.98 < 0.1 % (and the seeds are fixed).
TEST(Bca, CoversTheTruthAsOftenAsItSays) {
  int covered = 0;
  for (uint64_t set = 0; set < 300; ++set) {
    Rng rng(100 + set);
    TaskValues values(60);
    for (auto& value : values) value = {0.5 + 0.2 * rng.normal()};
    const Estimate estimate = estimate_mean(values, {.resamples = 1000, .seed = set}, kNoBounds);
    covered += estimate.ci.low <= 0.5 && 0.5 <= estimate.ci.high;
  }
  EXPECT_GT(covered, 270);
  EXPECT_LT(covered, 294);
}

TEST(Bca, SameSeedGivesTheSameInterval) {
  const Estimate a = estimate_mean(of(kFractions), {.seed = 5}),
                 b = estimate_mean(of(kFractions), {.seed = 5});
  EXPECT_EQ(a.ci.low, b.ci.low);
  EXPECT_EQ(a.ci.high, b.ci.high);
}

// Tasks of very different difficulty: pairing removes most of their spread.
TEST(Bca, PairingRemovesTheSpreadBetweenTasks) {
  std::vector<double> before, after;
  for (int i = 0; i < 20; ++i) {
    before.push_back(i / 25.0);
    after.push_back(i / 25.0 + (i % 2 ? 0.06 : 0.04));
  }
  const Estimate estimate = estimate_difference(of(after), of(before));
  EXPECT_EQ(estimate.method, "bca");
  EXPECT_NEAR(estimate.ci.low, 0.046, 0.002);
  EXPECT_STREQ(reading_of(estimate.ci), "higher");
  EXPECT_STREQ(reading_of(estimate_difference(of(before), of(after)).ci), "lower");
}

// Equal values have no bootstrap. With less than 0.05^(1/5) = 0.549 of the population at 0.5, five
// draws of it have a chance below 5 %; the rest may lie at 0 or at 1.
TEST(EqualBound, StandsInForEqualValues) {
  const Estimate estimate = estimate_mean(of({0.5, 0.5, 0.5, 0.5, 0.5}));
  EXPECT_EQ(estimate.method, "equal_bound");
  EXPECT_NE(estimate.note.find("all 5 tasks are equal"), std::string::npos);
  expect_interval(estimate, 0.2746, 0.7254, 0.0001);
}

TEST(EqualBound, SeesEqualValuesThroughRounding) {
  const TaskValues tasks = {{0.1, 0.1, 0.1}, {0.1}, {0.1, 0.1}, {0.1}, {0.1}, {0.1}, {0.1}};
  EXPECT_EQ(estimate_mean(tasks).method, "equal_bound");
}

TEST(EqualBound, SeveralSamplesThatAllFailedAreAsManyTasksAsThereAre) {
  const Estimate estimate = estimate_mean(TaskValues(8, {0, 0, 0, 0}));
  EXPECT_EQ(estimate.method, "equal_bound");
  expect_interval(estimate, 0, 1 - std::pow(0.05, 1.0 / 8), 1e-12);
}

TEST(EqualBound, ASingleTaskSaysNearlyNothing) {
  const Estimate estimate = estimate_mean(of({0.5}));
  EXPECT_NE(estimate.note.find("one task"), std::string::npos);
  expect_interval(estimate, 0.025, 0.975, 1e-12);
}

TEST(EqualBound, DifferencesHaveTheBoundsOfDifferences) {
  const auto shifted = [](size_t n) {
    return estimate_difference(of(std::vector<double>(n, 0.75)), of(std::vector<double>(n, 0.5)));
  };
  EXPECT_EQ(shifted(8).method, "equal_bound");
  EXPECT_STREQ(reading_of(shifted(8).ci), "inconclusive");
  EXPECT_STREQ(reading_of(shifted(40).ci), "higher");
}

// Two tasks: a bootstrap would say 0.2 to 0.8, which holds the mean half of the time.
TEST(ScoreBound, StandsInForAFewTasks) {
  const Estimate few = estimate_mean(of({0.2, 0.8}));
  EXPECT_EQ(few.method, "score_bound");
  EXPECT_NE(few.note.find("too few"), std::string::npos);
  EXPECT_LT(few.ci.low, 0.2);
  EXPECT_GT(few.ci.high, 0.8);
  EXPECT_EQ(estimate_mean(of({0.1, 0.2, 0.3, 0.4, 0.5, 0.6})).method, "bca");
}

// Five values, a bound of [-1, 1]: (mean - m)^2 = z^2 (m + 1)(1 - m) / n at both ends.
TEST(ScoreBound, SolvesItsEquation) {
  const Estimate estimate = estimate_mean(of({-0.5, 0.1, 0.2, 0.3, 0.9}), {}, {-1, 1});
  for (const double m : {estimate.ci.low, estimate.ci.high}) {
    const double left = (estimate.mean - m) * (estimate.mean - m);
    EXPECT_NEAR(left, 1.959963985 * 1.959963985 * (m + 1) * (1 - m) / 5, 1e-9);
  }
}

TEST(Estimate, WithoutBoundsEqualValuesHaveNoInterval) {
  const Estimate estimate = estimate_mean(of(std::vector<double>(8, -0.1)), {}, kNoBounds);
  EXPECT_EQ(estimate.method, "none");
  EXPECT_DOUBLE_EQ(estimate.mean, -0.1);
  EXPECT_TRUE(std::isnan(estimate.ci.low));
  EXPECT_STREQ(reading_of(estimate.ci), "inconclusive");
}

TEST(Estimate, MissingValuesAreLeftOutAndNeverZero) {
  const Estimate estimate = estimate_mean({{1}, {kMissing}, {1, kMissing}, {}});
  EXPECT_EQ(estimate.n, 2);
  EXPECT_DOUBLE_EQ(estimate.mean, 1);
}

TEST(Estimate, NoDataGivesNaN) {
  for (const TaskValues& nothing : {TaskValues{}, TaskValues{{kMissing}}, TaskValues{{}}}) {
    const Estimate estimate = estimate_mean(nothing);
    EXPECT_EQ(estimate.n, 0);
    EXPECT_EQ(estimate.method, "none");
    EXPECT_TRUE(std::isnan(estimate.mean));
    EXPECT_TRUE(std::isnan(estimate.ci.low));
  }
}

TEST(Estimate, DifferenceDropsPairsWithAMissingSide) {
  const Estimate estimate = estimate_difference(of({1, 1, 1, kMissing}), of({0, 1, kMissing, 0}));
  EXPECT_EQ(estimate.n, 2);
  EXPECT_DOUBLE_EQ(estimate.mean, 0.5);
}

// 400 differences, one in four of them 1: se = sqrt(.25 x .75 / 400) = .02165; the quantiles of
// 10,000 means, which lie on multiples of 1/400, are within 0.004 of mean -+ 1.96 se.
TEST(Estimate, PercentilesOfADifferenceAreTheBootstrapsQuantiles) {
  std::vector<double> a(400), b(400);
  for (size_t i = 0; i < 400; i += 4) a[i] = 1;
  const Estimate estimate = percentile_difference(of(a), of(b));
  EXPECT_EQ(estimate.method, "percentile");
  EXPECT_DOUBLE_EQ(estimate.mean, 0.25);
  EXPECT_NEAR(estimate.ci.low, 0.25 - 1.96 * 0.02165, 0.004);
  EXPECT_NEAR(estimate.ci.high, 0.25 + 1.96 * 0.02165, 0.004);
}

TEST(Estimate, WherePercentilesHaveNoWidthTheBoundsStandIn) {
  EXPECT_EQ(percentile_difference(of({1, 1, 0}), of({0, 0, 0})).method, "score_bound");
  const Estimate equal = percentile_difference(of({1, 0, 1, 0, 1, 0}), of({1, 0, 1, 0, 1, 0}));
  EXPECT_EQ(equal.method, "equal_bound");
  EXPECT_LT(equal.ci.low, 0);
  EXPECT_GT(equal.ci.high, 0);
}

TEST(Estimate, RefusesSidesOfDifferentShape) {
  EXPECT_THROW(estimate_difference(of({1}), of({1, 0})), InputError);
  EXPECT_THROW(estimate_difference({{1, 0}}, {{1}}), InputError);
}

TEST(Estimate, RefusesValuesOutsideTheirBounds) {
  EXPECT_THROW(estimate_mean(of({0.5, 1.5})), InputError);
  EXPECT_NO_THROW(estimate_mean(of({0.5, 1.5}), {}, {-1, 2}));
}

TEST(Estimate, RefusesTooFewResamplesAndAConfidenceOfOne) {
  EXPECT_THROW(estimate_mean(of({1}), {.resamples = 999}), InputError);
  EXPECT_THROW(estimate_mean(of({1}), {.confidence = 1}), InputError);
}

}  // namespace
}  // namespace weft
