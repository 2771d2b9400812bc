#include "trainer/search/aflow.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace weft {
namespace {

const std::vector<double> kScores = {.50, .40, .25, .10};

auto near(double a, double b, double c, double d) {
  return testing::ElementsAre(testing::DoubleNear(a, 5e-7), testing::DoubleNear(b, 5e-7),
                              testing::DoubleNear(c, 5e-7), testing::DoubleNear(d, 5e-7));
}

TEST(Aflow, SelectsParentsAsItsCodeDoes) {
  EXPECT_THAT(aflow_selection_probabilities(kScores), near(.687740, .157925, .079129, .075206));
}

TEST(Aflow, SelectsParentsAsItsPaperPrints) {
  AflowOptions options;
  options.alpha = 0.4;
  options.lambda = 0.2;
  EXPECT_THAT(aflow_selection_probabilities(kScores, options),
              near(.835576, .064388, .050036, .050000));
  options.score_scale = 1;
  EXPECT_THAT(aflow_selection_probabilities(kScores, options),
              near(.265183, .256745, .244705, .233367));
}

TEST(Aflow, AlwaysKeepsTheFirstRoundAmongTheCandidates) {
  const std::vector<double> means = {.1, .3, .9, .5, .7};
  EXPECT_EQ(aflow_candidates(means, 4), (std::vector<size_t>{0, 2, 4, 3}));
  EXPECT_EQ(aflow_candidates(means, 9).size(), 5u);
}

TEST(Aflow, ConvergesAfterFiveRoundsWithoutChange) {
  std::vector<RoundScores> rounds = {{.2, 0}, {.4, 0}, {.6, 0}, {.5, 0}};
  for (int quiet = 0; quiet < 5; ++quiet) {
    EXPECT_FALSE(aflow_converged(rounds));
    rounds.push_back({.1, 0});
  }
  EXPECT_TRUE(aflow_converged(rounds));
  rounds.push_back({.9, 0});
  EXPECT_FALSE(aflow_converged(rounds));
}

TEST(Aflow, CountsChangesWithinTheBandAsNone) {
  std::vector<RoundScores> rounds = {{.50, .2}, {.50, .2}, {.50, .2}};
  for (int i = 1; i <= 5; ++i) rounds.push_back({.50 + .001 * i, .2});
  EXPECT_FALSE(aflow_converged(rounds));
  AflowOptions options;
  options.convergence_z = 1;
  EXPECT_TRUE(aflow_converged(rounds, options));
}

TEST(Aflow, RefusesImpossibleOptions) {
  EXPECT_THROW(load_config<AflowOptions>(Json{{"lambda", 1.5}}), InputError);
}

}  // namespace
}  // namespace weft
