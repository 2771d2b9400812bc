#include "trainer/learn/grpo/policy_loss.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

#include "tests/support/input_error.h"

namespace weft {
namespace {

using Row = std::vector<float>;

struct Terms {
  Row coefficients;
  PolicySums sums;
};

Terms terms(const Row& logp, const Row& behaviour, const Row& advantage, const Row& weight,
            PolicyLossOptions options = {}, const Row& reference = {}) {
  Terms result;
  result.coefficients.resize(logp.size());
  policy_coefficients({logp, behaviour, reference, advantage, weight}, options, result.coefficients,
                      &result.sums);
  return result;
}

// Ratios are 1.5 and 0.9 with A = 2. The first is held at 1.28, so it gets no gradient; the second
// gets -r A / num_tokens = -0.9 * 2 / 2. Loss: -(1.28 * 2 + 0.9 * 2) / 2.
TEST(PolicyLoss, GivesNoGradientToATokenHeldAtTheUpperBound) {
  const auto t = terms({std::log(1.5f), std::log(0.9f)}, {0, 0}, {2, 2}, {.5f, .5f});
  EXPECT_EQ(t.coefficients[0], 0.0f);
  EXPECT_NEAR(t.coefficients[1], -0.9f, 1e-6f);
  EXPECT_NEAR(t.sums.loss, -2.18, 1e-6);
  EXPECT_EQ(t.sums.clipped_high, 1);
  EXPECT_EQ(t.sums.clipped_low, 0);
}

// Ratios 0.7 and 1.5 with A = -1: the first is held at 0.8; the second is not bounded above.
TEST(PolicyLoss, HoldsANegativeAdvantageAtTheLowerBoundOnly) {
  const auto t = terms({std::log(.7f), std::log(1.5f)}, {0, 0}, {-1, -1}, {1, 1});
  EXPECT_EQ(t.coefficients[0], 0.0f);
  EXPECT_NEAR(t.coefficients[1], 1.5f, 1e-6f);
  EXPECT_NEAR(t.sums.loss, .8 + 1.5, 1e-6);
  EXPECT_EQ(t.sums.clipped_low, 1);
}

TEST(PolicyLoss, DualClipBoundsTheLossOfANegativeAdvantage) {
  PolicyLossOptions options;
  options.dual_clip = 3;
  const auto t = terms({std::log(5.0f), std::log(2.0f)}, {0, 0}, {-1, -1}, {1, 1}, options);
  EXPECT_EQ(t.coefficients[0], 0.0f);
  EXPECT_NEAR(t.coefficients[1], 2.0f, 1e-6f);
  EXPECT_NEAR(t.sums.loss, 3 + 2, 1e-6);
}

TEST(PolicyLoss, IsMinusTheAdvantageWhereTheRatioIsExactlyOne) {
  const auto t = terms({-1.5f, -.25f}, {-1.5f, -.25f}, {2, -3}, {.25f, .25f});
  EXPECT_EQ(t.coefficients[0], -.5f);
  EXPECT_EQ(t.coefficients[1], .75f);
  EXPECT_EQ(t.sums.ratio_max, 1.0);
}

TEST(PolicyLoss, ImportanceMultipliesTheSurrogateAndNotTheKl) {
  PolicyLossOptions options;
  options.kl_coefficient = .5;
  options.kl = KlKind::kK2;
  const Row logp = {-1}, behaviour = {-1}, reference = {-1.5f}, importance = {.25f};
  Row out(1);
  PolicySums sums;
  policy_coefficients({logp, behaviour, reference, Row{2}, Row{1}, {}, importance}, options, out,
                      &sums);
  EXPECT_NEAR(out[0], .25 * -2 + .5 * .5, 1e-6);
  EXPECT_NEAR(sums.loss, .25 * -2 + .5 * .125, 1e-6);
}

TEST(PolicyLoss, TokenWeightsSumToOneForBothMeans) {
  const std::array<int64_t, 3> lengths = {2, 5, 13};
  const BatchSize batch{3, 20, 10};
  for (const auto mean : {TokenMean::kPerBatch, TokenMean::kPerSequence}) {
    double sum = 0;
    for (const int64_t n : lengths) sum += static_cast<double>(n) * token_weight(mean, n, batch);
    EXPECT_NEAR(sum, 1, 1e-12);
  }
  EXPECT_DOUBLE_EQ(token_weight(TokenMean::kPerSequence, 2, batch), 1.0 / 6);
  EXPECT_DOUBLE_EQ(token_weight(TokenMean::kPerBatch, 2, batch), 1.0 / 20);
}

// Dr.GRPO: whatever a response's length, its tokens weigh 1 / (B L).
TEST(PolicyLoss, AConstantLengthStandsForAllInTheConstantMean) {
  for (const int64_t length : {1, 2, 13}) {
    EXPECT_DOUBLE_EQ(token_weight(TokenMean::kConstant, length, {3, 20, 10}), 1.0 / 30);
  }
  EXPECT_DOUBLE_EQ(token_weight(TokenMean::kConstant, 5, {3, 20, 1}), 1.0 / 3);
  EXPECT_THROW(token_weight(TokenMean::kConstant, 5, {3, 20, 0}), std::invalid_argument);
}

// Ratios 1.5, 0.5 and 1 between bounds of 0.8 and 1.28: weights 1.28, 0.8 and 1, whatever the sign.
TEST(PolicyLoss, CispoKeepsAGradientAtItsBounds) {
  PolicyLossOptions options;
  options.surrogate = Surrogate::kCispo;
  const Row logp = {-1, -2, -.5f};
  const Row behaviour = {-1 - std::log(1.5f), -2 - std::log(.5f), -.5f};
  const auto t = terms(logp, behaviour, {2, 1, -1}, {.5f, .5f, .5f}, options);
  EXPECT_NEAR(t.coefficients[0], -.5 * 1.28 * 2, 1e-6);
  EXPECT_NEAR(t.coefficients[1], -.5 * .8, 1e-6);
  EXPECT_NEAR(t.coefficients[2], .5, 1e-6);
  EXPECT_NEAR(t.sums.loss, .5 * (1.28 * 2 + .8 * 2 - .5), 1e-6);
  EXPECT_EQ(t.sums.clipped_high, 1);
  EXPECT_EQ(t.sums.clipped_low, 1);
}

TEST(PolicyLoss, CispoWithoutALowerBoundTakesTheRatioItself) {
  PolicyLossOptions options;
  options.surrogate = Surrogate::kCispo;
  options.clip_low = 1;
  options.clip_high = 4;
  const auto t = terms({std::log(.01f), std::log(7.0f)}, {0, 0}, {1, 1}, {1, 1}, options);
  EXPECT_NEAR(t.coefficients[0], -.01, 1e-7);
  EXPECT_NEAR(t.coefficients[1], -5, 1e-6);
  EXPECT_EQ(t.sums.clipped_low, 0);
}

/// Responses of two and three tokens.
constexpr std::array<size_t, 3> kBounds = {0, 2, 5};

Row log_ratios_of_responses(const Row& logp, const Row& behaviour) {
  Row result;
  for (size_t i = 0; i + 1 < kBounds.size(); ++i) {
    const size_t begin = kBounds[i], n = kBounds[i + 1] - begin;
    const double log_ratio = sequence_log_ratio(std::span(logp).subspan(begin, n),
                                                std::span(behaviour).subspan(begin, n));
    result.insert(result.end(), n, static_cast<float>(log_ratio));
  }
  return result;
}

// Means of the log ratios: 0.3, above log 1.28, and -0.1. The first response has a token of ratio 1
// and one beyond the bound; the second one beyond either bound.
TEST(PolicyLoss, AtTheLevelOfTheSequenceTheWholeResponseIsHeld) {
  PolicyLossOptions options;
  options.ratio = RatioLevel::kSequence;
  options.mean = TokenMean::kPerSequence;
  const Row behaviour = {-1, -1, -1, -1, -1}, logp = {-1, -.4f, -.5f, -1.8f, -1};
  const Row advantage = {1, 1, 2, 2, 2}, weight = {.25f, .25f, 1.f / 6, 1.f / 6, 1.f / 6};
  const Row ratios = log_ratios_of_responses(logp, behaviour);
  Row out(5);
  PolicySums sums;
  policy_coefficients({logp, behaviour, {}, advantage, weight, ratios}, options, out, &sums);
  const double s = std::exp(-.1);
  EXPECT_EQ(out[0], 0.0f);
  EXPECT_EQ(out[1], 0.0f);
  for (size_t i = 2; i < 5; ++i) EXPECT_NEAR(out[i], -s * 2 / 6, 1e-6);
  EXPECT_NEAR(sums.loss, -(1.28 * 1 + s * 2) / 2, 1e-6);
  EXPECT_EQ(sums.clipped_high, 2);
  EXPECT_NEAR(sums.ratio_max, std::exp(.3), 1e-6);
}

struct LossCase {
  PolicyLossOptions options;
  std::string name;
};

std::vector<LossCase> loss_cases() {
  std::vector<LossCase> cases;
  for (const auto surrogate : {Surrogate::kClip, Surrogate::kCispo}) {
    for (const auto level : {RatioLevel::kToken, RatioLevel::kSequence}) {
      for (const auto kl : {KlKind::kK2, KlKind::kK3}) {
        for (const bool importance : {false, true}) {
          LossCase c;
          c.options.surrogate = surrogate;
          c.options.ratio = level;
          c.options.kl = kl;
          c.options.kl_importance = importance;
          c.options.kl_coefficient = .3;
          if (surrogate == Surrogate::kClip) c.options.dual_clip = 2.5;
          c.name = config_to_json(c.options).dump();
          cases.push_back(std::move(c));
        }
      }
    }
  }
  return cases;
}

struct Batch {
  Row behaviour = {-1, -1, -1, -1, -1}, reference = {-.5f, -2, -1.1f, -1, -.7f};
  Row advantage = {1, 1, -1, -1, -1}, weight = {.1f, .1f, .3f, .3f, .3f};
  Row importance = {.5f, .5f, 2, 2, 2};
  Row logp = {-1.1f, -.5f, -1.4f, -.9f, .2f};  // no ratio within 1e-3 of a bound

  /// Of tokens [begin, end); sums are added to.
  Row coefficients(const PolicyLossOptions& options, PolicySums& sums, size_t begin = 0,
                   size_t end = 5) const {
    const Row by_response = log_ratios_of_responses(logp, behaviour);
    const auto part = [&](const Row& all) { return std::span(all).subspan(begin, end - begin); };
    Row out(end - begin);
    PolicyTokens tokens{part(logp),   part(behaviour),   part(reference), part(advantage),
                        part(weight), part(by_response), part(importance)};
    policy_coefficients(tokens, options, out, &sums);
    return out;
  }
  double loss(const PolicyLossOptions& options) const {
    PolicySums sums;
    coefficients(options, sums);
    return sums.loss;
  }
};

// A step of logp; with CISPO, whose ratio is a constant, the behaviour goes along, and so must the
// ratio of the KL's importance, which is none here.
TEST(PolicyLoss, CoefficientsAreTheDerivativesOfTheLoss) {
  for (const auto& [options, name] : loss_cases()) {
    const bool cispo = options.surrogate == Surrogate::kCispo;
    if (cispo && options.kl_importance) continue;
    PolicySums ignored;
    const Row slopes = Batch().coefficients(options, ignored);
    for (size_t i = 0; i < slopes.size(); ++i) {
      Batch up, down;
      up.logp[i] += 1e-3f;
      down.logp[i] -= 1e-3f;
      if (cispo) {
        up.behaviour[i] += 1e-3f;
        down.behaviour[i] -= 1e-3f;
      }
      const double step = double{up.logp[i]} - double{down.logp[i]};
      EXPECT_NEAR(slopes[i], (up.loss(options) - down.loss(options)) / step, 5e-5)
          << name << " token " << i;
    }
  }
}

TEST(PolicyLoss, DoesNotDependOnHowABatchIsDivided) {
  for (const auto& [options, name] : loss_cases()) {
    const Batch batch;
    PolicySums whole, parts;
    const Row expected = batch.coefficients(options, whole);
    Row got;
    const std::array<size_t, 5> cuts = {0, 1, 2, 4, 5};  // within responses too
    for (size_t i = 0; i + 1 < cuts.size(); ++i) {
      const Row part = batch.coefficients(options, parts, cuts[i], cuts[i + 1]);
      got.insert(got.end(), part.begin(), part.end());
    }
    EXPECT_EQ(got, expected) << name;
    EXPECT_NEAR(parts.loss, whole.loss, 1e-12) << name;
    EXPECT_EQ(parts.clipped_low + parts.clipped_high, whole.clipped_low + whole.clipped_high);
    EXPECT_EQ(parts.ratio_max, whole.ratio_max);
  }
}

TEST(PolicyLoss, KlMatchesTheGoldenValuesOfK3) {
  PolicyLossOptions options;
  options.kl_coefficient = 1;
  const auto t = terms({-.2f, .2f}, {-.2f, .2f}, {0, 0}, {1, 1}, options, {0, 0});
  EXPECT_NEAR(t.sums.kl, .021403 + .018731, 1e-6);
}

TEST(PolicyLoss, RefusesALogpThatIsNotFinite) {
  const float nan = std::nanf("");
  EXPECT_THROW(terms({nan}, {0}, {1}, {1}), std::invalid_argument);
  EXPECT_THROW(terms({0}, {-std::numeric_limits<float>::infinity()}, {1}, {1}),
               std::invalid_argument);
  EXPECT_THROW(terms({0, 0}, {0}, {1}, {1}), std::invalid_argument);
}

std::string refusal(Json options) {
  return test::input_error([&] { load_config<PolicyLossOptions>(options); });
}

TEST(PolicyLoss, NamesTheOptionThatIsOutOfRangeOrContradictsAnother) {
  const struct {
    Json options;
    const char* expected;
  } cases[] = {
      {{{"clip_low", 1.5}}, "clip_low"},
      {{{"clip_low", 1}}, "clip_low"},
      {{{"clip_high", 0}}, "clip_high"},
      {{{"dual_clip", .5}}, "dual_clip"},
      {{{"dual_clip", 3}, {"surrogate", "cispo"}}, "dual_clip: has no meaning"},
      {{{"mean_tokens", 5}}, "mean_tokens: expected 0 unless mean = constant"},
      {{{"kl", "k1"}, {"kl_coefficient", .1}}, "k1 as a loss has the expected gradient 0"},
      {{{"kl_place", "reward"}, {"kl_coefficient", .1}}, "kl: k3+"},
      {{{"kl_place", "reward"}, {"kl_coefficient", .1}, {"kl", "k1"}, {"kl_importance", true}},
       "kl_importance"},
  };
  for (const auto& c : cases) {
    EXPECT_NE(refusal(c.options).find(c.expected), std::string::npos) << refusal(c.options);
  }
  EXPECT_NO_THROW(load_config<PolicyLossOptions>(
      {{"kl", "k1"}, {"kl_coefficient", 1}, {"kl_place", "reward"}}));
  EXPECT_NO_THROW(load_config<PolicyLossOptions>(
      {{"kl", "k1"}, {"kl_coefficient", 1}, {"kl_importance", true}}));
  EXPECT_NO_THROW(load_config<PolicyLossOptions>({{"surrogate", "cispo"}, {"clip_low", 1}}));
}

}  // namespace
}  // namespace weft
