#include "model/engine/paged_forward.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

#include "model/kernels/kernels.h"
#include "model/transformer/ops.h"

namespace weft {
namespace {

// Rows [begin, end) that one adapter applies to.
struct AdapterRows {
  const Lora* lora;
  int64_t begin, end;
};

struct Step {
  at::Tensor ids, positions, wanted;
  std::vector<kernels::PagedSpan> spans;
  std::vector<AdapterRows> adapters;
};

Step make_step(const std::vector<StepSpan>& spans) {
  int64_t rows = 0, num_wanted = 0;
  for (const StepSpan& s : spans) {
    rows += static_cast<int64_t>(s.ids.size());
    num_wanted += s.wants_logits;
  }
  Step step{at::empty({rows}, at::kLong),
            at::empty({rows}, at::kInt),
            at::empty({num_wanted}, at::kLong),
            {},
            {}};
  int64_t* id = step.ids.data_ptr<int64_t>();
  int32_t* position = step.positions.data_ptr<int32_t>();
  int64_t* wanted = step.wanted.data_ptr<int64_t>();
  int64_t row = 0;
  for (const StepSpan& s : spans) {
    const int64_t n = static_cast<int64_t>(s.ids.size());
    step.spans.push_back({row, n, s.start, s.blocks->data()});
    for (int64_t t = 0; t < n; ++t) {
      *id++ = s.ids[t];
      *position++ = static_cast<int32_t>(s.start + t);
    }
    if (s.lora && !step.adapters.empty() && step.adapters.back().lora == s.lora) {
      step.adapters.back().end = row + n;
    } else if (s.lora) {
      step.adapters.push_back({s.lora, row, row + n});
    }
    row += n;
    if (s.wants_logits) *wanted++ = row - 1;
  }
  return step;
}

class LayerStep {
 public:
  LayerStep(const Transformer& model, int64_t layer, const Step& step)
      : weights_(model.layer(layer)), step_(step) {
    for (const AdapterRows& rows : step.adapters) {
      updates_.push_back(rows.lora->updates(layer, model.dtype()));
    }
  }

  at::Tensor linear(const at::Tensor& x, const at::Tensor& w, const kernels::Int8Matrix& int8,
                    const at::Tensor& bias, LoraUpdate LoraUpdates::*which) const {
    at::Tensor y = int8.defined() ? kernels::linear(x, int8, bias) : kernels::linear(x, w, bias);
    for (size_t i = 0; i < updates_.size(); ++i) {
      const LoraUpdate& update = updates_[i].*which;
      if (!update.a.defined()) continue;
      const int64_t begin = step_.adapters[i].begin, count = step_.adapters[i].end - begin;
      const at::Tensor inner = kernels::linear(x.narrow(0, begin, count), update.a);
      const at::Tensor rows = y.narrow(0, begin, count);
      kernels::add_linear(rows, inner, update.b, rows);
    }
    return y;
  }

  const TransformerLayer& weights() const { return weights_; }

 private:
  const TransformerLayer& weights_;
  const Step& step_;
  std::vector<LoraUpdates> updates_;
};

}  // namespace

at::Tensor paged_forward(const Transformer& model, KvCache& cache,
                         const std::vector<StepSpan>& spans) {
  const at::NoGradGuard no_grad;
  const TransformerConfig& config = model.config();
  const kernels::HeadShape shape{config.num_heads, config.num_kv_heads, config.head_dim};
  const double eps = config.rms_norm_eps;
  const Step step = make_step(spans);
  const at::Tensor hidden = model.embed(step.ids);
  at::Tensor delta;
  for (int64_t l = 0; l < model.num_layers(); ++l) {
    const LayerStep layer(model, l, step);
    const TransformerLayer& w = layer.weights();
    const at::Tensor x = kernels::add_rms_norm(hidden, delta, w.input_norm, eps);
    const at::Tensor qkv = norm_heads(
        layer.linear(x, w.qkv, w.int8.qkv, w.qkv_bias, &LoraUpdates::qkv), w, shape, eps);
    kernels::rope(qkv, model.rope_table(), step.positions, config.num_heads + config.num_kv_heads,
                  config.head_dim, 1.0f);
    const at::Tensor attended = kernels::paged_attention(qkv, cache.layer(l), step.spans, shape);
    const at::Tensor o = layer.linear(attended, w.o, w.int8.o, w.o_bias, &LoraUpdates::o);
    const at::Tensor y = kernels::add_rms_norm(hidden, o, w.post_norm, eps);
    const at::Tensor gate_up =
        layer.linear(y, w.gate_up, w.int8.gate_up, w.gate_up_bias, &LoraUpdates::gate_up);
    delta = layer.linear(kernels::silu_mul(gate_up), w.down, w.int8.down, w.down_bias,
                         &LoraUpdates::down);
  }
  const at::Tensor last = kernels::take_rows(hidden, step.wanted);
  const at::Tensor normed = kernels::add_rms_norm(last, kernels::take_rows(delta, step.wanted),
                                                  model.final_norm_weight(), eps);
  return model.logits(normed);
}

}  // namespace weft
