// GRPO on a toy reward: the share of a wanted token in the completion. The real engine decodes, the
// real update learns; only the scorer is a stand-in for the sandbox.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "model/checkpoint/hf_model.h"
#include "tests/support/support.h"
#include "trainer/learn/grpo.h"

namespace weft {
namespace {

/// Reward: how often a letter occurs, over 16.
class LetterScorer : public RolloutScorer {
 public:
  explicit LetterScorer(char wanted) : wanted_(wanted) {}
  decltype(TextRequest::prompt) prompt(const Task& task) const override { return task.prompt; }
  void submit(const Task&, std::string completion, uint64_t,
              std::function<void(ScoredRollout)> done) override {
    ScoredRollout result;
    result.valid = true;
    result.outcome = "scored";
    const auto hits = std::count(completion.begin(), completion.end(), wanted_);
    result.reward.pass = static_cast<double>(hits) / 16;
    result.reward.total = result.reward.pass;
    result.worker_calls = 1;
    done(result);
  }

 private:
  char wanted_;
};

struct Toy {
  GrpoConfig config;
  std::vector<Task> tasks;
  std::shared_ptr<Transformer> model;
  std::shared_ptr<Lora> lora;
  std::unique_ptr<Engine> engine;
  std::unique_ptr<Learner> learner;
  LetterScorer scorer{'e'};
  std::unique_ptr<GrpoTrainer> trainer;

  explicit Toy(uint64_t seed, bool permute = false, bool full = false) {
    config.seed = seed;
    config.steps = 30;
    config.prompts_per_step = 4;
    config.samples_per_prompt = 8;
    config.max_completion_tokens = 16;
    config.learn.full_weights = full;
    config.learn.schedule.lr = full ? 3e-3 : 1e-2;
    config.control.permute_rewards = permute;
    for (const char* text : {"alpha", "beta", "gamma", "delta", "x = 1", "return"}) {
      Task task;
      task.id = text;
      task.prompt = text;
      tasks.push_back(task);
    }
    const std::string dir = test::fixture("tiny_llama");
    model = load_transformer(dir, at::kFloat);
    Rng rng(seed);
    if (!full) lora = std::make_shared<Lora>(model->config(), config.learn.lora, rng);
    EngineOptions options;
    options.kv_mb = 16;
    engine = std::make_unique<Engine>(model, Tokenizer::load(dir), nullptr, options);
    if (lora) engine->set_adapter(kPolicyAdapter, lora);
    learner = std::make_unique<Learner>(model, lora, config.learn, true);
    Reference reference;
    if (lora) reference.kind = Reference::Kind::kAdapter;
    trainer = std::make_unique<GrpoTrainer>(config, *engine, *learner, scorer, tasks, reference);
  }

  /// Gain in reward on all prompts with 32 samples each.
  double gain() {
    const double before = trainer->validate(tasks, 32).reward;
    for (int64_t i = 0; i < config.steps; ++i) trainer->step();
    return trainer->validate(tasks, 32).reward - before;
  }
};

TEST(GrpoToy, LiftsTheRewardForEverySeed) {
  for (const uint64_t seed : {1, 2, 3}) EXPECT_GT(Toy(seed).gain(), .25) << "seed " << seed;
}

TEST(GrpoToy, LiftsTheRewardWithFullWeights) { EXPECT_GT(Toy(1, false, true).gain(), .25); }

TEST(GrpoToy, PermutedRewardsDoNotLiftIt) {
  for (const uint64_t seed : {1, 2, 3}) {
    EXPECT_LT(std::abs(Toy(seed, /*permute=*/true).gain()), .12) << "seed " << seed;
  }
}

TEST(GrpoToy, FirstStepSeesItsOwnSampler) {
  Toy toy(5);
  const auto step = toy.trainer->step();
  const Json& m = step.metrics;
  EXPECT_LT(m["mismatch_max"].get<double>(), 1e-4);  // decoding against packed forward, fp32
  EXPECT_LT(m["mismatch_k3"].get<double>(), 1e-8);
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

TEST(GrpoToy, RunsWithTheSameSeedGiveTheSameRollouts) {
  Toy a(9), b(9);
  const auto x = a.trainer->step().episodes, y = b.trainer->step().episodes;
  for (size_t i = 0; i < x.size(); ++i) EXPECT_EQ(x[i].completion_ids, y[i].completion_ids);
}

TEST(GrpoToy, RefillsGroupsOfEqualRewards) {
  Toy toy(4);
  toy.config.refill_rounds = 2;
  toy.scorer = LetterScorer('\x01');  // nobody writes it: every group is equal
  const auto step = toy.trainer->step();
  EXPECT_EQ(step.episodes.size(), 3u * 32u);
  EXPECT_EQ(step.metrics["zero_std_groups"], 12);
  EXPECT_EQ(step.metrics["skipped_updates"], 1);
  EXPECT_EQ(toy.trainer->state().tasks_drawn, 12);
}

}  // namespace
}  // namespace weft
