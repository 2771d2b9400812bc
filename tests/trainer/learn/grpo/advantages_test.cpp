#include "trainer/learn/grpo/advantages.h"

#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>

namespace weft {
namespace {

std::vector<double> advantages(std::vector<double> rewards, AdvantageKind kind,
                               bool population = false) {
  const std::vector<uint64_t> group(rewards.size(), 7);
  return group_advantages(rewards, group, kind, population).values;
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
  for (const auto kind : {AdvantageKind::kNormalized, AdvantageKind::kCentered,
                          AdvantageKind::kLeaveOneOut, AdvantageKind::kWhitened}) {
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

// Centred rewards are 1, -1 in one group and 3, 0, -3 in the other: sum of squares 20 over 5.
TEST(GroupAdvantages, WhitenedDivideByTheDeviationOfTheCentredBatch) {
  const std::vector<double> rewards = {2, 0, 13, 10, 7};
  const std::vector<uint64_t> group = {1, 1, 2, 2, 2};
  const double sample = std::sqrt(20.0 / 4), population = std::sqrt(20.0 / 5);
  expect_near(group_advantages(rewards, group, AdvantageKind::kWhitened).values,
              {1 / sample, -1 / sample, 3 / sample, 0, -3 / sample});
  expect_near(group_advantages(rewards, group, AdvantageKind::kWhitened, true).values,
              {1 / population, -1 / population, 3 / population, 0, -3 / population});
}

TEST(GroupAdvantages, OfNoRewardsAreNone) {
  for (const auto kind : {AdvantageKind::kNormalized, AdvantageKind::kWhitened}) {
    const auto none = group_advantages({}, {}, kind);
    EXPECT_TRUE(none.values.empty());
    EXPECT_EQ(none.num_groups, 0);
  }
}

TEST(EqualGroups, AreThoseWithoutADifference) {
  const std::vector<double> rewards = {.3, 1, .3, .9, 0};
  const std::vector<uint64_t> group = {1, 3, 1, 2, 3};
  EXPECT_EQ(equal_groups(rewards, group), (std::set<uint64_t>{1, 2}));
  EXPECT_TRUE(equal_groups({}, {}).empty());
}

// The paper's lengths: 20,480 tokens at most, of which the last 4,096 are the buffer.
TEST(OverlongPenalty, FallsInALineThroughTheBuffer) {
  const auto at = [](int64_t n) { return overlong_penalty(n, 20480, 4096, 1); };
  EXPECT_EQ(at(100), 0);
  EXPECT_EQ(at(16384), 0);
  EXPECT_EQ(at(17408), -.25);
  EXPECT_EQ(at(18432), -.5);
  EXPECT_EQ(at(20480), -1);
  EXPECT_EQ(at(30000), -1);
  EXPECT_EQ(overlong_penalty(18432, 20480, 4096, .5), -.25);
}

}  // namespace
}  // namespace weft
