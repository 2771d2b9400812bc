// GRPO on a toy reward.
#include "tests/trainer/learn/grpo/grpo_toy.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace weft {
namespace {

using test::LetterRewards;
using test::Toy;

TEST(GrpoToy, LiftsTheRewardForEverySeed) {
  for (const uint64_t seed : {1, 2, 3}) EXPECT_GT(Toy(seed).gain(), .25) << "seed " << seed;
}

TEST(GrpoToy, LiftsTheRewardWithFullWeights) { EXPECT_GT(Toy(1, false, true).gain(), .25); }

TEST(GrpoToy, PermutedRewardsDoNotLiftIt) {
  for (const uint64_t seed : {1, 2, 3}) {
    EXPECT_LT(std::abs(Toy(seed, /*permute=*/true).gain()), .12) << "seed " << seed;
  }
}

TEST(GrpoToy, RewardsOfTheOppositeSignUndoWhatWasLearnt) {
  Toy toy(1, /*permute=*/false, /*full=*/true);
  ASSERT_GT(toy.gain(), .25);
  toy.rewards.sign = -1;
  EXPECT_LT(-toy.gain(), -.25);
}

TEST(GrpoToy, FirstStepSeesItsOwnSampler) {
  Toy toy(5);
  const auto step = toy.trainer->step();
  const Json& m = step.metrics;
  EXPECT_EQ(m["mismatch_max"], 0);
  EXPECT_EQ(m["mismatch_k3"], 0);
  EXPECT_LT(m["kl"].get<double>(), 1e-8);  // a fresh adapter is the base
  EXPECT_EQ(m["clip_low"], 0);
  EXPECT_EQ(m["clip_high"], 0);
  ASSERT_EQ(step.episodes.size(), 32u);
  for (const char* key : {"reward_mean",
                          "reward_std",
                          "reward_pass",
                          "reward_complexity",
                          "reward_diversity",
                          "zero_std_groups",
                          "kl",
                          "clip_low",
                          "clip_high",
                          "entropy",
                          "mismatch_mean",
                          "mismatch_max",
                          "mismatch_k3",
                          "completion_tokens_mean",
                          "truncated",
                          "valid_workflows",
                          "worker_calls",
                          "worker_tokens",
                          "infra_errors",
                          "t_rollout_s",
                          "t_reward_s",
                          "t_update_s",
                          "loss",
                          "lr",
                          "grad_norm",
                          "tokens",
                          "tokens_per_s"}) {
    EXPECT_TRUE(m.contains(key)) << key;
  }
}

TEST(GrpoToy, LogsTheUsersOwnTermOfTheRewardWhereThereIsOne) {
  Toy toy(5);
  EXPECT_FALSE(toy.trainer->step().metrics.contains("reward_file"));
  Toy with(5, /*permute=*/false, /*full=*/false);
  with.config.workbench.runner.reward.file = "mine.py";
  EXPECT_EQ(with.trainer->step().metrics["reward_file"], 0) << "an environment that gives none";
}

TEST(GrpoToy, LogsEachTermOfThePriceThatHasAWeight) {
  Toy free(5), priced(5);
  priced.config.workbench.runner.reward.w_tokens = 0.5;
  const Json without = free.trainer->step().metrics, with = priced.trainer->step().metrics;
  for (const char* key : {"reward_calls", "reward_tokens", "reward_usd"}) {
    EXPECT_FALSE(without.contains(key)) << key;
    EXPECT_EQ(with.contains(key), std::string(key) == "reward_tokens") << key;
  }
}

TEST(GrpoToy, RunsWithTheSameSeedGiveTheSameRollouts) {
  Toy a(9), b(9);
  const auto x = a.trainer->step().episodes, y = b.trainer->step().episodes;
  for (size_t i = 0; i < x.size(); ++i) EXPECT_EQ(x[i].completion_ids, y[i].completion_ids);
}

/// Groups without the letter, and the mean reward over them.
struct Whole {
  int64_t groups = 0;
  double reward = 0;

  Whole(const std::vector<Episode>& episodes, char letter) {
    for (size_t i = 0; i < episodes.size(); i += 8) {
      double sum = 0;
      bool whole = true;
      for (size_t k = i; k < i + 8; ++k) {
        whole &= episodes[k].text.find(letter) == std::string::npos;
        sum += episodes[k].reward / 8;
      }
      groups += whole ? 1 : 0;
      reward += whole ? sum : 0;
    }
    reward /= static_cast<double>(groups);
  }
};

/// A letter that some of a fresh toy's groups hold and others do not.
char divisive_letter(uint64_t seed) {
  Toy toy(seed);
  const auto episodes = toy.trainer->step().episodes;
  for (char letter = 'a'; letter <= 'z'; ++letter) {
    const Whole whole(episodes, letter);
    if (letter != 'e' && whole.groups > 0 && whole.groups < 4) return letter;
  }
  return '\0';
}

TEST(GrpoToy, WaitsForTheWorkerAndThenGoesOnAsIfNothingHadBeen) {
  Toy toy(6), twin(6);
  toy.rewards.lost = 'a';
  toy.rewards.num_failures = 5;
  toy.config.lost_rollouts = {/*max_share=*/0.01, /*max_waits=*/6, /*wait_s=*/0, /*max_wait_s=*/0};
  const auto got = toy.trainer->step(), expected = twin.trainer->step();
  EXPECT_LE(toy.rewards.num_failures, 0) << "something must have been lost";
  EXPECT_EQ(got.metrics["infra_errors"], 0);
  EXPECT_EQ(got.metrics["dropped_groups"], 0);
  EXPECT_EQ(got.metrics["loss"], expected.metrics["loss"]);
  EXPECT_TRUE(toy.lora->flat(0).equal(twin.lora->flat(0)));
}

TEST(GrpoToy, DropsAGroupWholeWhenARewardStaysLost) {
  const char letter = divisive_letter(6);
  ASSERT_NE(letter, '\0');
  Toy toy(6);
  toy.rewards.lost = letter;
  toy.config.lost_rollouts.max_share = 1;
  const auto step = toy.trainer->step();
  const Whole whole(step.episodes, letter);
  EXPECT_EQ(step.metrics["dropped_groups"], 4 - whole.groups);
  EXPECT_GT(step.metrics["infra_errors"], 0);
  EXPECT_NEAR(step.metrics["reward_mean"].get<double>(), whole.reward, 1e-12);
}

TEST(GrpoToy, EndsWithItsStateUntouchedWhenTheWorkerStaysAway) {
  Toy toy(6);
  toy.rewards.lost = 'a';
  toy.config.lost_rollouts = {/*max_share=*/0.01, /*max_waits=*/2, /*wait_s=*/0, /*max_wait_s=*/0};
  const at::Tensor before = toy.lora->flat(0).clone();
  EXPECT_THROW(toy.trainer->step(), Error);
  EXPECT_TRUE(toy.trainer->whole());
  EXPECT_EQ(toy.trainer->state().step, 0);
  EXPECT_TRUE(toy.lora->flat(0).equal(before));
}

TEST(GrpoToy, ValidationLeavesPromptsOutWholeAndSaysSo) {
  const char letter = divisive_letter(6);
  Toy toy(6), twin(6);
  toy.rewards.lost = letter;
  toy.config.lost_rollouts.max_share = 1;
  const auto got = toy.trainer->validate(toy.tasks, 3);
  const auto all = twin.trainer->validate(twin.tasks, 3);
  ASSERT_FALSE(got.left_out.empty());
  ASSERT_EQ(got.task_ids.size() + got.left_out.size(), all.task_ids.size());
  double sum = 0;
  for (size_t i = 0; i < all.task_ids.size(); ++i) {
    const auto at = std::find(got.task_ids.begin(), got.task_ids.end(), all.task_ids[i]);
    if (at == got.task_ids.end()) continue;
    EXPECT_EQ(got.rewards[at - got.task_ids.begin()], all.rewards[i]);
    for (const double reward : all.rewards[i]) sum += reward / 3;
  }
  EXPECT_NEAR(got.reward, sum / static_cast<double>(got.task_ids.size()), 1e-12);
  EXPECT_EQ(got.to_json()["n"], got.task_ids.size());
  EXPECT_EQ(got.to_json()["left_out"], got.left_out);
  toy.config.lost_rollouts = {/*max_share=*/0.01, /*max_waits=*/1, /*wait_s=*/0, /*max_wait_s=*/0};
  EXPECT_THROW(toy.trainer->validate(toy.tasks, 3), Error);
}

TEST(GrpoToy, ARewardThatIsNotFiniteCostsItsGroupAndIsNamed) {
  const char letter = divisive_letter(6);
  Toy toy(6);
  toy.rewards.infinite = letter;
  const auto step = toy.trainer->step();
  ASSERT_FALSE(step.bad.empty());
  EXPECT_EQ(step.bad[0].reason, "its reward is not finite");
  EXPECT_EQ(step.metrics["bad_rollouts"], step.bad.size());
  EXPECT_EQ(step.metrics["infra_errors"], 0);
  EXPECT_GT(step.metrics["dropped_groups"], 0);
  EXPECT_TRUE(std::isfinite(step.metrics["reward_mean"].get<double>()));
  EXPECT_EQ(toy.trainer->state().bad_rollouts, static_cast<int64_t>(step.bad.size()));
}

TEST(GrpoToy, NamesTheTensorWhenThePolicysWeightsAreNotFinite) {
  Toy toy(6);
  {
    const at::NoGradGuard no_grad;
    toy.lora->parameters()[1].tensor->fill_(std::nanf(""));
  }
  toy.lora->weights_changed();
  toy.engine->weights_changed();
  try {
    toy.trainer->step();
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find(toy.lora->parameters()[1].name), std::string::npos)
        << error.what();
  }
}

TEST(GrpoToy, ASkippedStepMeasuresNothingAndSaysWhy) {
  Toy toy(4);
  toy.rewards = LetterRewards('\x01');
  const auto step = toy.trainer->step();
  for (const char* key :
       {"loss", "grad_norm", "clip_low", "clip_high", "entropy", "tokens_per_s"}) {
    EXPECT_TRUE(step.metrics[key].is_null()) << key;
  }
  EXPECT_EQ(step.metrics["updates"], 0);
  EXPECT_EQ(step.metrics["tokens"], 0);
  EXPECT_EQ(step.metrics["reward_mean"], 0);  // measured
  EXPECT_EQ(step.warning, "32 of 32 valid; 4 of 4 groups of equal rewards; no update");
  EXPECT_FALSE(Toy(4).trainer->step().metrics["loss"].is_null());
}

TEST(GrpoToy, WithoutAReferenceTheKlIsNotMeasured) {
  Toy toy(1, /*permute=*/false, /*full=*/true);
  EXPECT_TRUE(toy.trainer->step().metrics["kl"].is_null());
}

TEST(GrpoToy, RefillsGroupsOfEqualRewardsAndEndsWhereAllAreEqual) {
  for (const bool drop : {false, true}) {
    Toy toy(4);
    toy.config.refill_rounds = 2;
    toy.config.update.drop_equal_groups = drop;
    toy.rewards = LetterRewards('\x01');  // nobody writes it: every group is equal
    const auto step = toy.trainer->step();
    EXPECT_EQ(step.episodes.size(), 3u * 32u);
    EXPECT_EQ(step.metrics["zero_std_groups"], 12);
    EXPECT_EQ(step.metrics["skipped_updates"], 1);
    EXPECT_EQ(step.metrics["refills"], 2);
    EXPECT_EQ(step.warning,
              "96 of 96 valid; after 2 further draws; 12 of 12 groups of equal rewards; no update");
    EXPECT_EQ(toy.trainer->state().tasks_drawn, 12);
  }
}

// With two samples a prompt some groups are equal: they are drawn anew until the batch is full.
TEST(GrpoToy, DynamicSamplingFillsTheBatchWithGroupsThatTeach) {
  Toy toy(7);
  toy.config.samples_per_prompt = 2;
  apply_method(PolicyMethod::kDapo, toy.config.update, toy.config.refill_rounds);
  const auto step = toy.trainer->step();
  ASSERT_GT(step.metrics["refills"], 0) << "something must have been equal";
  int64_t live = 0, live_tokens = 0;
  for (size_t i = 0; i < step.episodes.size(); i += 2) {
    const Episode &a = step.episodes[i], &b = step.episodes[i + 1];
    if (a.reward == b.reward) continue;
    ++live;
    live_tokens += static_cast<int64_t>(a.completion_ids.size() + b.completion_ids.size());
  }
  EXPECT_EQ(live, toy.config.prompts_per_step);
  EXPECT_EQ(step.metrics["trained_tokens"], live_tokens);
  EXPECT_EQ(step.metrics["zero_std_groups"], static_cast<int64_t>(step.episodes.size() / 2) - live);
}

TEST(GrpoToy, SaysHowFarRefillsHaveFilledABatch) {
  for (uint64_t seed = 1; seed < 20; ++seed) {
    Toy toy(seed);
    toy.config.samples_per_prompt = 2;
    toy.config.prompts_per_step = 6;
    toy.config.refill_rounds = 1;
    const auto step = toy.trainer->step();
    const auto groups = static_cast<int64_t>(step.episodes.size() / 2);
    const int64_t live = groups - step.metrics["zero_std_groups"].get<int64_t>();
    if (live == 6 || live == 0) continue;
    EXPECT_EQ(step.warning, std::to_string(live) +
                                " of 6 groups have a difference in reward, after 1 further draws");
    return;
  }
  FAIL() << "every batch was full";
}

// Without DAPO's overlong shaping: the reward is a count, so that shorter completions earn less.
TEST(GrpoToy, EveryMethodLiftsTheReward) {
  for (const auto& [method, name] : enum_table(PolicyMethod{})) {
    if (method == PolicyMethod::kCustom) continue;  // see above, with three seeds
    Toy toy(1);
    apply_method(method, toy.config.update, toy.config.refill_rounds);
    toy.config.update.overlong_share = 0;
    toy.config.update.updates_per_batch = 2;
    toy.config.learn.schedule.lr = 2e-2;
    toy.config.steps = 20;
    EXPECT_GT(toy.gain(/*samples=*/12), .15) << name;
  }
}

TEST(GrpoToy, ReportsTheRatiosOfACorrection) {
  Toy toy(5);
  toy.config.update.correction.token_cap = 2;
  const Json metrics = toy.trainer->step().metrics;
  for (const char* key :
       {"correction_mean", "correction_min", "correction_max", "correction_ess"}) {
    EXPECT_EQ(metrics[key], 1) << key;
  }
  EXPECT_EQ(metrics["correction_truncated"], 0);
  EXPECT_EQ(metrics["correction_rejected"], 0);
  EXPECT_FALSE(Toy(5).trainer->step().metrics.contains("correction_mean"));
}

TEST(GrpoToy, SaysThatAWholeBatchIsTruncatedAndMasked) {
  Toy toy(3);
  toy.config.max_completion_tokens = 3;
  toy.config.update.mask_truncated = true;
  const auto step = toy.trainer->step();
  ASSERT_EQ(step.metrics["truncated"], 1);
  EXPECT_EQ(step.metrics["updates"], 0);
  EXPECT_NE(step.warning.find("; 32 truncated rollouts masked; no update"), std::string::npos)
      << step.warning;
}

}  // namespace
}  // namespace weft
