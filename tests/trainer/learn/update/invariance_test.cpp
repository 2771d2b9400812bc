// What must not change a gradient: how sequences are divided into microbatches, their order,
// packing, sharing of prompts, recomputation.
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <numeric>

#include "tests/trainer/learn/update/learn_support.h"
#include "trainer/learn/update/layerwise_trainer.h"
#include "trainer/learn/update/learner.h"

namespace weft {
namespace {

constexpr double kTolerance = 1e-6;  // relative, fp32

struct Gradients {
  at::Tensor flat;
  double loss = 0;
};

struct Setting {
  PackingOptions packing{64, true};
  LayerwiseOptions layers;
};

std::shared_ptr<Lora> make_lora(const TransformerConfig& config) {
  Rng rng(21);
  LoraConfig lora_config;
  lora_config.rank = 4;
  auto lora = std::make_shared<Lora>(config, lora_config, rng);
  for (auto& p : lora->parameters()) {
    if (p.name.ends_with("lora_B")) {
      p.tensor->copy_(test::random_tensor(p.tensor->sizes().vec(), rng, 0.1));
    }
  }
  lora->weights_changed();
  return lora;
}

Gradients gradients(Transformer& model, Lora* lora, const std::vector<TrainSequence>& sequences,
                    const Setting& setting) {
  LayerwiseTrainer trainer(model, lora, setting.layers);
  ParameterStore store(trainer.layers());
  const double weight = total_loss_weight(sequences);
  Gradients result;
  LoggedSum sum;
  const MicrobatchLoss loss = supervised_loss(weight, sum);
  for (const auto& microbatch : pack(sequences, setting.packing)) {
    trainer.forward_backward(microbatch, loss(microbatch), store);
  }
  result.flat = store.flat_gradient().clone();
  result.loss = sum.value() / weight;
  return result;
}

/// Trained tensors in the order of the flat gradient.
std::vector<NamedParameter> in_order(const LayerwiseTrainer& trainer) {
  std::vector<NamedParameter> all;
  for (const auto& layer : trainer.layers()) all.insert(all.end(), layer.begin(), layer.end());
  return all;
}

class Invariance : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    model_ = test::tiny_model();
    if (GetParam()) lora_ = make_lora(model_->config());
    expected_ = run(sequences_, {});
    ASSERT_GT(expected_.flat.norm().item<double>(), 1e-3);
  }
  Gradients run(const std::vector<TrainSequence>& sequences, const Setting& setting) {
    return gradients(*model_, lora_.get(), sequences, setting);
  }
  void expect_same(const Gradients& got) {
    EXPECT_LT(test::relative_error(got.flat, expected_.flat), kTolerance);
    EXPECT_NEAR(got.loss, expected_.loss, kTolerance * expected_.loss);
  }

  std::vector<TrainSequence> sequences_ = test::random_sequences(12, 77, 3);
  std::shared_ptr<Transformer> model_;
  std::shared_ptr<Lora> lora_;
  Gradients expected_;
};

TEST_P(Invariance, MicrobatchSplitDoesNotChangeTheGradient) {
  for (const int64_t size : {1, 20, 33, 1000}) expect_same(run(sequences_, {{size, true}, {}}));
}

// What two ranks would compute: each its half of the batch, divided by the weight of the whole.
TEST_P(Invariance, HalvesOfABatchAddUpToItsGradient) {
  const double weight = total_loss_weight(sequences_);
  Gradients sum{expected_.flat.clone().zero_(), 0};
  for (const size_t half : {0, 1}) {
    std::vector<TrainSequence> own;
    for (size_t i = half; i < sequences_.size(); i += 2) own.push_back(sequences_[i]);
    const Gradients part = run(own, {});
    const double share = total_loss_weight(own) / weight;
    sum.flat.add_(part.flat, share);
    sum.loss += part.loss * share;
  }
  expect_same(sum);
}

TEST_P(Invariance, SharingPromptsDoesNotChangeTheGradient) {
  for (const int64_t size : {40, 1000}) expect_same(run(sequences_, {{size, false}, {}}));
}

TEST_P(Invariance, OrderOfSequencesDoesNotChangeTheGradient) {
  auto shuffled = sequences_;
  Rng(8).shuffle(shuffled);
  expect_same(run(shuffled, {}));
}

TEST_P(Invariance, RecomputationGivesTheSameBits) {
  for (const int64_t keep : {0, 1, 2, 3}) {
    LayerwiseOptions layers;
    layers.keep_activations_layers = keep;
    EXPECT_TRUE(run(sequences_, {{64, true}, layers}).flat.equal(expected_.flat));
  }
}

TEST_P(Invariance, ChunkOfTheLossHeadDoesNotChangeTheGradient) {
  LayerwiseOptions layers;
  layers.loss_chunk_tokens = 3;
  expect_same(run(sequences_, {{64, true}, layers}));
}

TEST_P(Invariance, PackedLogprobsEqualThoseOfSingleSequences) {
  const auto logp_of = [&](const std::vector<TrainSequence>& sequences, PackingOptions packing) {
    std::vector<std::vector<float>> result(sequences.size());
    for (const auto& m : pack(sequences, packing)) {
      const at::Tensor logp = microbatch_logprobs(*model_, lora_.get(), m);
      const float* data = logp.const_data_ptr<float>();
      for (const auto& s : m.spans) {
        result[s.sequence].assign(data + s.begin, data + s.begin + s.length);
      }
    }
    return result;
  };
  const auto packed = logp_of(sequences_, {1000, true});
  for (size_t i = 0; i < sequences_.size(); ++i) {
    const auto alone = logp_of({sequences_[i]}, {1000, false})[0];
    ASSERT_EQ(alone.size(), packed[i].size());
    for (size_t t = 0; t < alone.size(); ++t) EXPECT_NEAR(alone[t], packed[i][t], 1e-5);
  }
}

// Conversations of two trained turns, and the same turns each with its own prompt.
TEST_P(Invariance, TurnsOfAConversationTrainedAtOnceGiveTheGradientOfEachAlone) {
  Rng rng(41);
  std::vector<TrainSequence> whole, turns;
  for (const auto& first : sequences_) {
    const double weight = 0.5 + rng.uniform();
    const auto between = test::random_ids(rng, 4), second = test::random_ids(rng, 5);
    TrainSequence both = first;
    both.weight = weight;
    both.trained.assign(first.completion_ids.size(), 1);
    both.trained.insert(both.trained.end(), between.size(), 0);
    both.trained.insert(both.trained.end(), second.size(), 1);
    for (const auto* part : {&between, &second}) {
      both.completion_ids.insert(both.completion_ids.end(), part->begin(), part->end());
    }
    TrainSequence later{first.prompt_ids, second, {}, weight};
    for (const auto* part : {&first.completion_ids, &between}) {
      later.prompt_ids.insert(later.prompt_ids.end(), part->begin(), part->end());
    }
    whole.push_back(both);
    turns.push_back({first.prompt_ids, first.completion_ids, {}, weight});
    turns.push_back(later);
  }
  expected_ = run(turns, {});
  for (const bool share : {true, false}) expect_same(run(whole, {{40, share}, {}}));
}

// Twice the weight is the example twice.
TEST_P(Invariance, AWeightCountsAnExampleSoManyTimes) {
  auto weighted = sequences_, repeated = sequences_;
  for (size_t i = 0; i < sequences_.size(); i += 3) {
    weighted[i].weight = 2;
    repeated.push_back(sequences_[i]);
  }
  expected_ = run(repeated, {});
  for (const int64_t size : {20, 1000}) expect_same(run(weighted, {{size, true}, {}}));
}

INSTANTIATE_TEST_SUITE_P(Weights, Invariance, testing::Values(true, false),
                         [](const auto& info) { return info.param ? "Lora" : "Full"; });

// Central differences of the loss along the gradient's own direction and along random ones.
TEST(Gradient, MatchesFiniteDifferencesOfTheLoss) {
  const auto sequences = test::random_sequences(4, 5, 2);
  for (const bool use_lora : {true, false}) {
    const auto model = test::tiny_model(/*tied=*/false);
    const auto lora = use_lora ? make_lora(model->config()) : nullptr;
    const at::Tensor gradient = gradients(*model, lora.get(), sequences, {}).flat;
    const auto parameters = in_order(LayerwiseTrainer(*model, lora.get(), {}));
    Rng rng(31);
    for (int trial = 0; trial < 3; ++trial) {
      at::Tensor direction = test::random_tensor({gradient.numel()}, rng);
      if (trial == 0) direction = gradient.clone();
      direction.div_(direction.norm());
      const auto move = [&](double by) {
        int64_t offset = 0;
        for (const auto& p : parameters) {
          at::Tensor part = direction.narrow(0, offset, p.tensor->numel()).view(p.tensor->sizes());
          p.tensor->detach().add_(part, by);
          offset += p.tensor->numel();
        }
        if (lora) lora->weights_changed();
      };
      constexpr double kStep = 5e-3;
      move(kStep);
      const double up = gradients(*model, lora.get(), sequences, {}).loss;
      move(-2 * kStep);
      const double down = gradients(*model, lora.get(), sequences, {}).loss;
      move(kStep);
      const double expected = gradient.mul(direction).sum().item<double>();
      EXPECT_NEAR((up - down) / (2 * kStep), expected, 1e-3 + 5e-3 * std::abs(expected));
    }
  }
}

// The mean over many completions of one token is that of one of them. In bf16 a sum of equal terms
// does not grow beyond 256 of them, so the 600 rows that end in one row of the prompt would give
// 0.43 of their gradient. Each parameter by itself: the head's gradient is summed elsewhere, and is
// the largest. Two roundings of bf16 in a row (2^-8 each) are between the two runs.
TEST(Gradient, OfASharedPromptCountsEveryCompletionInBf16) {
  const auto model = Transformer::random(test::tiny_config(), at::kBFloat16, 11, 0.2);
  std::vector<int> prompt(60);
  std::iota(prompt.begin(), prompt.end(), 1);
  const std::vector<TrainSequence> one = {{prompt, {7}}}, many(600, one[0]);
  const Setting setting{{10000, true}, {}};
  const Gradients expected = gradients(*model, nullptr, one, setting);
  const Gradients got = gradients(*model, nullptr, many, setting);
  EXPECT_NEAR(got.loss, expected.loss, 1e-6);
  const LayerwiseTrainer trainer(*model, nullptr, {});
  int64_t offset = 0;
  for (const auto& p : in_order(trainer)) {
    const int64_t size = p.tensor->numel();
    EXPECT_LT(test::relative_error(got.flat.narrow(0, offset, size),
                                   expected.flat.narrow(0, offset, size)),
              0.02)
        << p.name;
    offset += size;
  }
}

TEST(Learner, LowersTheLossOnWhatItSees) {
  const auto sequences = test::random_sequences(6, 3, 1);
  for (const bool use_lora : {true, false}) {
    const auto model = test::tiny_model();
    LearnOptions options;
    options.full_weights = !use_lora;
    Learner learner(model, use_lora ? make_lora(model->config()) : nullptr, options);
    double first = 0, last = 0;
    for (int step = 0; step < 30; ++step) {
      LoggedSum sum;
      const auto update = learner.update(sequences, supervised_loss(1, sum), 5e-3);
      EXPECT_TRUE(update.applied);
      (step == 0 ? first : last) = sum.value() / static_cast<double>(update.loss_tokens);
    }
    EXPECT_LT(last, first / 2);
  }
}

}  // namespace
}  // namespace weft
