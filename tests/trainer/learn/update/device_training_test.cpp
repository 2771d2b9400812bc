// Losses and gradients on a GPU beside the CPU's. Built twice: learn_on_device_unit_tests run it on
// the fake device, learn_on_device_gpu_tests on a GPU. What differs is the order of sums, and in
// bf16 what is rounded on the way.
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <gtest/gtest.h>

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
};

struct Gradients {
  at::Tensor flat;  // on the CPU
  double loss = 0;
  std::vector<float> logprobs;
};

std::shared_ptr<Lora> random_lora(const TransformerConfig& config) {
  Rng rng(21);
  auto lora = std::make_shared<Lora>(config, LoraConfig{4, 8}, rng);
  for (auto& p : lora->parameters()) {
    if (!p.name.ends_with("lora_B")) continue;
    p.tensor->copy_(test::random_tensor(p.tensor->sizes().vec(), rng, 0.1));
  }
  lora->weights_changed();
  return lora;
}

std::shared_ptr<Transformer> random_model(at::ScalarType dtype) {
  return Transformer::random(test::tiny_config(/*tied=*/dtype == at::kFloat), dtype, 11, 0.2);
}

Gradients gradients_on(at::Device device, const Case& c) {
  const auto model = random_model(c.dtype);
  const auto lora = c.lora ? random_lora(model->config()) : nullptr;
  model->to(device);
  if (lora) lora->to(device);
  LayerwiseOptions options;
  options.keep_activations_layers = c.keep_activations_layers;
  options.temperature = c.temperature;
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

void expect_same(const Case& c) {
  const Gradients expected = gradients_on(at::kCPU, c);
  const Gradients got = gradients_on(tensor_device(test::the_gpu().device), c);
  ASSERT_GT(expected.flat.norm().item<double>(), 1e-3);
  // fp32 sums of fewer than 256 terms; in bf16 every value is rounded to 2^-9 of itself in each of
  // some twenty operations of three layers, forward and backward.
  const bool wide = c.dtype == at::kFloat;
  EXPECT_LT(test::relative_error(got.flat, expected.flat), wide ? 256 * 0x1p-24 : 20 * 0x1p-9);
  EXPECT_NEAR(got.loss, expected.loss, (wide ? 256 * 0x1p-24 : 20 * 0x1p-9) * expected.loss);
  ASSERT_EQ(got.logprobs.size(), expected.logprobs.size());
  for (size_t i = 0; i < got.logprobs.size(); ++i) {
    ASSERT_NEAR(got.logprobs[i], expected.logprobs[i], wide ? 1e-4 : 0.3) << i;
  }
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

/// By how much three updates move the weights, end to end, on the CPU.
at::Tensor moved_on(at::Device device, OptimizerKind kind, at::ScalarType dtype) {
  const auto model = random_model(dtype);
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
        learner.step(sequences, supervised_loss(/*num_tokens=*/100, loss), /*lr=*/1e-2);
    EXPECT_TRUE(result.applied);
  }
  return flat() - before;
}

// A weight whose gradient is nothing but rounding moves by the rate in either direction; there are
// few of them, and of bf16, whose steps are 2^-8 of a weight, no more. On a GPU Muon's polynomial
// is computed in bf16: 15 products, each rounded to 2^-9 of itself.
TEST_F(TrainingOnDevice, UpdatesOfEveryOptimizerAreTheCpus) {
  for (const OptimizerKind kind : {OptimizerKind::kAdamW, OptimizerKind::kAdamW8bit,
                                   OptimizerKind::kMuon, OptimizerKind::kAdamWBf16}) {
    const auto dtype = kind == OptimizerKind::kAdamWBf16 ? at::kBFloat16 : at::kFloat;
    const at::Tensor expected = moved_on(at::kCPU, kind, dtype);
    const at::Tensor got = moved_on(tensor_device(test::the_gpu().device), kind, dtype);
    ASSERT_GT(expected.norm().item<double>(), 1e-2);
    const double most = kind == OptimizerKind::kMuon ? 15 * 0x1p-9 : 0.02;
    EXPECT_LT(test::relative_error(got, expected), dtype == at::kFloat ? most : 0.1)
        << static_cast<int>(kind);
  }
}

}  // namespace
}  // namespace weft
