// Whole updates by each method and option, against updates that differ in what they should.
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "tests/trainer/learn/grpo/policy_bench.h"
#include "trainer/learn/grpo/method.h"
#include "trainer/learn/grpo/policy_update.h"

namespace weft {
namespace {

using test::Bench;

constexpr int64_t kLongest = 14;  ///< completion of the bench's episodes

PolicyUpdateOptions method_options(PolicyMethod method) {
  PolicyUpdateOptions options;
  int64_t refill_rounds = 0;
  apply_method(method, options, refill_rounds);
  options.max_completion_tokens = kLongest;
  return options;
}

/// As if an older policy had sampled: no ratio is 1.
std::vector<Episode> off_policy(std::vector<Episode> episodes) {
  for (size_t i = 0; i < episodes.size(); ++i) {
    auto& logprobs = episodes[i].sampling_logprobs;
    for (size_t t = 0; t < logprobs.size(); ++t) {
      logprobs[t] += .07f * static_cast<float>((i + 3 * t) % 7) - .2f;
    }
  }
  return episodes;
}

/// The same adapter after both updates, to the bit.
void expect_same(const Bench& a, const Bench& b) {
  for (int64_t layer = 0; layer < a.model->config().num_layers; ++layer) {
    EXPECT_TRUE(a.lora->flat(layer).equal(b.lora->flat(layer))) << "layer " << layer;
  }
}

TEST(PolicyMethods, DoNotDependOnHowABatchIsDividedIntoMicrobatches) {
  LearnOptions small;
  small.tokens_per_microbatch = 48;
  small.loss_chunk_tokens = 5;
  for (const auto& [method, name] : enum_table(PolicyMethod{})) {
    Bench b, divided(/*tied_embeddings=*/true, small);
    PolicyUpdateOptions options = method_options(method);
    options.loss.kl_coefficient = .05;
    options.correction.token_cap = 1.1;
    const auto frozen = Transformer::random(test::tiny_config(), at::kFloat, 12, 0.2);
    const Reference reference{Reference::Kind::kModel, nullptr, frozen.get()};
    const auto episodes = off_policy(b.episodes());
    const auto whole = update_policy(b.learner, episodes, reference, 1e-2, options);
    const auto parts = update_policy(divided.learner, episodes, reference, 1e-2, options);
    ASSERT_EQ(whole.num_updates, 1) << name;
    ASSERT_GT(whole.grad_norm, 0) << name;
    EXPECT_NEAR(parts.sums.loss, whole.sums.loss, 1e-6 * (1 + std::abs(whole.sums.loss))) << name;
    EXPECT_NEAR(parts.grad_norm, whole.grad_norm, 1e-6 * whole.grad_norm) << name;
    EXPECT_EQ(parts.sums.clipped_high, whole.sums.clipped_high) << name;
  }
}

TEST(PolicyMethods, DoNotDependOnTheOrderOfRolloutsOrOnTheSharingOfPrompts) {
  LearnOptions repeated;
  repeated.share_prompts = false;
  for (const auto& [method, name] : enum_table(PolicyMethod{})) {
    Bench b, other(/*tied_embeddings=*/true, repeated);
    PolicyUpdateOptions options = method_options(method);
    options.loss.kl_coefficient = .05;
    auto episodes = off_policy(b.episodes());
    const auto expected = update_policy(b.learner, episodes, b.base, 1e-2, options);
    ASSERT_EQ(expected.num_updates, 1) << name;
    Rng(8).shuffle(episodes);
    const auto got = update_policy(other.learner, episodes, other.base, 1e-2, options);
    EXPECT_NEAR(got.sums.loss, expected.sums.loss, 1e-6 * (1 + std::abs(expected.sums.loss)))
        << name;
    EXPECT_NEAR(got.grad_norm, expected.grad_norm, 1e-6 * expected.grad_norm) << name;
  }
}

TEST(PolicyMethods, GspoIsTheMeanOverSequencesWhereTheRatioIsOne) {
  Bench b, twin;
  PolicyUpdateOptions by_token;
  by_token.loss.mean = TokenMean::kPerSequence;
  const auto got =
      update_policy(b.learner, b.episodes(), b.base, 1e-2, method_options(PolicyMethod::kGspo));
  update_policy(twin.learner, twin.episodes(), twin.base, 1e-2, by_token);
  EXPECT_EQ(got.sums.ratio_max, 1.0);
  EXPECT_EQ(got.mismatch.max, 0.0);
  expect_same(b, twin);
}

// Every token of a response is recorded 0.1 too low, so its ratio is exp(0.1): as loss
// -exp(0.1) A / 12 for each of the 12 responses with A < 0, -1.0004 A / 12 where it is held.
TEST(PolicyMethods, GspoHoldsWholeResponsesByTheirGeometricMean) {
  Bench b;
  auto episodes = b.episodes();
  for (Episode& e : episodes) {
    for (size_t t = 0; t < e.sampling_logprobs.size(); ++t) {
      const bool pair = t + 1 < e.sampling_logprobs.size() || t % 2 == 1;
      e.sampling_logprobs[t] -= pair ? (t % 2 == 0 ? .4f : -.2f) : .1f;
    }
  }
  const auto result =
      update_policy(b.learner, episodes, b.base, 1e-2, method_options(PolicyMethod::kGspo));
  int64_t better = 0;
  for (const Episode& e : episodes) {
    better += e.reward == 2 ? static_cast<int64_t>(e.completion_ids.size()) : 0;
  }
  EXPECT_NEAR(result.sums.loss, 4.0 / 12 * (std::exp(.1) - 1.0004), 1e-5);
  EXPECT_EQ(result.sums.clipped_high, better);
}

// At ratio 1 the loss is -sum of the advantages of all tokens / (12 L), with advantages -1, 0, 1.
TEST(PolicyMethods, DrGrpoDividesByTheConstantLength) {
  for (const int64_t length : {0, 100}) {
    Bench b;
    const auto episodes = b.episodes();
    PolicyUpdateOptions options = method_options(PolicyMethod::kDrGrpo);
    options.loss.mean_tokens = length;
    double sum = 0;
    for (const Episode& e : episodes) {
      sum += (e.reward - 1) * static_cast<double>(e.completion_ids.size());
    }
    const auto result = update_policy(b.learner, episodes, b.base, 1e-3, options);
    EXPECT_NEAR(result.sums.loss, -sum / (12.0 * (length == 0 ? kLongest : length)), 1e-6);
  }
}

TEST(PolicyMethods, TheKlInTheRewardIsThatOfTheWholeResponse) {
  Bench b, twin;
  const auto frozen = Transformer::random(test::tiny_config(), at::kFloat, 12, 0.2);
  const Reference reference{Reference::Kind::kModel, nullptr, frozen.get()};
  PolicyUpdateOptions options = method_options(PolicyMethod::kRloo);
  options.loss.kl_coefficient = .03;
  const auto episodes = b.episodes();
  auto shaped = episodes;
  for (Episode& e : shaped) {
    const std::vector<TrainSequence> alone = {{e.prompt_ids, e.completion_ids}};
    const auto logps = b.learner.logprobs_of(alone, *frozen);
    double kl = 0;
    for (size_t t = 0; t < logps[0].size(); ++t) {
      kl += double{e.sampling_logprobs[t]} - double{logps[0][t]};
    }
    e.reward -= .03 * kl;
  }
  const auto got = update_policy(b.learner, episodes, reference, 1e-2, options);
  options.loss.kl_coefficient = 0;
  const auto expected = update_policy(twin.learner, shaped, reference, 1e-2, options);
  EXPECT_GT(got.kl, .01);
  EXPECT_NEAR(got.sums.loss, expected.sums.loss, 1e-5 * std::abs(expected.sums.loss));
  EXPECT_NEAR(got.grad_norm, expected.grad_norm, 1e-5 * expected.grad_norm);
}

TEST(PolicyMethods, AKlNeedsAReference) {
  Bench b;
  PolicyUpdateOptions options;
  options.loss.kl_coefficient = .1;
  EXPECT_THROW(update_policy(b.learner, b.episodes(), {}, 1e-2, options), InputError);
}

TEST(PolicyMethods, OverlongShapingIsPartOfTheReward) {
  Bench b, twin;
  PolicyUpdateOptions options;
  options.max_completion_tokens = kLongest;
  options.overlong_share = .5;
  options.overlong_factor = 2;
  const auto episodes = b.episodes();
  auto shaped = episodes;
  double least = 0;
  for (Episode& e : shaped) {
    const auto length = static_cast<int64_t>(e.completion_ids.size());
    const double penalty = overlong_penalty(length, kLongest, kLongest / 2.0, 2);
    least = std::min(least, penalty);
    e.reward += penalty;
  }
  ASSERT_LT(least, 0) << "something must be long";
  update_policy(b.learner, episodes, b.base, 1e-2, options);
  update_policy(twin.learner, shaped, twin.base, 1e-2, {});
  expect_same(b, twin);
}

TEST(PolicyMethods, DroppedEqualGroupsCountInNoMean) {
  for (const double share : {0.0, 1.0}) {  // with shaping their rewards differ again
    Bench b, twin;
    PolicyUpdateOptions options;
    options.max_completion_tokens = kLongest;
    options.overlong_share = share;
    auto episodes = b.episodes();
    for (size_t i = 3; i < 6; ++i) episodes[i].reward = .5;
    auto without = episodes;
    without.erase(without.begin() + 3, without.begin() + 6);
    const auto expected = update_policy(twin.learner, without, twin.base, 1e-2, options);
    options.drop_equal_groups = true;
    const auto got = update_policy(b.learner, episodes, b.base, 1e-2, options);
    EXPECT_EQ(got.num_groups, 4);
    EXPECT_EQ(got.zero_std_groups, 1);
    EXPECT_EQ(got.sums.loss, expected.sums.loss);
    expect_same(b, twin);
  }
}

TEST(PolicyMethods, ABatchOfEqualGroupsOnlyIsSkipped) {
  Bench b;
  PolicyUpdateOptions options = method_options(PolicyMethod::kDapo);
  auto episodes = b.episodes();
  for (Episode& e : episodes) e.reward = 1;
  const auto result = update_policy(b.learner, episodes, b.base, 1e-2, options);
  EXPECT_EQ(result.skipped_updates, 1);
  EXPECT_EQ(result.num_updates, 0);
  EXPECT_EQ(result.zero_std_groups, 4);
  EXPECT_GT(result.mismatch.num_tokens, 0);
}

TEST(PolicyEpochs, AreUpdatesOnTheSameBatchWithTheSameRecordedLogprobs) {
  for (const auto method : {PolicyMethod::kCustom, PolicyMethod::kGspo}) {
    Bench b, twin;
    PolicyUpdateOptions options = method_options(method);
    const auto episodes = b.episodes();
    update_policy(twin.learner, episodes, twin.base, 1e-2, options);
    const auto second = update_policy(twin.learner, episodes, twin.base, 1e-2, options);
    options.epochs = 2;
    const auto result = update_policy(b.learner, episodes, b.base, 1e-2, options);
    EXPECT_EQ(result.num_updates, 2);
    EXPECT_EQ(result.mismatch.max, 0.0);
    EXPECT_NE(second.sums.ratio_max, 1.0);
    EXPECT_EQ(result.sums.ratio_max, second.sums.ratio_max);
    expect_same(b, twin);
  }
}

TEST(PolicyEpochs, DivideEachPassIntoMinibatches) {
  Bench b;
  PolicyUpdateOptions options;
  options.epochs = 3;
  options.updates_per_batch = 2;
  const auto result = update_policy(b.learner, b.episodes(), b.base, 1e-2, options);
  EXPECT_EQ(result.num_updates, 6);
  EXPECT_EQ(b.learner.optimizer().num_updates(), 6);
}

TEST(PolicyEpochs, ReportABadEpisodeOnce) {
  Bench b;
  PolicyUpdateOptions options;
  options.epochs = 2;
  auto episodes = b.episodes();
  episodes[2].sampling_logprobs[0] = std::nanf("");
  EXPECT_EQ(update_policy(b.learner, episodes, b.base, 1e-2, options).bad.size(), 1u);
}

TEST(PolicyCorrection, ChangesNoBitWhereTheLogprobsAgree) {
  for (const auto& [method, name] : enum_table(PolicyMethod{})) {
    Bench b, twin;
    PolicyUpdateOptions options = method_options(method);
    options.epochs = 2;
    const auto episodes = b.episodes();
    const auto expected = update_policy(twin.learner, episodes, twin.base, 1e-2, options);
    options.correction.token_cap = 2;
    options.correction.reject_low = .999;
    options.correction.reject_high = 1.001;
    const auto got = update_policy(b.learner, episodes, b.base, 1e-2, options);
    EXPECT_EQ(got.ratios.mean(), 1) << name;
    EXPECT_EQ(got.ratios.effective_share(), 1) << name;
    EXPECT_EQ(got.ratios.rejected_sequences, 0) << name;
    EXPECT_EQ(got.sums.loss, expected.sums.loss) << name;
    expect_same(b, twin);
  }
}

// Episode 2, whose advantage is 1, was sampled with a third of the probability: weight 2 in place
// of 3. The ratio of the first update is that to the trainer's own logprobs, so 1.
TEST(PolicyCorrection, WeighsTheSurrogateByTheTruncatedRatio) {
  Bench b;
  auto episodes = b.episodes();
  double tokens = 0, sum = 0;
  for (size_t i = 0; i < episodes.size(); ++i) {
    const auto length = static_cast<double>(episodes[i].completion_ids.size());
    tokens += length;
    sum += (episodes[i].reward - 1) * length * (i == 2 ? 2 : 1);
  }
  for (float& x : episodes[2].sampling_logprobs) x -= std::log(3.0f);
  PolicyUpdateOptions options;
  options.advantage = AdvantageKind::kCentered;
  options.correction.token_cap = 2;
  const auto result = update_policy(b.learner, episodes, b.base, 1e-3, options);
  EXPECT_NEAR(result.sums.loss, -sum / tokens, 1e-5);
  EXPECT_EQ(result.sums.ratio_max, 1.0);
  EXPECT_NEAR(result.mismatch.max, std::log(3), 1e-5);
  EXPECT_NEAR(result.ratios.max, 3, 1e-5);
  EXPECT_EQ(result.ratios.truncated_tokens,
            static_cast<int64_t>(episodes[2].completion_ids.size()));
}

TEST(PolicyCorrection, LeavesOutARejectedResponseWhichStillCounts) {
  Bench b, twin;
  auto episodes = b.episodes();
  auto masked = episodes;
  masked[2].truncated = true;
  PolicyUpdateOptions options;
  options.mask_truncated = true;
  update_policy(twin.learner, masked, twin.base, 1e-2, options);
  for (float& x : episodes[2].sampling_logprobs) x -= .5f;
  options = {};
  options.correction.reject_high = 1.2;
  const auto got = update_policy(b.learner, episodes, b.base, 1e-2, options);
  EXPECT_EQ(got.ratios.rejected_sequences, 1);
  EXPECT_EQ(got.ratios.num_sequences, 12);
  EXPECT_TRUE(got.bad.empty());
  expect_same(b, twin);
}

TEST(PolicyUpdate, OfNoEpisodesIsSkipped) {
  Bench b;
  const auto result = update_policy(b.learner, {}, b.base, 1e-2, {});
  EXPECT_EQ(result.skipped_updates, 1);
  EXPECT_EQ(result.num_groups, 0);
  EXPECT_EQ(result.mismatch.num_tokens, 0);
}

TEST(PolicyUpdate, NamesAnEpisodeWithoutTokensOrWithoutALogprobForEach) {
  Bench b, twin;
  auto episodes = b.episodes();
  episodes[0].completion_ids.clear();
  episodes[0].sampling_logprobs.clear();
  episodes[1].sampling_logprobs.pop_back();
  episodes[2].completion_ids.clear();  // nothing is left of the first group
  auto without = episodes;
  without.erase(without.begin(), without.begin() + 3);
  const auto got = update_policy(b.learner, episodes, b.base, 1e-2, {});
  update_policy(twin.learner, without, twin.base, 1e-2, {});
  ASSERT_EQ(got.bad.size(), 3u);
  EXPECT_EQ(got.bad[0].reason, "it has no tokens");
  EXPECT_NE(got.bad[1].reason.find("recorded logprobs for"), std::string::npos);
  EXPECT_EQ(got.num_groups, 3);
  expect_same(b, twin);
}

}  // namespace
}  // namespace weft
