#include "trainer/evaluate/workflow_runs/variance_components.h"

#include <gtest/gtest.h>

#include "tests/trainer/evaluate/workflow_runs/made_scores.h"

namespace weft {
namespace {

// W = Q = R = 2. Cell means (rows: workflows) 1, 1/2 / 0, 1/2: the grand mean is 1/2, rows 3/4 and
// 1/4, columns 1/2 and 1/2, so each |c| is 1/4. Runs: cells of mean 1/2 are {0, 1}, SS_e = 2 x 1/2.
//   MS_e = 1 / (2 x 2 x 1) = 1/4;  MS_i = 2 x 4/16 / 1 = 1/2;  interaction = (1/2 - 1/4) / 2 = 1/8
TEST(VarianceComponents, OfATableByHand) {
  const RunScores scores = test::given_scores({{{1, 1}, {1, 0}}, {{0, 0}, {0, 1}}});
  const VarianceComponents found = estimate_variance_components(scores);
  EXPECT_NEAR(found.noise.mean, 0.25, 1e-12);
  EXPECT_NEAR(found.interaction.mean, 0.125, 1e-12);
}

// Workflow and query add up, and runs agree: there is neither interaction nor noise.
TEST(VarianceComponents, OfSumsAreZero) {
  std::vector<std::vector<std::vector<double>>> rows(3);
  for (size_t w = 0; w < 3; ++w) {
    for (int r = 0; r < 3; ++r) {
      auto& row = rows[w].emplace_back();
      for (size_t q = 0; q < 5; ++q) row.push_back(0.1 * static_cast<double>(w + q));
    }
  }
  const VarianceComponents found = estimate_variance_components(test::given_scores(rows));
  EXPECT_NEAR(found.interaction.mean, 0, 1e-12);
  EXPECT_NEAR(found.noise.mean, 0, 1e-12);
}

// P(1) is 0.9 where w == q mod 2 and 0.3 else. Interaction: the expected cell effects are +-0.3,
// 0.09 on average, times W / (W - 1) = 2 (the components' own scale, with sum-to-zero effects of W
// = 2 workflows and many queries): 0.18. Noise: (0.09 + 0.21) / 2 = 0.15.
TEST(VarianceComponents, AreUnbiasedOverManySets) {
  double interaction = 0, noise = 0;
  int covered = 0;
  constexpr int kSets = 200;
  for (uint64_t seed = 0; seed < kSets; ++seed) {
    Rng rng(seed, 4);
    const RunScores scores = test::drawn_scores(
        2, 5, 60, rng, [](size_t w, size_t q) { return w == q % 2 ? 0.9 : 0.3; });
    BootstrapOptions bootstrap;
    bootstrap.resamples = 1000;
    const VarianceComponents found = estimate_variance_components(scores, bootstrap);
    interaction += found.interaction.mean / kSets;
    noise += found.noise.mean / kSets;
    covered += found.noise.ci.low <= 0.15 && 0.15 <= found.noise.ci.high;
  }
  EXPECT_NEAR(interaction, 0.18 * 60 / 59, 0.006);
  EXPECT_NEAR(noise, 0.15, 0.003);
  EXPECT_GE(covered, 180);  // 95 % nominal; below 180 of 200 has probability 0.1 %
}

// Negative control: equal workflows. An interval above 0 is a false alarm, 2.5 % expected; above 12
// of 200 has probability 0.2 %.
TEST(VarianceComponents, WithoutInteractionItsIntervalHoldsZero) {
  int above = 0;
  double sum = 0;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Rng rng(seed, 5);
    std::vector<double> difficulty(60);
    for (double& d : difficulty) d = rng.uniform();
    const RunScores scores =
        test::drawn_scores(8, 5, 60, rng, [&](size_t, size_t q) { return difficulty[q]; });
    BootstrapOptions bootstrap;
    bootstrap.resamples = 1000;
    const Estimate interaction = estimate_variance_components(scores, bootstrap).interaction;
    above += interaction.ci.low > 0;
    sum += interaction.mean / 200;
  }
  EXPECT_LE(above, 12);
  EXPECT_NEAR(sum, 0, 0.001);
}

}  // namespace
}  // namespace weft
