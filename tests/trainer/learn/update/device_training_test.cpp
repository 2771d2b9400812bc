// Losses and gradients on a GPU beside the CPU's. Built twice: learn_on_device_unit_tests run it on
// the fake device, learn_on_device_gpu_tests on a GPU. What differs is the order of sums, and in
// bf16 what is rounded on the way.
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "model/ops/cuda/cuda_ops.h"
#include "model/ops/tensor_device.h"
#include "tests/support/gpu_under_test.h"
#include "tests/trainer/learn/update/learn_support.h"
#include "trainer/learn/update/layerwise_trainer.h"
#include "trainer/learn/update/learner.h"

namespace weft {
namespace {

struct Case {
  at::ScalarType dtype = at::kFloat;
  bool lora = false;
  bool share_prompts = true;
  int64_t keep_activations_layers = -1;
  double temperature = 1;
  int64_t keep_activations_every = 0;
  bool offload_activations = false;
  bool offload_kept_layers = false;
  bool dora = false;
};

struct Gradients {
  at::Tensor flat;  // on the CPU
  double loss = 0;
  std::vector<float> logprobs;
};

std::shared_ptr<Lora> random_lora(const Transformer& model, bool dora) {
  Rng rng(21);
  LoraConfig config{4, 8};
  config.use_dora = dora;
  auto lora = std::make_shared<Lora>(model.config(), config, rng);
  for (auto& p : lora->parameters()) {
    if (!p.name.ends_with("lora_B")) continue;
    p.tensor->copy_(test::random_tensor(p.tensor->sizes().vec(), rng, 0.1));
  }
  lora->weights_changed();
  if (dora) lora->take_magnitudes(model);
  return lora;
}

/// Weights rounded to `dtype`, for computing in it or in fp32.
std::shared_ptr<Transformer> random_model(at::ScalarType dtype, bool in_fp32) {
  const TransformerConfig config = test::tiny_config(/*tied=*/dtype == at::kFloat);
  std::shared_ptr<Transformer> rounded = Transformer::random(config, dtype, 11, 0.2);
  if (!in_fp32) return rounded;
  std::shared_ptr<Transformer> wide = Transformer::random(config, at::kFloat, 11, 0.2);
  const auto from = rounded->parameters(), to = wide->parameters();
  for (size_t i = 0; i < to.size(); ++i) to[i].tensor->copy_(*from[i].tensor);
  return wide;
}

Gradients gradients_on(at::Device device, const Case& c, bool in_fp32 = false) {
  const auto model = random_model(c.dtype, in_fp32);
  const auto lora = c.lora ? random_lora(*model, c.dora) : nullptr;
  model->to(device);
  if (lora) lora->to(device);
  if (lora) lora->bind(*model);
  LayerwiseOptions options;
  options.keep_activations_layers = c.keep_activations_layers;
  options.temperature = c.temperature;
  options.keep_activations_every = c.keep_activations_every;
  options.offload_activations = c.offload_activations;
  options.offload_kept_layers = c.offload_kept_layers;
  LayerwiseTrainer trainer(*model, lora.get(), options);
  ParameterStore store(trainer.layers());
  const auto sequences = test::random_sequences(12, 77, 3);
  int64_t tokens = 0;
  for (const auto& s : sequences) tokens += static_cast<int64_t>(s.completion_ids.size());
  Gradients result;
  LoggedSum sum;
  const MicrobatchLoss loss = supervised_loss(tokens, sum);
  for (const Microbatch& microbatch : pack(sequences, {64, c.share_prompts})) {
    trainer.forward_backward(microbatch, loss(microbatch), store);
    const at::Tensor logp =
        microbatch_logprobs(*model, lora.get(), microbatch, c.temperature).cpu();
    const float* values = logp.const_data_ptr<float>();
    result.logprobs.insert(result.logprobs.end(), values, values + logp.numel());
  }
  EXPECT_EQ(store.flat_gradient().device(), device);
  result.flat = store.flat_gradient().cpu();
  result.loss = sum.value() / static_cast<double>(tokens);
  return result;
}

/// Errors of logprobs.
struct Errors {
  double largest = 0, root_mean_square = 0;

  Errors(const std::vector<float>& got, const std::vector<float>& exact) {
    for (size_t i = 0; i < exact.size(); ++i) {
      const double error = std::abs(double{got[i]} - double{exact[i]});
      largest = std::max(largest, error);
      root_mean_square += error * error / static_cast<double>(exact.size());
    }
    root_mean_square = std::sqrt(root_mean_square);
  }
};

// Against the same weights in fp32: the device rounds as many values to bf16 as the CPU does, only
// others where sums end up on another side. Its errors are of the CPU's size, up to what two
// samples of such errors differ by, which is far from a factor of 2; that of the mean loss is at
// most the root mean square.
void expect_no_larger_errors(const Case& c) {
  const Gradients exact = gradients_on(at::kCPU, c, /*in_fp32=*/true);
  const Gradients cpu = gradients_on(at::kCPU, c);
  const Gradients got = gradients_on(tensor_device(test::the_gpu().device), c);
  ASSERT_GT(test::relative_error(cpu.flat, exact.flat), 0x1p-9) << "nothing was rounded";
  EXPECT_LT(test::relative_error(got.flat, exact.flat),
            2 * test::relative_error(cpu.flat, exact.flat));
  ASSERT_EQ(got.logprobs.size(), exact.logprobs.size());
  const Errors of_cpu(cpu.logprobs, exact.logprobs), of_device(got.logprobs, exact.logprobs);
  EXPECT_LT(of_device.root_mean_square, 2 * of_cpu.root_mean_square);
  EXPECT_LT(of_device.largest, 2 * of_cpu.largest);
  EXPECT_NEAR(got.loss, exact.loss, 2 * of_cpu.root_mean_square);
}

void expect_same(const Case& c) {
  if (c.dtype == at::kBFloat16) return expect_no_larger_errors(c);
  const Gradients expected = gradients_on(at::kCPU, c);
  const Gradients got = gradients_on(tensor_device(test::the_gpu().device), c);
  ASSERT_GT(expected.flat.norm().item<double>(), 1e-3);
  // Sums of fewer than 256 terms, in orders of their own; logits are of the size of 10.
  constexpr double kOrder = 256 * 0x1p-24;
  EXPECT_LT(test::relative_error(got.flat, expected.flat), kOrder);
  EXPECT_NEAR(got.loss, expected.loss, kOrder * expected.loss);
  ASSERT_EQ(got.logprobs.size(), expected.logprobs.size());
  EXPECT_LT(Errors(got.logprobs, expected.logprobs).largest, 10 * kOrder);
}

class TrainingOnDevice : public testing::Test {
 protected:
  void SetUp() override {
    if (test::the_gpu().device.library == nullptr) GTEST_SKIP() << test::the_gpu().reason;
    ops::install_cuda_forms(test::the_gpu().device);
  }
};

TEST_F(TrainingOnDevice, GradientsOfEveryWeightAreTheCpus) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) expect_same({dtype});
}

TEST_F(TrainingOnDevice, GradientsOfAnAdapterAreTheCpus) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) expect_same({dtype, true});
}

TEST_F(TrainingOnDevice, RecomputedLayersAndPromptsOfTheirOwnChangeNothing) {
  for (const bool lora : {false, true}) {
    expect_same({at::kFloat, lora, /*share_prompts=*/false});
    expect_same({at::kFloat, lora, true, /*keep_activations_layers=*/1});
  }
  expect_same({at::kBFloat16, false, false, 0});
}

TEST_F(TrainingOnDevice, TheTemperatureDividesTheLogitsOfTheLoss) {
  expect_same({at::kFloat, false, true, -1, /*temperature=*/0.7});
}

// On the CPU, too, where nothing is offloaded.
TEST_F(TrainingOnDevice, EveryKthLayerKeptAndInputsOnTheHostChangeNoBit) {
  const at::Device device = tensor_device(test::the_gpu().device);
  for (const bool lora : {false, true}) {
    const auto with = [&](at::Device on, int64_t last, int64_t every, bool offload) {
      return gradients_on(on, {at::kBFloat16, lora, true, last, 1, every, offload});
    };
    for (const at::Device on : {at::Device(at::kCPU), device}) {
      const Gradients expected = with(on, -1, 0, false);
      for (const auto& [last, every] :
           {std::pair<int64_t, int64_t>{0, 0}, {0, 1}, {0, 2}, {0, 3}, {1, 2}, {2, 0}}) {
        for (const bool offload : {false, true}) {
          const Gradients got = with(on, last, every, offload);
          EXPECT_EQ(got.loss, expected.loss) << last << " " << every;
          EXPECT_TRUE(got.flat.equal(expected.flat)) << last << " " << every << " " << offload;
        }
      }
    }
  }
}

TEST_F(TrainingOnDevice, WhatKeptLayersSaveComesBackFromTheHostWithItsBits) {
  const at::Device device = tensor_device(test::the_gpu().device);
  for (const bool dora : {false, true}) {
    for (const bool lora : {dora, true}) {
      Case c{at::kBFloat16, lora};
      c.dora = dora;
      const Gradients expected = gradients_on(device, c);
      for (const auto& [last, every] : {std::pair<int64_t, int64_t>{-1, 0}, {2, 0}, {0, 2}}) {
        for (const bool inputs : {false, true}) {
          c.keep_activations_layers = last;
          c.keep_activations_every = every;
          c.offload_activations = inputs;
          c.offload_kept_layers = true;
          const Gradients got = gradients_on(device, c);
          EXPECT_EQ(got.loss, expected.loss) << last << " " << every;
          EXPECT_TRUE(got.flat.equal(expected.flat)) << last << " " << every << " " << inputs;
        }
      }
    }
  }
}

/// By how much three updates move the weights, end to end, on the CPU.
at::Tensor moved_on(at::Device device, OptimizerKind kind, at::ScalarType dtype,
                    bool in_fp32 = false) {
  const auto model = random_model(dtype, in_fp32);
  const auto flat = [&] {
    std::vector<at::Tensor> parts;
    for (const NamedParameter& p : model->parameters()) {
      parts.push_back(p.tensor->detach().to(at::kFloat).flatten().cpu());
    }
    return at::cat(parts);
  };
  const at::Tensor before = flat();
  model->to(device);
  LearnOptions options;
  options.full_weights = true;
  options.optimizer.kind = kind;
  Learner learner(model, nullptr, options);
  const auto sequences = test::random_sequences(6, 5, 2);
  for (int i = 0; i < 3; ++i) {
    LoggedSum loss;
    const UpdateResult result =
        learner.update(sequences, supervised_loss(/*num_tokens=*/100, loss), /*lr=*/1e-2);
    EXPECT_TRUE(result.applied);
  }
  return flat() - before;
}

// A weight whose gradient is nothing but rounding moves by the rate in either direction: 0.02 are
// two such weights of 25,000. On a GPU Muon's polynomial is computed in bf16: 15 products, each
// rounded to 2^-9 of itself.
TEST_F(TrainingOnDevice, UpdatesOfEveryOptimizerAreTheCpus) {
  for (const OptimizerKind kind : {OptimizerKind::kAdamW, OptimizerKind::kAdamW8bit,
                                   OptimizerKind::kMuon, OptimizerKind::kAdamWBf16}) {
    const at::Tensor expected = moved_on(at::kCPU, kind, at::kFloat);
    const at::Tensor got = moved_on(tensor_device(test::the_gpu().device), kind, at::kFloat);
    ASSERT_GT(expected.norm().item<double>(), 1e-2);
    EXPECT_LT(test::relative_error(got, expected),
              kind == OptimizerKind::kMuon ? 15 * 0x1p-9 : 0.02)
        << static_cast<int>(kind);
  }
}

// Of weights in bf16 without masters, against the same weights in fp32. Both round an updated
// weight by the same random bits, so that they end apart only where their gradients are.
TEST_F(TrainingOnDevice, UpdatesOfRoundedWeightsHaveNoLargerErrorsThanTheCpus) {
  const auto kind = OptimizerKind::kAdamWBf16;
  const at::Tensor exact = moved_on(at::kCPU, kind, at::kBFloat16, /*in_fp32=*/true);
  const at::Tensor cpu = moved_on(at::kCPU, kind, at::kBFloat16);
  const at::Tensor got = moved_on(tensor_device(test::the_gpu().device), kind, at::kBFloat16);
  EXPECT_LT(test::relative_error(got, exact), 1.25 * test::relative_error(cpu, exact));
}

}  // namespace
}  // namespace weft
