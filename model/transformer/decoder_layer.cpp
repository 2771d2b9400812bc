#include "model/transformer/decoder_layer.h"

#include <ATen/core/grad_mode.h>

#include "base/error.h"

namespace weft {
namespace {

class AdaptedLayer {
 public:
  AdaptedLayer(const Transformer& model, int64_t layer, std::span<const AdapterRows> adapters)
      : adapters_(adapters) {
    for (const AdapterRows& rows : adapters) {
      updates_.push_back(rows.lora->updates(layer, model.dtype(), model.device()));
    }
  }

  at::Tensor linear(const at::Tensor& x, const at::Tensor& w, const kernels::Int8Matrix& int8,
                    const at::Tensor& bias, LoraUpdate LoraUpdates::*which) const {
    at::Tensor y = int8.defined() ? ops::linear(x, int8, bias) : ops::linear(x, w, bias);
    for (size_t i = 0; i < adapters_.size(); ++i) {
      const LoraUpdate& update = updates_[i].*which;
      if (update.a.defined()) add(y, x, update, adapters_[i].begin, adapters_[i].end);
    }
    return y;
  }

 private:
  static void add(at::Tensor& y, const at::Tensor& x, const LoraUpdate& update, int64_t begin,
                  int64_t end) {
    if (begin == 0 && end == y.size(0)) {
      y = ops::add_linear(y, ops::linear(x, update.a), update.b);
      return;
    }
    WEFT_ASSERT(!at::GradMode::is_enabled());  // add_linear then writes into y
    ops::add_linear(y.narrow(0, begin, end - begin),
                    ops::linear(x.narrow(0, begin, end - begin), update.a), update.b);
  }

  std::span<const AdapterRows> adapters_;
  std::vector<LoraUpdates> updates_;
};

}  // namespace

at::Tensor PackedAttention::attend(int64_t, const TransformerLayer& weights,
                                   const at::Tensor& qkv) const {
  const kernels::HeadShape shape = model_.head_shape();
  const at::Tensor heads =
      ops::norm_heads(qkv, weights.q_norm, weights.k_norm, shape, model_.config().rms_norm_eps);
  return ops::rotary_attention(heads, plan_, model_.rope_table(), shape);
}

std::vector<AdapterRows> adapter_of_all(const Lora* lora, int64_t num_rows) {
  if (!lora) return {};
  return {{lora, 0, num_rows}};
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
                       const Attention& attention, std::span<const AdapterRows> adapters) {
  const TransformerLayer& w = model.layer(layer);
  const double eps = model.config().rms_norm_eps;
  const AdaptedLayer adapted(model, layer, adapters);
  const at::Tensor normed = add_norm(x, w.input_norm, eps);
  const at::Tensor qkv = adapted.linear(normed, w.qkv, w.int8.qkv, w.qkv_bias, &LoraUpdates::qkv);
  x.delta =
      adapted.linear(attention.attend(layer, w, qkv), w.o, w.int8.o, w.o_bias, &LoraUpdates::o);
  const at::Tensor middle = add_norm(x, w.post_norm, eps);
  const at::Tensor gate_up =
      adapted.linear(middle, w.gate_up, w.int8.gate_up, w.gate_up_bias, &LoraUpdates::gate_up);
  x.delta =
      adapted.linear(ops::silu_mul(gate_up), w.down, w.int8.down, w.down_bias, &LoraUpdates::down);
  return x;
}

}  // namespace weft
