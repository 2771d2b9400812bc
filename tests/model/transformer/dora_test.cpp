// DoRA: the update of a layer with trained lengths of its rows, beside its formula.
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include "base/file.h"
#include "base/json.h"
#include "model/checkpoint/safetensors.h"
#include "model/ops/ops.h"
#include "model/transformer/decoder_layer.h"
#include "model/transformer/lora.h"
#include "model/transformer/lora_gradient.h"
#include "tests/support/support.h"

namespace weft {
namespace {

at::Tensor random_tensor(at::IntArrayRef shape, Rng& rng, double scale) {
  at::Tensor result = at::empty(shape, at::kFloat);
  for (int64_t i = 0; i < result.numel(); ++i) {
    result.data_ptr<float>()[i] = static_cast<float>(scale * rng.normal());
  }
  return result;
}

TransformerConfig shape(bool bias) {
  TransformerConfig c;
  c.vocab_size = 31;
  c.hidden_size = 32;
  c.intermediate_size = 48;
  c.num_layers = 2;
  c.num_heads = 4;
  c.num_kv_heads = 2;
  c.head_dim = 8;
  c.max_positions = 64;
  c.qkv_bias = bias;
  return c;
}

LoraConfig config_of(std::vector<std::string> targets) {
  LoraConfig config;
  config.rank = 3;
  config.alpha = 6;
  config.use_dora = true;
  config.targets = std::move(targets);
  return config;
}

struct Subject {
  std::unique_ptr<Transformer> model;
  std::unique_ptr<Lora> lora;

  explicit Subject(bool bias, std::vector<std::string> targets = LoraConfig{}.targets) {
    Rng rng(4);
    model = Transformer::random(shape(bias), at::kFloat, 3, 0.2);
    if (bias)
      model->layer(0).qkv_bias.copy_(random_tensor({model->layer(0).qkv_bias.size(0)}, rng, 1));
    lora = std::make_unique<Lora>(shape(bias), config_of(std::move(targets)), rng);
    lora->take_magnitudes(*model);
  }
  /// Makes base, update and lengths differ.
  void stir() {
    Rng rng(5);
    for (const NamedParameter& p : lora->parameters()) {
      p.tensor->add_(random_tensor(p.tensor->sizes(), rng, 0.1));
    }
    lora->weights_changed();
  }
};

/// arXiv:2402.09353, eq. 5 with the norm a constant, as PEFT's DoraLinearLayer computes it.
at::Tensor by_formula(const at::Tensor& x, const at::Tensor& w, const at::Tensor& bias,
                      const at::Tensor& a, const at::Tensor& b, const at::Tensor& m, double scale) {
  const at::Tensor whole = w + b.mm(a) * scale;
  const at::Tensor norm = whole.detach().square().sum(1).sqrt();
  const at::Tensor y = m / norm * (x.mm(w.t()) + x.mm(a.t()).mm(b.t()) * scale);
  return bias.defined() ? y + bias : y;
}

double distance(const at::Tensor& a, const at::Tensor& b) {
  return (a - b).abs().max().item<double>() / b.abs().max().item<double>();
}

TEST(Dora, OfAFreshAdapterChangesNothing) {
  for (const bool bias : {false, true}) {
    Subject s(bias);
    const at::NoGradGuard no_grad;
    const at::Tensor ids = index_tensor({1, 5, 9, 2, 30});
    const int64_t lengths[] = {5};
    const PackedBatch batch = PackedBatch::from_lengths(lengths);
    const at::Tensor plain = s.model->forward_hidden(ids, batch);
    EXPECT_LT(distance(s.model->forward_hidden(ids, batch, s.lora.get()), plain), 1e-6);
    s.stir();
    EXPECT_GT(distance(s.model->forward_hidden(ids, batch, s.lora.get()), plain), 1e-2);
  }
}

TEST(Dora, GivesTheFormulasValuesAndGradients) {
  for (const bool bias : {false, true}) {
    Subject s(bias);
    s.stir();
    s.lora->set_trainable(true);
    const TransformerLayer& w = s.model->layer(0);
    Rng rng(7);
    at::Tensor x = random_tensor({6, 32}, rng, 1), g = random_tensor({6, w.qkv.size(0)}, rng, 1);
    x.set_requires_grad(true);
    const LoraUpdate update = s.lora->update(0, FusedLinear::kQkv, at::kFloat, at::kCPU);
    ASSERT_EQ(update.factors.size(), 3u);
    const at::Tensor y = add_update(ops::linear(x, w.qkv, w.qkv_bias), x, update);
    std::vector<at::Tensor> parts, leaves = {x};
    for (const LoraFactors& f : update.factors) {
      const int64_t rows = f.b.size(0);
      const auto of = [&](const at::Tensor& t) {
        return t.defined() ? t.narrow(0, f.first_row, rows) : t;
      };
      parts.push_back(by_formula(x, of(w.qkv), of(w.qkv_bias), f.a, f.b, f.magnitude, 2));
      for (const at::Tensor& leaf : {f.a, f.b, f.magnitude}) leaves.push_back(leaf);
    }
    const at::Tensor expected = at::cat(parts, 1);
    EXPECT_LT(distance(y, expected), 1e-5);
    const auto got = torch::autograd::grad({y}, leaves, {g});
    const auto wanted = torch::autograd::grad({expected}, leaves, {g});
    for (size_t i = 0; i < leaves.size(); ++i) EXPECT_LT(distance(got[i], wanted[i]), 1e-5) << i;
  }
}

TEST(Dora, LeavesProjectionsWithoutAnAdapterAsTheyAre) {
  Subject s(/*bias=*/true, {"k_proj"});
  s.stir();
  const auto update = [&](FusedLinear which) {
    return s.lora->update(0, which, at::kFloat, at::kCPU);
  };
  EXPECT_FALSE(update(FusedLinear::kO).a.defined());
  const at::Tensor gain = update(FusedLinear::kQkv).gain;
  EXPECT_TRUE(gain.narrow(0, 0, 32).eq(1).all().item<bool>());
  EXPECT_FALSE(gain.narrow(0, 32, 16).eq(1).any().item<bool>());
}

TEST(Dora, IsAPeftDirectory) {
  Subject s(/*bias=*/false);
  s.stir();
  test::TempDir dir;
  const std::string path = (dir / "adapter").string();
  s.lora->save(path, "base");
  EXPECT_EQ(read_json_file(fs::path(path) / "adapter_config.json")["use_dora"], true);
  const SafetensorsReader file(path + "/adapter_model.safetensors");
  const std::string name = "base_model.model.model.layers.1.mlp.down_proj.lora_magnitude_vector";
  ASSERT_TRUE(file.contains(name));
  EXPECT_EQ(file.tensor(name).sizes(), at::IntArrayRef({32}));
  const auto again = Lora::load(path, shape(false));
  EXPECT_TRUE(again->config().use_dora);
  for (int64_t l = 0; l < 2; ++l) EXPECT_TRUE(again->flat(l).equal(s.lora->flat(l)));
}

}  // namespace
}  // namespace weft
