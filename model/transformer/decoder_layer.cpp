#include "model/transformer/decoder_layer.h"

#include <ATen/core/grad_mode.h>

#include "base/error.h"
#include "model/transformer/lora_gradient.h"

namespace weft {
namespace {

at::Tensor linear(const at::Tensor& x, const at::Tensor& w, const kernels::Int8Matrix& int8,
                  const at::Tensor& bias) {
  return int8.defined() ? ops::linear(x, int8, bias) : ops::linear(x, w, bias);
}

}  // namespace

at::Tensor PackedAttention::attend(int64_t, const TransformerLayer& weights,
                                   const at::Tensor& qkv) const {
  const kernels::HeadShape shape = model_.head_shape();
  const at::Tensor heads =
      ops::norm_heads(qkv, weights.q_norm, weights.k_norm, shape, model_.config().rms_norm_eps);
  return ops::rotary_attention(heads, plan_, model_.rope_table(), shape);
}

at::Tensor RowAdapters::add(int64_t layer, FusedLinear which, const at::Tensor& y,
                            const at::Tensor& x) const {
  at::Tensor sum = y;
  for (const auto& [lora, begin, end] : rows_) {
    const LoraUpdate update = lora->update(layer, which, x.scalar_type(), x.device());
    if (!update.a.defined()) continue;
    const bool all = begin == 0 && end == y.size(0);
    if (!update.factors.empty()) {
      WEFT_ASSERT(all);
      sum = add_update(sum, x, update);
      continue;
    }
    if (all) {
      sum = ops::add_linear(sum, ops::linear(x, update.a), update.b);
      if (update.gain.defined()) sum = with_gain(sum, update);
      continue;
    }
    WEFT_ASSERT(!at::GradMode::is_enabled());  // add_linear then writes into y
    const at::Tensor part = sum.narrow(0, begin, end - begin);
    ops::add_linear(part, ops::linear(x.narrow(0, begin, end - begin), update.a), update.b);
    if (update.gain.defined()) part.copy_(with_gain(part, update));
  }
  return sum;
}

RowAdapters adapter_of_all(const Lora* lora, int64_t num_rows) {
  if (!lora) return RowAdapters({});
  return RowAdapters({{lora, 0, num_rows}});
}

at::Tensor add_norm(Residual& x, const at::Tensor& weight, double eps) {
  if (x.may_overwrite && !at::GradMode::is_enabled()) {
    const at::Tensor y = ops::add_rms_norm(x.hidden, x.delta, weight, eps);
    x.delta.reset();
    return y;
  }
  if (x.delta.defined()) x = {x.hidden + x.delta, {}, true};
  return ops::rms_norm(x.hidden, weight, eps);
}

Residual decoder_layer(const Transformer& model, int64_t layer, Residual x,
                       const Attention& attention, const Adapters& adapters) {
  using enum FusedLinear;
  const TransformerLayer& w = model.layer(layer);
  const double eps = model.config().rms_norm_eps;
  const auto adapted = [&](FusedLinear which, const at::Tensor& y, const at::Tensor& input) {
    return adapters.add(layer, which, y, input);
  };
  const at::Tensor normed = add_norm(x, w.input_norm, eps);
  const at::Tensor qkv = adapted(kQkv, linear(normed, w.qkv, w.int8.qkv, w.qkv_bias), normed);
  const at::Tensor seen = attention.attend(layer, w, qkv);
  x.delta = adapted(kO, linear(seen, w.o, w.int8.o, w.o_bias), seen);
  const at::Tensor middle = add_norm(x, w.post_norm, eps);
  const at::Tensor gate_up =
      adapted(kGateUp, linear(middle, w.gate_up, w.int8.gate_up, w.gate_up_bias), middle);
  const at::Tensor active = ops::silu_mul(gate_up);
  x.delta = adapted(kDown, linear(active, w.down, w.int8.down, w.down_bias), active);
  return x;
}

}  // namespace weft
