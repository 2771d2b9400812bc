#include "trainer/learn/grpo/mismatch.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"

namespace weft {
namespace {

using Row = std::vector<float>;

Row logs(const std::vector<double>& values) {
  Row result;
  for (const double x : values) result.push_back(static_cast<float>(std::log(x)));
  return result;
}

// d = 0.1 and -0.3: mean 0.2, max 0.3, k3 = mean of exp(d) - d - 1.
TEST(Mismatch, CollectsMeanMaxAndK3) {
  Mismatch m;
  m.add(Row{-.9f, -1.3f}, Row{-1, -1});
  EXPECT_NEAR(m.mean(), .2, 1e-6);
  EXPECT_NEAR(m.max, .3, 1e-6);
  EXPECT_NEAR(m.k3(), (std::exp(.1) - 1.1 + std::exp(-.3) + .3 - 1) / 2, 1e-6);
}

CorrectionOptions options(double cap, double low, double high) {
  CorrectionOptions result;
  result.token_cap = cap;
  result.reject_low = low;
  result.reject_high = high;
  return result;
}

// Ratios 1, 0.5, 4 and 2: the third is held at 2.5.
TEST(Correction, HoldsTheWeightOfATokenAtTheCap) {
  RatioStatistics s;
  const Correction c =
      correct(logs({.2, .1, .8, .4}), logs({.2, .2, .2, .2}), options(2.5, 0, 0), s);
  ASSERT_EQ(c.weights.size(), 4u);
  EXPECT_EQ(c.weights[0], 1.0f);
  EXPECT_NEAR(c.weights[1], .5, 1e-6);
  EXPECT_EQ(c.weights[2], 2.5f);
  EXPECT_NEAR(c.weights[3], 2, 1e-6);
  EXPECT_FALSE(c.rejected);
  EXPECT_EQ(s.truncated_tokens, 1);
  EXPECT_NEAR(s.mean(), 7.5 / 4, 1e-6);
  EXPECT_NEAR(s.min, .5, 1e-6);
  EXPECT_NEAR(s.max, 4, 1e-6);
  EXPECT_NEAR(s.effective_share(), 7.5 * 7.5 / (4 * (1 + .25 + 16 + 4)), 1e-6);
}

// The geometric means are 1.2, 1 and 0.8.
TEST(Correction, RejectsAResponseByItsGeometricMean) {
  const Row recorded = logs({.1, .1});
  const struct {
    std::vector<double> old;
    bool below, above;
  } cases[] = {{{.24, .06}, false, true}, {{.2, .05}, false, false}, {{.16, .04}, true, false}};
  for (const auto& c : cases) {
    RatioStatistics s;
    EXPECT_EQ(correct(logs(c.old), recorded, options(0, .9, 0), s).rejected, c.below);
    EXPECT_EQ(correct(logs(c.old), recorded, options(0, 0, 1.1), s).rejected, c.above);
    EXPECT_EQ(correct(logs(c.old), recorded, options(0, .9, 1.1), s).weights, (Row{1, 1}));
    EXPECT_EQ(s.num_sequences, 3);
    EXPECT_EQ(s.rejected_sequences, c.below || c.above ? 2 : 0);
  }
}

TEST(Correction, IsExactlyOneWhereBothAgree) {
  RatioStatistics s;
  const Row logp = logs({.3, 1e-9, .99});
  const Correction c = correct(logp, logp, options(1, .999, 1.001), s);
  EXPECT_EQ(c.weights, (Row{1, 1, 1}));
  EXPECT_FALSE(c.rejected);
  EXPECT_EQ(s.mean(), 1);
  EXPECT_EQ(s.effective_share(), 1);
  EXPECT_EQ(s.truncated_tokens, 0);
}

TEST(Correction, NamesTheBoundThatIsOutOfRange) {
  for (const auto& bad :
       {options(.5, 0, 0), options(0, 1.5, 0), options(0, 0, .5), options(std::nan(""), 0, 0)}) {
    EXPECT_THROW(bad.validate(), InputError);
  }
  EXPECT_FALSE(options(0, 0, 0).enabled());
  EXPECT_NO_THROW(options(2, .999, 1.001).validate());
}

}  // namespace
}  // namespace weft
