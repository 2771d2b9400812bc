// Engines on models whose linear weights are rounded to int8.
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "base/rng.h"
#include "model/checkpoint/hf_model.h"
#include "model/engine/engine.h"
#include "model/ops/cpu/int8.h"
#include "tests/support/support.h"

namespace weft {
namespace {

EngineOptions small_options() {
  EngineOptions options;
  options.max_batch = 16;
  options.kv_mb = 4;
  return options;
}

std::unique_ptr<Engine> engine_of(std::shared_ptr<Transformer> model) {
  return std::make_unique<Engine>(std::move(model), nullptr, nullptr, small_options());
}

std::string path_of(const std::string& name) { return test::fixture(name).string(); }

// A model in fp32 with the values to which int8 rounds its linear weights and a tied embedding.
std::shared_ptr<Transformer> with_rounded_values(const std::string& name) {
  std::shared_ptr<Transformer> model = load_transformer(path_of(name), at::kFloat);
  const auto round = [](at::Tensor& w) {
    const at::NoGradGuard no_grad;
    w.copy_(kernels::take_rows(kernels::to_int8(w), at::arange(w.size(0), at::kLong), at::kFloat));
  };
  for (int64_t l = 0; l < model->num_layers(); ++l) {
    TransformerLayer& layer = model->layer(l);
    for (at::Tensor* w : {&layer.qkv, &layer.o, &layer.gate_up, &layer.down}) round(*w);
  }
  round(model->lm_head_weight());
  return model;
}

std::vector<int32_t> random_ids(size_t n, uint64_t seed) {
  Rng rng(seed);
  std::vector<int32_t> ids(n);
  for (int32_t& id : ids) id = static_cast<int32_t>(3 + rng.below(300));
  return ids;
}

std::vector<LogprobRequest> texts(const std::string& adapter = "") {
  std::vector<LogprobRequest> requests;
  for (uint64_t i = 0; i < 4; ++i) {
    requests.push_back({random_ids(5 + 20 * i, i), random_ids(30, 10 + i), adapter});
  }
  return requests;
}

std::vector<TextRequest> requests_of_several_lengths(int max_tokens = 10) {
  std::vector<TextRequest> requests;
  for (uint64_t i = 0; i < 9; ++i) {
    TextRequest request;
    request.prompt = random_ids(1 + 13 * i, i);
    request.sampling.max_tokens = max_tokens;
    request.sampling.seed = i;
    request.sampling.ignore_eos = true;
    requests.push_back(request);
  }
  return requests;
}

float worst_difference(const std::vector<std::vector<float>>& a,
                       const std::vector<std::vector<float>>& b) {
  float worst = 0;
  EXPECT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].size(), b[i].size());
    for (size_t t = 0; t < a[i].size(); ++t) worst = std::max(worst, std::abs(a[i][t] - b[i][t]));
  }
  return worst;
}

// Engine.Bf16LogprobsStayNearFp32 allows 0.2 for activations of 8 bits (2^-9 of each element).
// Activations of 16 bits move by at most 2^-16 of their row's greatest element, 2^-7 of that.
constexpr float kActivationTolerance = 0.2f / 128;

class Int8Engine : public testing::TestWithParam<const char*> {};

INSTANTIATE_TEST_SUITE_P(Tiny, Int8Engine,
                         testing::Values("tiny_llama", "tiny_qwen2", "tiny_qwen3", "tiny_mistral"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(Int8Engine, LogprobsAreThoseOfTheRoundedWeights) {
  const auto int8 = engine_of(load_for_inference(path_of(GetParam()), {at::kFloat, true}));
  const auto exact = engine_of(with_rounded_values(GetParam()));
  EXPECT_LE(worst_difference(int8->logprobs(texts()), exact->logprobs(texts())),
            kActivationTolerance);
}

// Half a step is 1/254 of a row's greatest weight, twice what bf16 moves an element of that size,
// and as much for the smaller ones: twice the bound of Engine.Bf16LogprobsStayNearFp32 and, with
// bf16 activations, that bound once more.
TEST_P(Int8Engine, LogprobsStayNearFp32) {
  const auto int8 = Engine::from_directory(path_of(GetParam()), "int8", small_options());
  const auto f32 = Engine::from_directory(path_of(GetParam()), "f32", small_options());
  const float worst = worst_difference(int8->logprobs(texts()), f32->logprobs(texts()));
  EXPECT_LE(worst, 0.6f);
  EXPECT_GT(worst, 0);
}

TEST_P(Int8Engine, DecodingGivesTheLogprobsOfGivenIds) {
  const auto engine = engine_of(load_for_inference(path_of(GetParam()), {at::kFloat, true}));
  std::vector<LogprobRequest> decoded;
  std::vector<std::vector<float>> logprobs;
  for (const TextResponse& r : engine->complete_all(requests_of_several_lengths())) {
    ASSERT_EQ(r.status, ResponseStatus::kOk) << r.error;
    decoded.push_back({r.prompt_ids, r.choices[0].ids, ""});
    logprobs.push_back(r.choices[0].logprobs);
  }
  EXPECT_LE(worst_difference(engine->logprobs(decoded), logprobs), 1e-5f);  // as Engine's
}

TEST(Int8Engine, BatchingChangesNoBit) {
  const auto engine = Engine::from_directory(path_of("tiny_llama"), "int8", small_options());
  const auto requests = requests_of_several_lengths();
  const auto together = engine->complete_all(requests);
  for (size_t i = 0; i < requests.size(); ++i) {
    const TextResponse alone = engine->complete(requests[i]);
    ASSERT_EQ(alone.status, ResponseStatus::kOk) << alone.error;
    EXPECT_EQ(alone.choices[0].ids, together[i].choices[0].ids);
    EXPECT_EQ(alone.choices[0].logprobs, together[i].choices[0].logprobs);
  }
}

TEST(Int8Engine, AdaptersWorkOverRoundedWeights) {
  const auto int8 = engine_of(load_for_inference(path_of("tiny_llama"), {at::kFloat, true}));
  const auto exact = engine_of(with_rounded_values("tiny_llama"));
  for (Engine* engine : {int8.get(), exact.get()}) {
    engine->set_adapter("a", Lora::load(path_of("tiny_llama_lora"), engine->model().config()));
  }
  const auto adapted = int8->logprobs(texts("a"));
  EXPECT_LE(worst_difference(adapted, exact->logprobs(texts("a"))), kActivationTolerance);
  EXPECT_GT(worst_difference(adapted, int8->logprobs(texts())), 10 * kActivationTolerance);
  TextRequest request = requests_of_several_lengths()[4];
  request.adapter = "a";
  const TextResponse response = int8->complete(request);
  ASSERT_EQ(response.status, ResponseStatus::kOk) << response.error;
  const auto again = int8->logprobs({{response.prompt_ids, response.choices[0].ids, "a"}});
  EXPECT_LE(worst_difference(again, {response.choices[0].logprobs}), kActivationTolerance);
}

TEST(Int8Engine, RefusesAnAdapterThatNeedsTheWeightsAsTheyAre) {
  const auto engine = engine_of(load_for_inference(path_of("tiny_llama"), {at::kFloat, true}));
  LoraConfig config;
  config.use_dora = true;
  Rng rng(1);
  const auto lora = std::make_shared<Lora>(engine->model().config(), config, rng);
  try {
    engine->set_adapter("a", lora);
    FAIL() << "it was taken";
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("use_dora"), std::string::npos) << error.what();
  }
}

TEST(Int8Engine, NothingOfTheRoundedWeightsStays) {
  const auto model = load_for_inference(path_of("tiny_llama"), {at::kBFloat16, true});
  EXPECT_TRUE(model->is_rounded());
  for (int64_t l = 0; l < model->num_layers(); ++l) {
    const TransformerLayer& w = model->layer(l);
    EXPECT_TRUE(w.int8.down.defined());
    for (const at::Tensor* t : {&w.flat, &w.qkv, &w.o, &w.gate_up, &w.down}) {
      EXPECT_FALSE(t->defined());
    }
    // A view would keep the layer's whole buffer.
    EXPECT_EQ(w.input_norm.storage().nbytes(), w.input_norm.nbytes());
  }
}

TEST(Int8Engine, ARoundedModelCannotBeTrainedOrSaved) {
  const test::TempDir dir;
  const auto model = load_for_inference(path_of("tiny_llama"), {at::kFloat, true});
  EXPECT_THROW(model->parameters(), std::logic_error);
  EXPECT_THROW(model->lm_head_weight(), std::logic_error);
  EXPECT_THROW(save_transformer(*model, path_of("tiny_llama"), (dir / "saved").string()),
               std::logic_error);
  const std::vector<int64_t> lengths = {3};
  const PackedBatch batch = PackedBatch::from_lengths(lengths);
  EXPECT_THROW(model->forward_hidden(at::zeros({3}, at::kLong), batch), std::logic_error);
}

TEST(Int8Engine, ItsNameSaysThatItIsRounded) {
  EXPECT_EQ(Engine::from_directory(path_of("tiny_llama"), "int8", small_options())->name(),
            path_of("tiny_llama") + "-int8");
}

}  // namespace
}  // namespace weft
