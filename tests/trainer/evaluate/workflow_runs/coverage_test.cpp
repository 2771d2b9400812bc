#include "trainer/evaluate/workflow_runs/coverage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/trainer/evaluate/workflow_runs/made_scores.h"

namespace weft {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;

// Of {0, 0, 1} two without repetition: 1 is among them in 2 of 3 draws.
TEST(Coverage, ExpectedBestOfRunsIsPassAtK) {
  EXPECT_NEAR(expected_best_of({0, 1, 0}, 1), 1.0 / 3, 1e-12);
  EXPECT_NEAR(expected_best_of({0, 1, 0}, 2), 2.0 / 3, 1e-12);
  EXPECT_NEAR(expected_best_of({0, 1, 0}, 3), 1, 1e-12);
  // {.2, .5, .8}, k = 2: .8 in two of the three pairs, .5 in one.
  EXPECT_NEAR(expected_best_of({0.5, 0.2, 0.8}, 2), (2 * 0.8 + 0.5) / 3, 1e-12);
  EXPECT_NEAR(expected_best_of({0.4, 0.4}, 2), 0.4, 1e-12);
}

// Workflow 1 is the best (3/4), workflow 0 solves query 1 half the time, workflow 2 nothing.
TEST(Coverage, CountsSeveralWorkflowsOnceAndTheBestOneOften) {
  const RunScores scores =
      test::given_scores({{{0, 1}, {0, 0}}, {{1, 1}, {1, 0}}, {{0, 0}, {0, 0}}});
  const Coverage found =
      estimate_coverage(scores, test::one_dollar_each(scores), Ranking::kAllQueries);
  ASSERT_EQ(found.top.size(), 3u);
  ASSERT_EQ(found.repeated.size(), 2u);
  EXPECT_THAT(found.top[0], ElementsAre(1, 0.5));
  EXPECT_EQ(found.top[0], found.repeated[0]);
  EXPECT_THAT(found.top[1], ElementsAre(1, DoubleNear(0.75, 1e-12)));  // 1 - 1/2 x 1/2
  EXPECT_THAT(found.top[2], ElementsAre(1, DoubleNear(0.75, 1e-12)));
  EXPECT_THAT(found.repeated[1], ElementsAre(1, 1));
  EXPECT_EQ(found.all, found.top[2]);
}

// Runs of different workflows are independent: {0, .5} and {.2, .4} give max .2, .4, .5, .5.
TEST(Coverage, OfFractionsIsTheExpectedBestScore) {
  const RunScores scores = test::given_scores({{{0}, {0.5}}, {{0.2}, {0.4}}});
  const Coverage found =
      estimate_coverage(scores, test::one_dollar_each(scores), Ranking::kAllQueries);
  EXPECT_NEAR(found.top[1][0], (0.2 + 0.4 + 0.5 + 0.5) / 4, 1e-12);
}

// Workflow 0 leads by query 0 alone: without it, workflow 1 is the best one there.
TEST(Coverage, RankingByOtherQueriesDoesNotSeeTheScoredOne) {
  const RunScores scores = test::given_scores({{{1, 0, 0.5}}, {{0, 0.6, 0.5}}});
  const auto usd = test::one_dollar_each(scores);
  EXPECT_EQ(estimate_coverage(scores, usd, Ranking::kAllQueries).top[0][0], 1);
  EXPECT_EQ(estimate_coverage(scores, usd, Ranking::kOtherQueries).top[0][0], 0);
}

TEST(Coverage, TakesAtMostFiveExecutions) {
  const RunScores scores(7, 6, 2);
  const Coverage found =
      estimate_coverage(scores, test::one_dollar_each(scores), Ranking::kAllQueries);
  EXPECT_EQ(found.top.size(), kCoverageExecutions);
  EXPECT_EQ(found.repeated.size(), kCoverageExecutions);
}

// Repetition alone: equal workflows cover as much together as one of them repeated.
TEST(Coverage, OfEqualWorkflowsIsRepetition) {
  Rng rng(0, 6);
  const RunScores scores =
      test::drawn_scores(5, 400, 40, rng, [](size_t, size_t q) { return q % 2 ? 0.4 : 0.1; });
  const Coverage found =
      estimate_coverage(scores, test::one_dollar_each(scores), Ranking::kAllQueries);
  double several = 0, repeated = 0;
  for (size_t q = 0; q < 40; ++q) {
    several += found.top[4][q] / 40;
    repeated += found.repeated[4][q] / 40;
  }
  // 1 - .6^5 and 1 - .9^5 on half of the queries each.
  EXPECT_NEAR(several, (0.92224 + 0.40951) / 2, 0.01);
  EXPECT_NEAR(several, repeated, 0.01);
}

}  // namespace
}  // namespace weft
