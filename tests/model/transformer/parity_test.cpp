// Tiny random models against transformers and peft, fp32. Logits are of order 5 and gradients of
// order 1, computed by sums of 16 to 64 products: rounding alone gives about 2e-6.
#include <ATen/TensorOperators.h>
#include <gtest/gtest.h>

#include "tests/model/transformer/fixture.h"

namespace weft {
namespace {

constexpr double kTolerance = 1e-5;

class ModelParity : public testing::TestWithParam<const char*> {};

TEST_P(ModelParity, LogitsEqualTransformers) {
  const test::TinyFixture f(GetParam());
  const at::Tensor difference = (f.logits(f.lora.get()) - f.expected_logits()).abs();
  EXPECT_LE(difference.max().item<double>(), kTolerance);
}

TEST_P(ModelParity, LossEqualsTransformers) {
  const test::TinyFixture f(GetParam());
  EXPECT_NEAR(f.loss(f.lora.get()).item<double>(), f.json["loss"].get<double>(), kTolerance);
}

INSTANTIATE_TEST_SUITE_P(Tiny, ModelParity,
                         testing::Values("tiny_llama", "tiny_qwen2", "tiny_qwen3", "tiny_mistral",
                                         "tiny_llama_lora"),
                         [](const auto& info) { return std::string(info.param); });

class GradientParity : public testing::TestWithParam<const char*> {};

TEST_P(GradientParity, WeightGradientsEqualTransformers) {
  test::TinyFixture f(GetParam());
  for (const NamedParameter& p : f.model->parameters()) p.tensor->set_requires_grad(true);
  f.loss(nullptr).backward();
  std::vector<std::pair<std::string, at::Tensor>> gradients;
  {
    // The same splitting into Hugging Face names, applied to the gradients.
    for (const NamedParameter& p : f.model->parameters()) {
      const at::Tensor gradient = p.tensor->grad();
      p.tensor->set_requires_grad(false);
      p.tensor->copy_(gradient);
    }
    gradients = f.model->hugging_face_views();
  }
  ASSERT_EQ(gradients.size(), f.json["gradients"].size());
  for (const auto& [name, gradient] : gradients) {
    EXPECT_LE(f.gradient_error(name, gradient), kTolerance) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Tiny, GradientParity,
                         testing::Values("tiny_llama", "tiny_qwen2", "tiny_qwen3", "tiny_mistral"),
                         [](const auto& info) { return std::string(info.param); });

TEST(LoraParity, AdapterGradientsEqualPeft) {
  test::TinyFixture f("tiny_llama_lora");
  f.lora->set_trainable(true);
  f.loss(f.lora.get()).backward();
  size_t compared = 0;
  for (const NamedParameter& p : f.lora->parameters()) {
    // "layers.0.q_proj.lora_A" -> "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
    std::string name = p.name;
    const size_t dot = name.find('.', 7);
    const bool mlp = name.find("gate") != name.npos || name.find("up_") != name.npos ||
                     name.find("down") != name.npos;
    name.insert(dot, mlp ? ".mlp" : ".self_attn");
    name = "base_model.model.model." + name + ".weight";
    EXPECT_LE(f.gradient_error(name, p.tensor->grad()), kTolerance) << name;
    ++compared;
  }
  EXPECT_EQ(compared, f.json["gradients"].size());
}

}  // namespace
}  // namespace weft
