/// A toy of GRPO: the share of a wanted token in the completion is the reward. The real engine
/// decodes, the real update learns; only the environment is a stand-in for the sandbox.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>

#include "model/checkpoint/hf_model.h"
#include "model/ops/tensor_device.h"
#include "tests/support/fake_environment.h"
#include "tests/support/support.h"
#include "trainer/learn/grpo/grpo.h"

namespace weft::test {

/// Reward: how often a letter occurs, over 16, times a sign. May lose the rewards of completions
/// that hold another letter, or give them one that is not finite.
class LetterRewards : public FakeEnvironment {
 public:
  explicit LetterRewards(char wanted) : wanted_(wanted) {}
  char lost = 0, infinite = 0;     ///< 0: none
  int64_t num_failures = 1 << 20;  ///< so many are lost at most
  double sign = 1;
  void run(RunRequest request, std::function<void(Outcome)> done) override {
    const std::string& completion = request.workflow->code;
    const auto hits = std::count(completion.begin(), completion.end(), wanted_);
    Outcome outcome = rewarded(sign * static_cast<double>(hits) / 16);
    outcome.usage.calls = 1;
    if (holds(completion, infinite)) outcome.reward->total = INFINITY;
    if (holds(completion, lost) && num_failures-- > 0) {
      outcome = infrastructure_error("worker: connection refused");
    }
    done(outcome);
  }

 private:
  static bool holds(const std::string& text, char letter) {
    return letter != 0 && text.find(letter) != std::string::npos;
  }

  char wanted_;
};

struct Toy {
  GrpoConfig config;
  std::vector<Task> tasks;
  std::shared_ptr<Transformer> model;
  std::shared_ptr<Lora> lora;
  std::unique_ptr<Engine> engine;
  std::unique_ptr<Learner> learner;
  LetterRewards rewards{'e'};
  std::unique_ptr<GrpoTrainer> trainer;

  explicit Toy(uint64_t seed, bool permute = false, bool full = false,
               const ComputeDevice& device = {}) {
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
    const std::string dir = fixture("tiny_llama");
    model = load_transformer(dir, at::kFloat);
    Rng rng(seed);
    if (!full) lora = std::make_shared<Lora>(model->config(), config.learn.lora, rng);
    model->to(tensor_device(device));
    if (lora) lora->to(tensor_device(device));
    EngineOptions options;
    options.kv_mb = 16;
    engine = std::make_unique<Engine>(model, Tokenizer::load(dir), nullptr, options, "toy", device);
    if (lora) engine->set_adapter(kPolicyAdapter, lora);
    learner = std::make_unique<Learner>(model, lora, config.learn, true);
    Reference reference;
    if (lora) reference.kind = Reference::Kind::kAdapter;
    trainer = std::make_unique<GrpoTrainer>(config, *engine, *learner, rewards, tasks, reference);
  }

  /// Gain in reward on all prompts with so many samples each.
  double gain(int samples = 32) {
    const double before = trainer->validate(tasks, samples).reward;
    for (int64_t i = 0; i < config.steps; ++i) trainer->step();
    return trainer->validate(tasks, samples).reward - before;
  }
};

}  // namespace weft::test
