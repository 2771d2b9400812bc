// Logprobs that were recorded while decoding are those of the training forward on the same ids, to
// the last bit: however the text was decoded, and however it is packed.
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <string>

#include "model/checkpoint/hf_model.h"
#include "model/engine/engine_sequences.h"
#include "tests/model/engine/engine_support.h"
#include "trainer/learn/update/layerwise_trainer.h"

namespace weft {
namespace {

using test::random_ids;

constexpr const char* kAdapter = "policy";

/// What was decoded, with the logprobs that the trainer is to find.
struct Rollout {
  TrainSequence sequence;
  std::vector<float> logprobs;
};

struct Policy {
  std::shared_ptr<Transformer> model;
  std::shared_ptr<Lora> lora;
  EngineOptions options = test::small_options();

  std::unique_ptr<Engine> engine() const {
    auto engine = std::make_unique<Engine>(model, nullptr, nullptr, options);
    if (lora) engine->set_adapter(kAdapter, lora);
    return engine;
  }
};

Policy fixture_policy(const std::string& name, at::ScalarType dtype) {
  return {load_transformer(test::fixture(name).string(), dtype), nullptr};
}

Policy adapted_policy(at::ScalarType dtype) {
  Policy policy = fixture_policy("tiny_llama", dtype);
  policy.lora = Lora::load(test::fixture("tiny_llama_lora").string(), policy.model->config());
  return policy;
}

/// Of SmolLM2's layers.
Policy wide_policy(at::ScalarType dtype) {
  TransformerConfig c;
  c.vocab_size = 311;
  c.hidden_size = 576;
  c.intermediate_size = 1536;
  c.num_layers = 2;
  c.num_heads = 9;
  c.num_kv_heads = 3;
  c.head_dim = 64;
  c.max_positions = 512;
  c.tie_word_embeddings = true;
  c.eos_ids = {2};
  return {Transformer::random(c, dtype, 5, 0.05), nullptr};
}

std::vector<TextRequest> requests(const std::vector<int64_t>& prompt_lengths, int choices,
                                  int max_tokens, double temperature = 1) {
  std::vector<TextRequest> all;
  for (const int64_t length : prompt_lengths) {
    all.push_back(test::request_of(random_ids(length, length), max_tokens, length));
    all.back().n = choices;
    all.back().sampling.temperature = temperature;
  }
  return all;
}

std::vector<int64_t> consecutive(int64_t first, int64_t count) {
  std::vector<int64_t> lengths;
  for (int64_t i = 0; i < count; ++i) lengths.push_back(first + i);
  return lengths;
}

/// The choices of each request, the later ones cut shorter.
std::vector<Rollout> decode(Engine& engine, std::vector<TextRequest> all, bool adapted = false) {
  for (TextRequest& request : all) {
    if (adapted) request.adapter = kAdapter;
  }
  std::vector<Rollout> rollouts;
  for (const TextResponse& response : engine.complete_all(std::move(all))) {
    EXPECT_EQ(response.status, ResponseStatus::kOk) << response.error;
    for (size_t k = 0; k < response.choices.size(); ++k) {
      const Completion& choice = response.choices[k];
      const auto& logprobs =
          choice.sampling_logprobs.empty() ? choice.logprobs : choice.sampling_logprobs;
      const size_t length = choice.ids.size() - std::min(choice.ids.size() - 1, 7 * k);
      rollouts.push_back(
          {{response.prompt_ids, {choice.ids.begin(), choice.ids.begin() + std::ptrdiff_t(length)}},
           {logprobs.begin(), logprobs.begin() + std::ptrdiff_t(length)}});
    }
  }
  return rollouts;
}

std::vector<Rollout> decode(const Policy& policy, const std::vector<TextRequest>& all) {
  return decode(*policy.engine(), all, policy.lora != nullptr);
}

struct Training {
  PackingOptions packing;
  LayerwiseOptions layers;
};

/// Runs the forward and backward pass of training, and one without gradients.
void expect_same_bits(const Policy& policy, const std::vector<Rollout>& rollouts,
                      const Training& training = {}) {
  std::vector<TrainSequence> sequences;
  for (const Rollout& r : rollouts) sequences.push_back(r.sequence);
  LayerwiseTrainer trainer(*policy.model, policy.lora.get(), training.layers);
  ParameterStore store(trainer.layers());
  const CoefficientFn slope =
      on_host([](int64_t, std::span<const float> logp, std::span<float> out) {
        std::fill(out.begin(), out.end(), 1.0f / static_cast<float>(logp.size()));
      });
  size_t compared = 0;
  for (const Microbatch& microbatch : pack(sequences, training.packing)) {
    const at::Tensor trained = trainer.forward_backward(microbatch, slope, store).logp;
    const at::Tensor logprobs = microbatch_logprobs(*policy.model, policy.lora.get(), microbatch,
                                                    training.layers.temperature);
    for (const CompletionSpan& span : microbatch.spans) {
      const Rollout& rollout = rollouts[span.sequence];
      const auto part = [&](const at::Tensor& logp) {
        const float* first = logp.const_data_ptr<float>() + span.begin;
        return std::vector<float>(first, first + span.length);
      };
      const auto prompt = rollout.sequence.prompt_ids.size();
      EXPECT_EQ(part(trained), rollout.logprobs) << "prompt of " << prompt << " tokens";
      EXPECT_EQ(part(logprobs), rollout.logprobs) << "prompt of " << prompt << " tokens";
      ++compared;
    }
  }
  EXPECT_EQ(compared, rollouts.size());
}

class SameBits : public testing::TestWithParam<at::ScalarType> {};

TEST_P(SameBits, ForEveryArchitectureAndSixteenLengthsOfASharedPrompt) {
  for (const char* name : {"tiny_llama", "tiny_qwen2", "tiny_qwen3", "tiny_mistral"}) {
    SCOPED_TRACE(name);
    const Policy policy = fixture_policy(name, GetParam());
    expect_same_bits(policy, decode(policy, requests(consecutive(60, 16), 3, 30)));
    expect_same_bits(policy, decode(policy, requests(consecutive(1, 16), 3, 20)));
  }
}

TEST_P(SameBits, WithAnAdapter) {
  const Policy policy = adapted_policy(GetParam());
  const auto all = requests(consecutive(40, 16), 3, 30);
  const auto rollouts = decode(policy, all);
  EXPECT_NE(rollouts[0].logprobs,
            decode(fixture_policy("tiny_llama", GetParam()), all)[0].logprobs);
  expect_same_bits(policy, rollouts);
}

TEST_P(SameBits, WithAnAdapterThatTrainsTheLengthsOfRows) {
  Policy policy = fixture_policy("tiny_qwen2", GetParam());
  LoraConfig config;
  config.rank = 4;
  config.use_dora = true;
  Rng rng(3);
  policy.lora = std::make_shared<Lora>(policy.model->config(), config, rng);
  policy.lora->take_magnitudes(*policy.model);
  for (const NamedParameter& p : policy.lora->parameters()) {
    if (p.name.ends_with("lora_B")) p.tensor->fill_(0.02);
    if (p.name.ends_with("magnitude_vector")) p.tensor->mul_(1.1);
  }
  const auto all = requests(consecutive(40, 16), 3, 30);
  const auto rollouts = decode(policy, all);
  EXPECT_NE(rollouts[0].logprobs,
            decode(fixture_policy("tiny_qwen2", GetParam()), all)[0].logprobs);
  expect_same_bits(policy, rollouts);
}

TEST_P(SameBits, WithWideLayersAndLongPrompts) {
  const Policy policy = wide_policy(GetParam());
  expect_same_bits(policy, decode(policy, requests({130, 137, 144, 250}, 4, 40)));
}

TEST_P(SameBits, AtOtherTemperatures) {
  for (const double temperature : {0.3, 0.7, 1.6}) {
    const Policy policy = adapted_policy(GetParam());
    Training training;
    training.layers.temperature = temperature;
    expect_same_bits(policy, decode(policy, requests(consecutive(20, 16), 2, 20, temperature)),
                     training);
  }
}

TEST_P(SameBits, HoweverTheTextWasDecoded) {
  const auto all = requests(consecutive(33, 16), 3, 40);
  for (const int64_t prefill_tokens : {7, 2048}) {
    for (const int64_t max_batch : {1, 5, 48}) {
      Policy policy = adapted_policy(GetParam());
      policy.options.prefill_tokens = prefill_tokens;
      policy.options.max_batch = max_batch;
      expect_same_bits(policy, decode(policy, all));
    }
  }
}

TEST_P(SameBits, WhereSequencesLostTheirBlocksAndWereComputedAgain) {
  Policy policy = fixture_policy("tiny_qwen2", GetParam());
  policy.options.kv_mb = 1;
  policy.options.max_batch = 64;
  const auto engine = policy.engine();
  const auto rollouts = decode(*engine, requests(consecutive(60, 16), 4, 250));
  EXPECT_GT(engine->stats().preemptions, 0);
  expect_same_bits(policy, rollouts);
}

// Later prompts begin with what was sampled before, and end in the middle of one of its blocks.
TEST_P(SameBits, WhereThePromptWasInTheCache) {
  const Policy policy = fixture_policy("tiny_qwen3", GetParam());
  const auto engine = policy.engine();
  std::vector<TextRequest> all;
  for (const Rollout& first : decode(*engine, requests(consecutive(30, 16), 1, 25))) {
    auto ids = first.sequence.prompt_ids;
    ids.insert(ids.end(), first.sequence.completion_ids.begin(),
               first.sequence.completion_ids.end() - 3);
    all.push_back(test::request_of(ids, 20));
    all.back().n = 3;
  }
  const auto rollouts = decode(*engine, all);
  EXPECT_GT(engine->stats().cached_tokens, 0);
  expect_same_bits(policy, rollouts);
}

TEST_P(SameBits, OfSequencesThatWereForkedAndExtended) {
  const Policy policy = fixture_policy("tiny_mistral", GetParam());
  const auto engine = policy.engine();
  EngineSequences sequences(*engine);
  std::vector<Rollout> rollouts;
  for (uint64_t length = 17; length < 33; ++length) {
    const SequenceId parent = sequences.open(random_ids(length, length));
    for (int piece = 0; piece < 3; ++piece) {
      const SequenceId fork = sequences.fork(parent);
      for (const SequenceId id : {parent, fork}) {
        const auto before = sequences.ids(id);
        SamplingParams sampling = test::request_of({}, 5 + piece, 2 * length + piece).sampling;
        const auto response = sequences.extend({{id, sampling}}).at(0);
        const Completion& choice = response.choices.at(0);
        rollouts.push_back({{before, choice.ids}, choice.logprobs});
      }
    }
  }
  expect_same_bits(policy, rollouts);
}

TEST_P(SameBits, HoweverTheTrainerPacksAndRecomputes) {
  const Policy policy = adapted_policy(GetParam());
  auto rollouts = decode(policy, requests({20, 21, 27, 32}, 4, 30));
  Rng(3).shuffle(rollouts);
  for (const int64_t tokens : {1, 64, 97, 100000}) {
    for (const bool share : {true, false}) {
      Training training{{tokens, share}, {}};
      training.layers.keep_activations_layers = tokens == 97 ? 0 : -1;
      training.layers.loss_chunk_tokens = tokens == 64 ? 3 : 256;
      SCOPED_TRACE(testing::Message() << tokens << " tokens, shared " << share);
      expect_same_bits(policy, rollouts, training);
    }
  }
}

TEST_P(SameBits, OnAnyNumberOfThreads) {
  const int before = at::get_num_threads();
  const Policy policy = wide_policy(GetParam());
  at::set_num_threads(1);
  const auto rollouts = decode(policy, requests(consecutive(70, 4), 2, 12));
  for (const int threads : {1, 2, 3}) {
    at::set_num_threads(threads);
    expect_same_bits(policy, rollouts);
    const auto again = decode(policy, requests(consecutive(70, 4), 2, 12));
    for (size_t i = 0; i < rollouts.size(); ++i) {
      EXPECT_EQ(again[i].logprobs, rollouts[i].logprobs);
    }
  }
  at::set_num_threads(before);
}

INSTANTIATE_TEST_SUITE_P(Dtypes, SameBits, testing::Values(at::kFloat, at::kBFloat16),
                         [](const auto& info) {
                           return info.param == at::kFloat ? "F32" : "Bf16";
                         });

}  // namespace
}  // namespace weft
