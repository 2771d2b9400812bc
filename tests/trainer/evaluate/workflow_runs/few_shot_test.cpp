#include "trainer/evaluate/workflow_runs/few_shot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/input_error.h"
#include "tests/trainer/evaluate/workflow_runs/made_scores.h"

namespace weft {
namespace {

using ::testing::ElementsAre;

TEST(FewShot, BinsGetTheirShareByLargestRemainders) {
  EXPECT_THAT(allocate_to_bins({50, 30, 20}, 10), ElementsAre(5, 3, 2));
  EXPECT_THAT(allocate_to_bins({10, 0, 90}, 5), ElementsAre(1, 0, 4));  // 0.5, 0, 4.5
  EXPECT_THAT(allocate_to_bins({90, 5, 5}, 3), ElementsAre(1, 1, 1));   // at least one each
  EXPECT_THAT(allocate_to_bins({90, 5, 5}, 2), ElementsAre(2, 0, 0));   // too few for that
  EXPECT_THAT(allocate_to_bins({3, 2}, 5), ElementsAre(3, 2));
  EXPECT_THAT(allocate_to_bins({2, 2, 2}, 4), ElementsAre(2, 1, 1));
}

TEST(FewShot, PearsonOfALineIsOneAndOfAConstantUndefined) {
  EXPECT_NEAR(pearson({1, 2, 3}, {2, 4, 6}), 1, 1e-12);
  EXPECT_NEAR(pearson({1, 2, 3}, {3, 2, 1}), -1, 1e-12);
  EXPECT_NEAR(pearson({0, 0, 1, 1}, {0, 1, 0, 1}), 0, 1e-12);
  EXPECT_TRUE(std::isnan(pearson({1, 1, 1}, {1, 2, 3})));
}

// Every query of a workflow scores the same in every run: one query says all.
TEST(FewShot, OfConstantWorkflowsIsExact) {
  RunScores scores(6, 3, 50);
  for (size_t w = 0; w < 6; ++w) {
    for (size_t r = 0; r < 3; ++r) {
      for (size_t q = 0; q < 50; ++q) scores.at(w, r, q) = 0.1 * static_cast<double>(w);
    }
  }
  FewShotOptions options;
  options.warm_up = 2;
  const FewShotQuality found = evaluate_few_shot(scores, options);
  EXPECT_EQ(found.num_queries, 2u);  // round(0.03 x 50)
  EXPECT_EQ(found.num_workflows, 4u);
  EXPECT_NEAR(found.pearson.mean, 1, 1e-12);
  EXPECT_NEAR(found.mae.mean, 0, 1e-12);
  EXPECT_NEAR(found.saved, 1 - 2.0 / 50, 1e-12);
  EXPECT_NEAR(found.saved_overall, (1 - 2.0 / 50) * 4 / 6, 1e-12);
}

// Score = workflow + query: the drawn queries' difficulty is known from the warm-up, so that the
// calibrated estimate is exact and the raw one is not.
TEST(FewShot, CalibrationTakesTheDrawnQueriesDifficultyAway) {
  RunScores scores(8, 2, 40);
  for (size_t w = 0; w < 8; ++w) {
    for (size_t r = 0; r < 2; ++r) {
      for (size_t q = 0; q < 40; ++q) {
        scores.at(w, r, q) = 0.3 + 0.03 * static_cast<double>(w) + 0.01 * static_cast<double>(q);
      }
    }
  }
  FewShotOptions options;
  options.bins = 1;
  const FewShotQuality found = evaluate_few_shot(scores, options);
  EXPECT_NEAR(found.mae.mean, 0, 1e-9);
  EXPECT_GT(found.raw_mae.mean, 0.05);
  EXPECT_NEAR(found.pearson.mean, 1, 1e-9);
}

// A bin of two among forty has its one query all the same, which must not count as much as the
// rest: 38 queries score 1 and two score 0 for every workflow, two are drawn, one of each kind. The
// raw mean says 1/2, the truth is 0.95.
TEST(FewShot, ASmallBinCountsByItsSize) {
  RunScores scores(8, 2, 40);
  for (size_t w = 0; w < 8; ++w) {
    for (size_t r = 0; r < 2; ++r) {
      for (size_t q = 0; q < 38; ++q) scores.at(w, r, q) = 1;
    }
  }
  FewShotOptions options;
  options.fraction = 0.05;
  const FewShotQuality found = evaluate_few_shot(scores, options);
  EXPECT_EQ(found.num_queries, 2u);
  EXPECT_NEAR(found.mae.mean, 0, 1e-12);
  EXPECT_NEAR(found.raw_mae.mean, 0.45, 1e-12);
}

// No score stands on both sides: of pure noise the correlation is 0 on average although D may be
// all queries. 200 draws of 20 workflows on one table: its own correlation of a run with the other
// runs has a standard error of about 1 / sqrt(19), and draws share the table.
TEST(FewShot, DoesNotCorrelateWithItself) {
  double sum = 0;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Rng rng(seed, 7);
    const RunScores scores = test::drawn_scores(25, 5, 40, rng, [](size_t, size_t) { return 0.5; });
    FewShotOptions options;
    options.fraction = 1;
    options.seeds = 20;
    sum += evaluate_few_shot(scores, options).pearson.mean / 20;
  }
  // Leaving the run out tilts it downwards by about 1 / (workflows - 1); 20 tables: se about 0.05.
  EXPECT_LT(sum, 0.1);
  EXPECT_GT(sum, -0.25);
}

TEST(FewShot, UndefinedCorrelationsAreLeftOutAndCounted) {
  RunScores scores(8, 1, 10);
  for (size_t w = 0; w < 8; ++w) scores.at(w, 0, 0) = w % 2 ? 1 : 0;
  FewShotOptions options;
  options.fraction = 0.1;
  const FewShotQuality found = evaluate_few_shot(scores, options);
  EXPECT_EQ(found.mae.n, 200);
  EXPECT_LT(found.pearson.n, 200);
}

TEST(FewShot, SameSeedSameNumbers) {
  Rng rng(1, 8);
  const RunScores scores = test::drawn_scores(
      9, 3, 30, rng, [](size_t w, size_t) { return 0.1 * static_cast<double>(w); });
  FewShotOptions options;
  const double first = evaluate_few_shot(scores, options).mae.mean;
  EXPECT_EQ(evaluate_few_shot(scores, options).mae.mean, first);
  options.seed = 1;
  EXPECT_NE(evaluate_few_shot(scores, options).mae.mean, first);
}

TEST(FewShot, OptionsAreChecked) {
  FewShotOptions options;
  options.fraction = 0;
  EXPECT_NE(test::input_error([&] { options.validate(); }).find("fraction"), std::string::npos);
  options = {};
  options.seeds = 1;
  EXPECT_NE(test::input_error([&] { options.validate(); }).find("seeds"), std::string::npos);
}

}  // namespace
}  // namespace weft
