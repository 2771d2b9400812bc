// train_bench MODEL KIND: training on two threads, in bf16. KIND is full (fp32 copies of the
// weights), full_bf16 (none: states in bf16, stochastic rounding), lora or grpo (lora, rollouts
// included). Each line of standard input is answered by one line of JSON: "step" by the figures of
// a step, "model" by what a token costs. One process for each kind: peak_mb is the process's.
#include <ATen/Parallel.h>
#include <sys/resource.h>

#include <cstdio>
#include <iostream>

#include "base/error.h"
#include "base/rng.h"
#include "bench/measure.h"
#include "model/engine/engine.h"
#include "trainer/learn/grpo/policy_update.h"
#include "trainer/learn/run/policy.h"
#include "trainer/learn/update/learner.h"

namespace weft::bench {
namespace {

constexpr int kThreads = 2;
constexpr int kSequences = 4;
constexpr int kSequenceTokens = 512;
constexpr int kPrompts = 2;
constexpr int kSamples = 8;  // of a prompt
constexpr int kPromptTokens = 128;
constexpr int kNewTokens = 200;
constexpr int32_t kFirstPlainId = 17;  // those before are SmolLM2's special tokens
constexpr double kRate = 1e-6;
const char* const kAdapter = "policy";

LearnOptions options_of(const std::string& kind) {
  LearnOptions options;
  options.full_weights = kind.starts_with("full");
  if (kind == "full_bf16") options.optimizer.kind = OptimizerKind::kAdamWBf16;
  options.tokens_per_microbatch = kSequences * kSequenceTokens;
  return options;
}

EngineOptions engine_options() {
  EngineOptions options;
  options.kv_mb = 512;
  return options;
}

double peak_mb() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

class TrainBench {
 public:
  TrainBench(const std::string& model, const std::string& kind)
      : kind_(kind),
        options_(options_of(kind)),
        policy_(open_policy({model, "bf16", {}}, options_, 1, {})),
        learner_(policy_.model, policy_.lora, options_),
        rng_(1) {
    if (kind != "grpo") return;
    engine_ = std::make_unique<Engine>(policy_.model, policy_.tokenizer, policy_.chat_template,
                                       engine_options(), model, ComputeDevice{});
    engine_->set_adapter(kAdapter, policy_.lora);
  }

  Json measure(const std::string& row) {
    if (row == "model") return describe_model();
    if (row != "step") throw InputError("bench: expected step or model, got \"" + row + "\"");
    Json result = kind_ == "grpo" ? grpo_step() : sft_step();
    result["peak_mb"] = peak_mb();
    return result;
  }

 private:
  std::vector<int32_t> ids(int count) {
    std::vector<int32_t> ids;
    const auto vocab = static_cast<uint64_t>(policy_.model->config().vocab_size);
    for (int i = 0; i < count; ++i) {
      ids.push_back(kFirstPlainId + static_cast<int32_t>(rng_.below(vocab - kFirstPlainId)));
    }
    return ids;
  }

  /// Products of a forward pass for each token; a backward pass takes two for a weight that is
  /// trained and one for a weight that is not.
  Json describe_model() const {
    const Transformer& model = *policy_.model;
    int64_t weights = model.lm_head_weight().numel();
    for (int64_t l = 0; l < model.num_layers(); ++l) weights += model.layer(l).flat.numel();
    return {{"forward_flop_per_token", 2 * weights},
            {"backward_flop_per_token", (options_.full_weights ? 4 : 2) * weights}};
  }

  Json sft_step() {
    std::vector<TrainSequence> sequences;
    for (int i = 0; i < kSequences; ++i) sequences.push_back({ids(1), ids(kSequenceTokens - 1)});
    LoggedSum loss;
    const auto start = Clock::now();
    const auto result =
        learner_.update(sequences, supervised_loss(total_loss_weight(sequences), loss), kRate);
    const double seconds = seconds_since(start);
    if (!result.applied) throw Error("bench: a step was skipped");
    const double forward_ms = ms_of([&] { learner_.logprobs(sequences, policy_.lora.get()); });
    return {{"s", seconds},
            {"tokens", result.num_tokens},
            {"tok_per_s", static_cast<double>(result.num_tokens) / seconds},
            {"forward_s", forward_ms / 1000}};
  }

  std::vector<Episode> rollouts() {
    std::vector<TextRequest> requests(kPrompts);
    for (TextRequest& request : requests) {
      request.prompt = ids(kPromptTokens);
      request.n = kSamples;
      request.sampling.max_tokens = kNewTokens;
      request.sampling.seed = rng_.next_u64();
      request.sampling.ignore_eos = true;
      request.adapter = kAdapter;
    }
    const auto responses = engine_->complete_all(requests);
    std::vector<Episode> episodes;
    for (size_t group = 0; group < responses.size(); ++group) {
      if (responses[group].status != ResponseStatus::kOk) {
        throw Error("bench: " + responses[group].error);
      }
      for (const Completion& choice : responses[group].choices) {
        Episode& episode = episodes.emplace_back();
        episode.group = group;
        episode.prompt_ids = responses[group].prompt_ids;
        episode.completion_ids = choice.ids;
        episode.sampling_logprobs = choice.logprobs;
        episode.reward = rng_.uniform();
      }
    }
    return episodes;
  }

  Json grpo_step() {
    const auto start = Clock::now();
    const auto episodes = rollouts();
    const double rollout_s = seconds_since(start);
    const auto result = update_policy(learner_, episodes, {}, kRate, {});
    engine_->weights_changed();
    const double seconds = seconds_since(start);
    if (result.num_updates != 1) throw Error("bench: a step was skipped");
    return {{"s", seconds},
            {"tokens", result.trained_tokens},
            {"tok_per_s", static_cast<double>(result.trained_tokens) / seconds},
            {"rollout_s", rollout_s},
            {"mismatch_max", result.mismatch.max}};
  }

  const std::string kind_;
  const LearnOptions options_;
  Policy policy_;
  Learner learner_;
  std::unique_ptr<Engine> engine_;
  Rng rng_;
};

}  // namespace
}  // namespace weft::bench

int main(int argc, char** argv) {
  try {
    const std::string kind = argc == 3 ? argv[2] : "";
    if (kind != "full" && kind != "full_bf16" && kind != "lora" && kind != "grpo") {
      throw weft::InputError("usage: train_bench MODEL full|full_bf16|lora|grpo < ROWS");
    }
    at::set_num_threads(weft::bench::kThreads);
    weft::bench::TrainBench bench(argv[1], kind);
    for (std::string row; std::getline(std::cin, row);) {
      std::puts(bench.measure(row).dump().c_str());
      std::fflush(stdout);
    }
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
