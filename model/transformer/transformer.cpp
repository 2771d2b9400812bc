#include "model/transformer/transformer.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "model/ops/cpu/kernels.h"
#include "model/ops/cpu/mapped_tensor.h"
#include "model/ops/ops.h"
#include "model/transformer/decoder_layer.h"
#include "model/transformer/lora.h"
#include "model/transformer/rope.h"
#include "model/transformer/weights.h"

namespace weft {
namespace {

constexpr int64_t kLogitRows = 256;

}  // namespace

Transformer::Transformer(const TransformerConfig& config, at::ScalarType dtype)
    : config_(config), dtype_(dtype), rope_(make_rope_table(config)) {
  WEFT_ASSERT(dtype == at::kFloat || dtype == at::kBFloat16);
  embedding_ = kernels::mapped_tensor({config.vocab_size, config.hidden_size}, dtype);
  final_norm_ = at::empty({config.hidden_size}, dtype);
  if (!config.tie_word_embeddings) {
    lm_head_ = kernels::mapped_tensor({config.vocab_size, config.hidden_size}, dtype);
  }
  layers_.reserve(config.num_layers);
  for (int64_t l = 0; l < config.num_layers; ++l) {
    layers_.push_back(allocate_layer(config, dtype));
  }
}

std::unique_ptr<Transformer> Transformer::random(const TransformerConfig& config,
                                                 at::ScalarType dtype, uint64_t seed,
                                                 double stddev) {
  auto model = std::make_unique<Transformer>(config, dtype);
  Rng rng(seed);
  for (const NamedParameter& p : model->parameters()) {
    fill_random(*p.tensor, p.name.ends_with("norm.weight"), stddev, rng);
  }
  return model;
}

void Transformer::round_layer(int64_t l) { layers_[l] = rounded_layer(layers_[l]); }

void Transformer::round_head() {
  const at::NoGradGuard no_grad;
  lm_head_int8_ = kernels::to_int8(lm_head_.defined() ? lm_head_ : embedding_);
  (lm_head_.defined() ? lm_head_ : embedding_).reset();
}

void Transformer::to(at::Device device) {
  WEFT_ASSERT(!is_rounded());
  const at::NoGradGuard no_grad;
  embedding_ = embedding_.to(device);
  rope_ = rope_.to(device);
  final_norm_ = final_norm_.to(device);
  if (lm_head_.defined()) lm_head_ = lm_head_.to(device);
  for (TransformerLayer& layer : layers_) {
    layer = view_layer(config_, layer.flat.to(device));
  }
}

at::Tensor Transformer::embed(const at::Tensor& ids) const {
  if (!embedding_.defined()) return kernels::take_rows(lm_head_int8_, ids, dtype_);
  return ops::take_rows(embedding_, ids);
}

at::Tensor Transformer::layer_forward(int64_t layer, const at::Tensor& hidden,
                                      const Attention& attention, const Lora* lora) const {
  return decoder_layer(*this, layer, {hidden, {}}, attention, adapter_of_all(lora, hidden.size(0)))
      .sum();
}

at::Tensor Transformer::final_norm(const at::Tensor& hidden) const {
  return ops::rms_norm(hidden, final_norm_, config_.rms_norm_eps);
}

at::Tensor Transformer::logits(const at::Tensor& final_hidden, const at::Tensor& out) const {
  if (is_rounded()) return kernels::linear_f32(final_hidden, lm_head_int8_);
  return lm_head_logits(final_hidden, lm_head_weight(), out);
}

const at::Tensor& Transformer::lm_head_weight() const {
  WEFT_ASSERT(!is_rounded());
  return lm_head_.defined() ? lm_head_ : embedding_;
}

at::Tensor& Transformer::lm_head_weight() {
  return const_cast<at::Tensor&>(std::as_const(*this).lm_head_weight());
}

at::Tensor Transformer::forward(const at::Tensor& ids, const Attention& attention,
                                const Adapters& adapters, const at::Tensor& rows,
                                const StopCheck& stop) const {
  Residual x{embed(ids), {}, /*may_overwrite=*/true};
  for (int64_t l = 0; l < num_layers(); ++l) {
    look(stop);
    x = decoder_layer(*this, l, std::move(x), attention, adapters);
  }
  if (rows.defined()) {
    WEFT_ASSERT(!at::GradMode::is_enabled());
    x.hidden = ops::take_rows(x.hidden, rows);
    x.delta = ops::take_rows(x.delta, rows);
  }
  return add_norm(x, final_norm_, config_.rms_norm_eps);
}

at::Tensor Transformer::forward_hidden(const at::Tensor& ids, const PackedBatch& batch,
                                       const Lora* lora) const {
  return forward(ids, PackedAttention(*this, batch), adapter_of_all(lora, ids.size(0)));
}

at::Tensor lm_head_logits(const at::Tensor& final_hidden, const at::Tensor& weight,
                          const at::Tensor& out) {
  const at::NoGradGuard no_grad;
  return ops::linear_f32(final_hidden, weight, out);
}

at::Tensor Transformer::token_logprobs(const at::Tensor& final_hidden, const at::Tensor& targets,
                                       const StopCheck& stop) const {
  const at::NoGradGuard no_grad;
  const int64_t rows = final_hidden.size(0);
  at::Tensor result = at::empty({rows}, final_hidden.options().dtype(at::kFloat));
  for (int64_t first = 0; first < rows; first += kLogitRows) {
    look(stop);
    const int64_t count = std::min(kLogitRows, rows - first);
    const at::Tensor some = logits(final_hidden.narrow(0, first, count));
    result.narrow(0, first, count)
        .copy_(ops::token_logprobs(some, targets.narrow(0, first, count)));
  }
  return result;
}

std::vector<NamedParameter> Transformer::layer_parameters(int64_t l) {
  WEFT_ASSERT(!is_rounded());
  TransformerLayer& w = layers_[l];
  const std::string prefix = "layers." + std::to_string(l) + ".";
  std::vector<NamedParameter> named;
  const auto add = [&](const char* name, at::Tensor& t) {
    if (t.defined()) named.push_back({prefix + name, &t});
  };
  add("input_norm.weight", w.input_norm);
  add("qkv.weight", w.qkv);
  add("qkv.bias", w.qkv_bias);
  add("q_norm.weight", w.q_norm);
  add("k_norm.weight", w.k_norm);
  add("o.weight", w.o);
  add("o.bias", w.o_bias);
  add("post_norm.weight", w.post_norm);
  add("gate_up.weight", w.gate_up);
  add("gate_up.bias", w.gate_up_bias);
  add("down.weight", w.down);
  add("down.bias", w.down_bias);
  return named;
}

std::vector<NamedParameter> Transformer::global_parameters() {
  WEFT_ASSERT(!is_rounded());
  std::vector<NamedParameter> named = {{"embed.weight", &embedding_},
                                       {"final_norm.weight", &final_norm_}};
  if (lm_head_.defined()) named.push_back({"lm_head.weight", &lm_head_});
  return named;
}

std::vector<NamedParameter> Transformer::parameters() {
  std::vector<NamedParameter> all = global_parameters();
  for (int64_t l = 0; l < num_layers(); ++l) {
    for (NamedParameter& p : layer_parameters(l)) all.push_back(std::move(p));
  }
  return all;
}

std::vector<std::pair<std::string, at::Tensor>> Transformer::global_views() const {
  WEFT_ASSERT(!is_rounded());
  std::vector<std::pair<std::string, at::Tensor>> views = {
      {"model.embed_tokens.weight", embedding_}, {"model.norm.weight", final_norm_}};
  if (lm_head_.defined()) views.emplace_back("lm_head.weight", lm_head_);
  return views;
}

std::vector<std::pair<std::string, at::Tensor>> Transformer::layer_views(int64_t l) const {
  WEFT_ASSERT(!layers_[l].int8.qkv.defined());
  std::vector<std::pair<std::string, at::Tensor>> views;
  append_hugging_face_views(layers_[l], config_, l, views);
  return views;
}

std::vector<std::pair<std::string, at::Tensor>> Transformer::hugging_face_views() const {
  auto views = global_views();
  for (int64_t l = 0; l < num_layers(); ++l) {
    for (auto& view : layer_views(l)) views.push_back(std::move(view));
  }
  return views;
}

}  // namespace weft
