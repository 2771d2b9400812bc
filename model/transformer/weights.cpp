#include "model/transformer/weights.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

#include "model/ops/cpu/mapped_tensor.h"

namespace weft {
namespace {

struct Slot {
  at::Tensor TransformerLayer::*member;
  std::vector<int64_t> shape;

  int64_t size() const {
    int64_t n = 1;
    for (int64_t d : shape) n *= d;
    return n;
  }
};

std::vector<Slot> layer_slots(const TransformerConfig& c) {
  const int64_t h = c.hidden_size, f = c.intermediate_size, qkv = c.q_size() + 2 * c.kv_size();
  std::vector<Slot> slots = {
      {&TransformerLayer::input_norm, {h}},     {&TransformerLayer::qkv, {qkv, h}},
      {&TransformerLayer::o, {h, c.q_size()}},  {&TransformerLayer::post_norm, {h}},
      {&TransformerLayer::gate_up, {2 * f, h}}, {&TransformerLayer::down, {h, f}}};
  if (c.qkv_bias) slots.push_back({&TransformerLayer::qkv_bias, {qkv}});
  if (c.qk_norm) {
    slots.push_back({&TransformerLayer::q_norm, {c.head_dim}});
    slots.push_back({&TransformerLayer::k_norm, {c.head_dim}});
  }
  if (c.o_bias) slots.push_back({&TransformerLayer::o_bias, {h}});
  if (c.mlp_bias) {
    slots.push_back({&TransformerLayer::gate_up_bias, {2 * f}});
    slots.push_back({&TransformerLayer::down_bias, {h}});
  }
  return slots;
}

}  // namespace

TransformerLayer allocate_layer(const TransformerConfig& config, at::ScalarType dtype) {
  int64_t total = 0;
  for (const Slot& slot : layer_slots(config)) total += slot.size();
  return view_layer(config, kernels::mapped_tensor({total}, dtype));
}

TransformerLayer view_layer(const TransformerConfig& config, const at::Tensor& flat) {
  TransformerLayer layer;
  layer.flat = flat;
  int64_t offset = 0;
  for (const Slot& slot : layer_slots(config)) {
    layer.*slot.member = layer.flat.narrow(0, offset, slot.size()).view(slot.shape);
    offset += slot.size();
  }
  return layer;
}

TransformerLayer rounded_layer(const TransformerLayer& layer) {
  const at::NoGradGuard no_grad;
  TransformerLayer rounded;
  for (const auto member :
       {&TransformerLayer::input_norm, &TransformerLayer::qkv_bias, &TransformerLayer::q_norm,
        &TransformerLayer::k_norm, &TransformerLayer::o_bias, &TransformerLayer::post_norm,
        &TransformerLayer::gate_up_bias, &TransformerLayer::down_bias}) {
    if ((layer.*member).defined()) rounded.*member = (layer.*member).clone();
  }
  rounded.int8 = {kernels::to_int8(layer.qkv), kernels::to_int8(layer.o),
                  kernels::to_int8(layer.gate_up), kernels::to_int8(layer.down)};
  return rounded;
}

void append_hugging_face_views(const TransformerLayer& layer, const TransformerConfig& config,
                               int64_t index,
                               std::vector<std::pair<std::string, at::Tensor>>& views) {
  const std::string prefix = "model.layers." + std::to_string(index) + ".";
  const int64_t q = config.q_size(), kv = config.kv_size(), f = config.intermediate_size;
  const auto add = [&](const std::string& name, const at::Tensor& t, int64_t first, int64_t count) {
    if (t.defined()) views.emplace_back(prefix + name, t.narrow(0, first, count));
  };
  const auto add_split = [&](const char* suffix, const at::Tensor& qkv, const at::Tensor& gate_up) {
    add(std::string("self_attn.q_proj.") + suffix, qkv, 0, q);
    add(std::string("self_attn.k_proj.") + suffix, qkv, q, kv);
    add(std::string("self_attn.v_proj.") + suffix, qkv, q + kv, kv);
    add(std::string("mlp.gate_proj.") + suffix, gate_up, 0, f);
    add(std::string("mlp.up_proj.") + suffix, gate_up, f, f);
  };
  add_split("weight", layer.qkv, layer.gate_up);
  add_split("bias", layer.qkv_bias, layer.gate_up_bias);
  const int64_t h = config.hidden_size;
  add("input_layernorm.weight", layer.input_norm, 0, h);
  add("self_attn.q_norm.weight", layer.q_norm, 0, config.head_dim);
  add("self_attn.k_norm.weight", layer.k_norm, 0, config.head_dim);
  add("self_attn.o_proj.weight", layer.o, 0, h);
  add("self_attn.o_proj.bias", layer.o_bias, 0, h);
  add("post_attention_layernorm.weight", layer.post_norm, 0, h);
  add("mlp.down_proj.weight", layer.down, 0, h);
  add("mlp.down_proj.bias", layer.down_bias, 0, h);
}

void fill_random(at::Tensor& tensor, bool is_norm, double stddev, Rng& rng) {
  const at::NoGradGuard no_grad;
  if (is_norm) {
    tensor.fill_(1);
    return;
  }
  at::Tensor values = at::empty(tensor.sizes(), at::kFloat);
  float* out = values.data_ptr<float>();
  for (int64_t i = 0; i < values.numel(); ++i) {
    out[i] = static_cast<float>(rng.normal() * stddev);
  }
  tensor.copy_(values);
}

}  // namespace weft
