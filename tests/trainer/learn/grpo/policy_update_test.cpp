#include "trainer/learn/grpo/policy_update.h"

#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <csignal>

#include "base/error.h"
#include "base/stop.h"
#include "tests/trainer/learn/grpo/policy_bench.h"

namespace weft {
namespace {

using test::Bench;

TEST(PolicyUpdate, RatioIsExactlyOneAndKlExactlyZeroOnTheFirstBatch) {
  Bench b;
  const auto result = update_policy(b.learner, b.episodes(), b.base, 1e-3, {});
  EXPECT_EQ(result.sums.ratio_max, 1.0);
  EXPECT_EQ(result.mismatch.max, 0.0);
  EXPECT_EQ(result.mismatch.k3(), 0.0);
  EXPECT_EQ(result.kl, 0.0);  // a fresh adapter changes nothing
  EXPECT_EQ(result.sums.clipped_low + result.sums.clipped_high, 0);
  EXPECT_GT(result.grad_norm, 0);
  EXPECT_GT(result.entropy_sum, 0);
  EXPECT_EQ(result.num_groups, 4);
}

TEST(PolicyUpdate, RaisesTheLogprobOfRewardedSamples) {
  Bench b;
  const auto episodes = b.episodes();
  const auto gap = [&] {
    double sum = 0;
    std::vector<TrainSequence> sequences;
    for (const auto& e : episodes) sequences.push_back({e.prompt_ids, e.completion_ids});
    const auto logps = b.learner.logprobs(sequences, b.lora.get());
    for (size_t i = 0; i < episodes.size(); ++i) {
      for (const float x : logps[i]) sum += (episodes[i].reward - 1) * x;
    }
    return sum;
  };
  const double before = gap();
  for (int i = 0; i < 5; ++i) update_policy(b.learner, episodes, b.base, 1e-2, {});
  EXPECT_GT(gap(), before + 1);
}

TEST(PolicyUpdate, LearnsNothingFromEqualRewardsButReportsTheMismatch) {
  Bench b;
  auto episodes = b.episodes();
  for (auto& e : episodes) e.reward = .5;
  for (auto& x : episodes[0].sampling_logprobs) x += .25f;
  const at::Tensor before = b.lora->flat(0).clone();
  const auto result = update_policy(b.learner, episodes, b.base, 1e-2, {});
  EXPECT_EQ(result.zero_std_groups, 4);
  EXPECT_EQ(result.skipped_updates, 1);
  EXPECT_EQ(result.trained_tokens, 0);
  EXPECT_NEAR(result.mismatch.max, .25, 1e-5);
  EXPECT_TRUE(b.lora->flat(0).equal(before));
}

// What the others of the group earned is a choice among its samples by what they did.
TEST(PolicyUpdate, LeavesAGroupOutWholeWhenARewardIsLostOrNotFinite) {
  for (const double reward : {1.0, std::nan(""), HUGE_VAL}) {
    Bench b, twin;
    auto with_errors = b.episodes();
    auto without = with_errors;
    with_errors[1].infra_error = std::isfinite(reward);
    with_errors[1].reward = reward;
    without.erase(without.begin(), without.begin() + 3);
    const auto got = update_policy(b.learner, with_errors, b.base, 1e-2, {});
    const auto expected = update_policy(twin.learner, without, twin.base, 1e-2, {});
    EXPECT_EQ(got.dropped_groups, 1);
    EXPECT_EQ(got.num_groups, 3);
    EXPECT_EQ(got.bad.size(), std::isfinite(reward) ? 0u : 1u);
    EXPECT_EQ(got.grad_norm, expected.grad_norm);
    EXPECT_TRUE(b.lora->flat(1).equal(twin.lora->flat(1)));
  }
}

TEST(PolicyUpdate, DroppingZeroAdvantagesDoesNotChangeTheGradient) {
  Bench b, twin;
  auto episodes = b.episodes();
  for (size_t i = 0; i < 3; ++i) episodes[i].reward = 1;  // a group of equal rewards
  PolicyUpdateOptions with_kl;  // a KL of next to nothing keeps every sequence in the batch
  with_kl.loss.kl_coefficient = 1e-30;
  const auto got = update_policy(b.learner, episodes, b.base, 1e-2, {});
  const auto expected = update_policy(twin.learner, episodes, twin.base, 1e-2, with_kl);
  EXPECT_LT(got.trained_tokens, expected.trained_tokens);
  EXPECT_NEAR(got.grad_norm, expected.grad_norm, 1e-6 * expected.grad_norm);
}

// At ratio 1 the loss is minus the mean of the advantages over all tokens: here 1 and
// -negative_weight for the best and the worst of each group, up to GRPO's epsilon of 1e-6.
TEST(PolicyUpdate, NegativeWeightScalesWhatTheWorseSamplesTeach) {
  for (const double weight : {1.0, 0.25, 0.0}) {
    Bench b;
    const auto episodes = b.episodes();
    double all = 0, best = 0, worst = 0;
    for (const Episode& e : episodes) {
      const auto length = static_cast<double>(e.completion_ids.size());
      all += length;
      if (e.reward == 2) best += length;
      if (e.reward == 0) worst += length;
    }
    PolicyUpdateOptions options;
    options.negative_weight = weight;
    const auto result = update_policy(b.learner, episodes, b.base, 1e-3, options);
    EXPECT_NEAR(result.sums.loss, (weight * worst - best) / all, 1e-5);
    EXPECT_EQ(result.trained_tokens, static_cast<int64_t>(weight > 0 ? best + worst : best));
  }
}

TEST(PolicyUpdate, NegativeWeightIsAShare) {
  PolicyUpdateOptions options;
  options.negative_weight = -0.1;
  EXPECT_THROW(options.validate(), InputError);
  options.negative_weight = 1.1;
  EXPECT_THROW(options.validate(), InputError);
}

// TRL's rule: a masked response has no loss and still counts, so that the others weigh what they
// would. At ratio 1 the loss is minus the weighted mean of the advantages, here -1, 0, 1 a group.
TEST(PolicyUpdate, MaskedTruncatedEpisodesCountInTheDenominator) {
  for (const TokenMean mean : {TokenMean::kPerSequence, TokenMean::kPerBatch}) {
    Bench b;
    auto episodes = b.episodes();
    episodes[2].truncated = true;  // the best of its group
    PolicyUpdateOptions options;
    options.mask_truncated = true;
    options.loss.mean = mean;
    double all = 0, expected = 0, trained = 0;
    for (size_t i = 0; i < episodes.size(); ++i) {
      const auto length = static_cast<double>(episodes[i].completion_ids.size());
      const double share = mean == TokenMean::kPerSequence ? 1 : length;
      all += share;
      if (i == 2) continue;
      expected -= share * (episodes[i].reward - 1);
      if (episodes[i].reward != 1) trained += length;
    }
    const auto result = update_policy(b.learner, episodes, b.base, 1e-3, options);
    EXPECT_NEAR(result.sums.loss, expected / all, 1e-5);
    EXPECT_EQ(result.trained_tokens, static_cast<int64_t>(trained));
  }
}

TEST(PolicyUpdate, ABatchOfMaskedEpisodesOnlyTeachesNothing) {
  Bench b;
  auto episodes = b.episodes();
  for (Episode& e : episodes) e.truncated = true;
  PolicyUpdateOptions options;
  options.mask_truncated = true;
  options.loss.kl_coefficient = .1;
  const at::Tensor before = b.lora->flat(0).clone();
  const auto result = update_policy(b.learner, episodes, b.base, 1e-2, options);
  EXPECT_EQ(result.skipped_updates, 1);
  EXPECT_EQ(result.trained_tokens, 0);
  EXPECT_TRUE(b.lora->flat(0).equal(before));
}

// "dr_grpo" with a token mean is not Dr.GRPO: an advantage is called by its formula.
TEST(PolicyUpdate, RefusesAMethodsNameForAnAdvantage) {
  for (const char* name : {"grpo", "dr_grpo", "rloo"}) {
    EXPECT_THROW(load_config<PolicyUpdateOptions>({{"advantage", name}}), InputError) << name;
  }
  EXPECT_EQ(load_config<PolicyUpdateOptions>({{"advantage", "centered"}}).advantage,
            AdvantageKind::kCentered);
}

/// The update when episode 2 is masked: what is expected of one that finds it bad.
void expect_as_if_masked(Bench& b, const std::vector<Episode>& episodes, const Reference& reference,
                         PolicyUpdateOptions options, const std::string& reason) {
  Bench twin(b.tied);
  auto masked = twin.episodes();
  masked[2].truncated = true;
  const auto got = update_policy(b.learner, episodes, reference, 1e-2, options);
  options.mask_truncated = true;
  const auto expected = update_policy(twin.learner, masked, twin.base, 1e-2, options);
  ASSERT_EQ(got.bad.size(), 1u);
  EXPECT_EQ(got.bad[0].index, 2u);
  EXPECT_EQ(got.bad[0].reason, reason);
  EXPECT_EQ(got.num_updates, 1);
  EXPECT_EQ(got.skipped_updates, 0);
  EXPECT_EQ(got.trained_tokens, expected.trained_tokens);
  EXPECT_EQ(got.sums.loss, expected.sums.loss);
  EXPECT_EQ(got.mismatch.max, expected.mismatch.max);
  EXPECT_TRUE(b.lora->flat(0).equal(twin.lora->flat(0)));
}

TEST(PolicyUpdate, LeavesOutAnEpisodeWithALogprobThatIsNotFinite) {
  for (const float logprob : {std::nanf(""), -INFINITY}) {
    Bench b;
    auto episodes = b.episodes();
    episodes[2].sampling_logprobs[0] = logprob;
    expect_as_if_masked(b, episodes, b.base, {}, "a logprob recorded while decoding is not finite");
  }
}

/// Of a model whose embeddings are not tied: no text without the token is harmed.
void spoil_token(Transformer& model, int32_t id) {
  const at::NoGradGuard no_grad;
  for (const auto& p : model.global_parameters()) {
    if (p.name == "embed.weight") p.tensor->select(0, id).fill_(std::nanf(""));
  }
}

TEST(PolicyUpdate, LeavesOutTheOneEpisodeWhoseGradientIsNotFinite) {
  Bench b(/*tied=*/false);
  auto episodes = b.episodes();
  spoil_token(*b.model, Bench::kRare);
  episodes[2].completion_ids[0] = Bench::kRare;
  expect_as_if_masked(b, episodes, b.base, {}, "its gradient is not finite");
}

TEST(PolicyUpdate, NamesTheFirstTensorWhoseGradientIsNotFinite) {
  Bench b(/*tied=*/false);
  auto episodes = b.episodes();
  EXPECT_EQ(update_policy(b.learner, episodes, b.base, 1e-3, {}).non_finite, "");
  spoil_token(*b.model, Bench::kRare);
  episodes[2].completion_ids[0] = Bench::kRare;
  const auto result = update_policy(b.learner, episodes, b.base, 1e-3, {});
  EXPECT_TRUE(result.non_finite.starts_with("layers.0.")) << result.non_finite;
}

TEST(PolicyUpdate, LeavesOutAnEpisodeWithoutAFiniteReference) {
  Bench b(/*tied=*/false);
  auto episodes = b.episodes();
  const auto frozen = test::tiny_model(/*tied=*/false);
  PolicyUpdateOptions options;
  options.loss.kl_coefficient = 1e-3;
  spoil_token(*frozen, Bench::kRare);
  // The rare token as the last of a prompt of its own: no other sequence sees it.
  episodes[2].prompt_ids.push_back(Bench::kRare);
  const Reference reference{Reference::Kind::kModel, nullptr, frozen.get()};
  const auto result = update_policy(b.learner, episodes, reference, 1e-2, options);
  ASSERT_EQ(result.bad.size(), 1u);
  EXPECT_EQ(result.bad[0].index, 2u);
  EXPECT_EQ(result.bad[0].reason, "a logprob under the reference is not finite");
  EXPECT_EQ(result.num_updates, 1);
  EXPECT_TRUE(std::isfinite(*result.kl));
}

TEST(PolicyUpdate, NamesTheTensorWhenAWeightIsNotFinite) {
  Bench b;
  const auto episodes = b.episodes();
  {
    const at::NoGradGuard no_grad;
    b.lora->parameters()[3].tensor->view({-1})[5].fill_(INFINITY);
  }
  b.lora->weights_changed();
  const std::string name = b.lora->parameters()[3].name;
  try {
    update_policy(b.learner, episodes, b.base, 1e-2, {});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find(name), std::string::npos) << error.what();
  }
}

TEST(PolicyUpdate, MovesOffTheBehaviourFromTheSecondMinibatchOn) {
  Bench b;
  PolicyUpdateOptions options;
  options.updates_per_batch = 2;
  const auto result = update_policy(b.learner, b.episodes(), b.base, 3e-2, options);
  EXPECT_EQ(result.mismatch.max, 0.0);  // of the first update only
  EXPECT_NE(result.sums.ratio_max, 1.0);
  EXPECT_EQ(result.skipped_updates, 0);
}

// In a process of its own: the stop flag stays set. Exit 0: stopped where it may, whole where not.
TEST(Learner, FinishesAnUpdateThatMayNotStop) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto stopped_updates = [] {
    Bench b;
    install_stop_handlers();
    raise(SIGTERM);
    const auto sequences = test::random_sequences(6, 41, 3);
    const at::Tensor before = b.lora->flat(0).clone();
    LoggedSum loss;
    try {
      b.learner.update(sequences, supervised_loss(10, loss), 1e-2);
      return 1;
    } catch (const Interrupted&) {
      if (!b.lora->flat(0).equal(before)) return 2;
    }
    b.learner.logprobs(sequences, b.lora.get(), {});
    b.learner.update(sequences, supervised_loss(10, loss), 1e-2, {});
    return b.lora->flat(0).equal(before) ? 3 : 0;
  };
  EXPECT_EXIT(_exit(stopped_updates()), testing::ExitedWithCode(0), "");
}

TEST(PolicyUpdate, MeasuresTheKlToAFrozenModel) {
  Bench b;
  const auto other = Transformer::random(test::tiny_config(), at::kFloat, 12, 0.2);
  const Reference reference{Reference::Kind::kModel, nullptr, other.get()};
  EXPECT_GT(update_policy(b.learner, b.episodes(), reference, 1e-3, {}).kl, .01);
}

}  // namespace
}  // namespace weft
