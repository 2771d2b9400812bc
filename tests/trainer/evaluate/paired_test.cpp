#include "trainer/evaluate/paired.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/trainer/evaluate/paired_scores.h"

namespace weft {
namespace {

using ::testing::HasSubstr;

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

/// 0/1 scores of two methods with these counts of (1,1), (1,0), (0,1) and (0,0).
Json compare_counts(int both, int only_a, int only_b, int neither) {
  const auto scores = test::paired_scores(both, only_a, only_b, neither);
  return compare_scores(scores.a, scores.b, {});
}

// scipy 1.17.1, binomtest(min(b, c), b + c, 0.5).pvalue; statsmodels 0.15.0, mcnemar(exact=True),
// gives the same.
TEST(McNemar, GivesTheExactBinomialP) {
  EXPECT_NEAR(mcnemar_exact_p({3, 10}), 0.09228515625, 1e-12);
  EXPECT_NEAR(mcnemar_exact_p({12, 2}), 0.012939453125, 1e-12);
  EXPECT_NEAR(mcnemar_exact_p({20, 45}), 0.0026263768106840374, 1e-12);
  EXPECT_NEAR(mcnemar_exact_p({0, 8}), 0.0078125, 1e-12);
  EXPECT_NEAR(mcnemar_exact_p({400, 500}), 0.0009564441369189373, 1e-11);
}

TEST(McNemar, IsOneWhereNothingSpeaksAgainstEqualShares) {
  for (const Discordance counts : {Discordance{0, 0}, {1, 0}, {5, 5}}) {
    EXPECT_DOUBLE_EQ(mcnemar_exact_p(counts), 1);
  }
}

TEST(EffectSize, IsTheShareOfDiscordantTasksAboveAHalf) {
  EXPECT_DOUBLE_EQ(cohens_g({9, 3}), 0.25);
  EXPECT_DOUBLE_EQ(cohens_g({0, 4}), -0.5);
  EXPECT_TRUE(std::isnan(cohens_g({0, 0})));
}

// numpy: d.mean() / d.std(ddof=1).
TEST(EffectSize, IsTheMeanOverTheDeviationOfOtherScores) {
  const std::vector<double> d = {.5, -.25, 0, 1, .25, .5, 0, -.5};
  EXPECT_NEAR(cohens_dz(d), 0.39295262399668784, 1e-12);
  EXPECT_TRUE(std::isnan(cohens_dz(std::vector<double>{0.1, 0.1, 0.1})));
  EXPECT_TRUE(std::isnan(cohens_dz(std::vector<double>{1})));
}

// scipy 1.17.1, brentq of Connor's equation with psi = max(discordance, d).
TEST(Power, SolvesConnorsEquationForTheDifference) {
  EXPECT_NEAR(detectable_share_difference(56, 0.25), 0.18327486979168678, 1e-9);
  EXPECT_NEAR(detectable_share_difference(164, 0.2), 0.09713397134807274, 1e-9);
  EXPECT_NEAR(detectable_share_difference(500, 0.3), 0.06846286209621352, 1e-9);
}

TEST(Power, TakesAtLeastAsManyDifferingTasksAsTheDifferenceNeeds) {
  EXPECT_NEAR(detectable_share_difference(56, 0), 0.13435871158863902, 1e-9);
  EXPECT_NEAR(detectable_share_difference(60, 0.05), 0.12575657340820276, 1e-9);
  EXPECT_LT(detectable_share_difference(4, 0.5), 1);
  EXPECT_TRUE(std::isnan(detectable_share_difference(3, 0.5)));
}

// scipy 1.17.1: (norm.ppf(0.975) + norm.ppf(0.8)) * 0.5 / sqrt(16).
TEST(Power, OfMeansComesFromTheDeviationOfTheDifferences) {
  EXPECT_NEAR(detectable_mean_difference(16, 0.5), 0.35019815226412104, 1e-12);
  EXPECT_TRUE(std::isnan(detectable_mean_difference(1, 0.5)));
  EXPECT_TRUE(std::isnan(detectable_mean_difference(8, 0)));
}

TEST(ComparedScores, OfZerosAndOnesHaveMcNemarsTest) {
  const Json json = compare_counts(20, 10, 3, 23);
  EXPECT_EQ(json["n"], 56);
  EXPECT_EQ(json["mcnemar"]["only_a"], 10);
  EXPECT_EQ(json["mcnemar"]["only_b"], 3);
  EXPECT_NEAR(json["mcnemar"]["p"].get<double>(), 0.09228515625, 1e-12);
  EXPECT_NEAR(json["effect"]["odds_ratio"].get<double>(), 10.0 / 3, 1e-12);
  EXPECT_EQ(json["ci_method"], "newcombe");
  EXPECT_THAT(json["power"].get<std::string>(),
              HasSubstr("n = 56 tasks cannot show a difference below 0.1"));
}

TEST(ComparedScores, OfSharesHaveNoTestForZerosAndOnes) {
  const std::vector<double> a = {1, 0.5, 0, 0.25, 1, 1, 0.5}, b = {0.5, 0.5, 0, 0, 1, 0.5, 0};
  const Json json = compare_scores(a, b, {});
  EXPECT_FALSE(json.contains("mcnemar"));
  EXPECT_GT(json["effect"]["cohens_dz"].get<double>(), 0);
  EXPECT_GT(json["detectable"].get<double>(), 0);
}

TEST(ComparedScores, LeaveOutTasksThatEitherLacks) {
  const Json json = compare_scores(std::vector<double>{1, 1, kMissing, 0.5},
                                   std::vector<double>{0, 1, 0, kMissing}, {});
  EXPECT_EQ(json["n"], 2);
  EXPECT_EQ(json["mcnemar"]["only_a"], 1);
}

TEST(ComparedScores, SayWhereNothingCanBeShown) {
  EXPECT_EQ(compare_counts(1, 1, 0, 0)["power"], "n = 2 tasks cannot show any difference");
  const Json equal =
      compare_scores(std::vector<double>{0.5, 0.5}, std::vector<double>{0.5, 0.5}, {});
  EXPECT_TRUE(equal["detectable"].is_null());
  EXPECT_THAT(equal["power"].get<std::string>(), HasSubstr("do not tell"));
  const Json none = compare_scores({}, {}, {});
  EXPECT_EQ(none["n"], 0);
  EXPECT_TRUE(none["detectable"].is_null());
}

}  // namespace
}  // namespace weft
