#include "model/engine/paged_forward.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

#include "model/kernels/kernels.h"
#include "model/transformer/decoder_layer.h"
#include "model/transformer/ops.h"

namespace weft {
namespace {

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

class PagedAttention : public Attention {
 public:
  PagedAttention(const Transformer& model, KvCache& cache, const Step& step)
      : model_(model), cache_(cache), step_(step) {}

  at::Tensor attend(int64_t layer, const TransformerLayer& weights,
                    const at::Tensor& qkv) const override {
    const kernels::HeadShape shape = model_.head_shape();
    const at::Tensor heads = norm_heads(qkv, weights, shape, model_.config().rms_norm_eps);
    kernels::rope(heads, model_.rope_table(), step_.positions, shape.heads + shape.kv_heads,
                  shape.dim, 1.0f);
    return kernels::paged_attention(heads, cache_.layer(layer), step_.spans, shape);
  }

 private:
  const Transformer& model_;
  KvCache& cache_;
  const Step& step_;
};

}  // namespace

at::Tensor paged_forward(const Transformer& model, KvCache& cache,
                         const std::vector<StepSpan>& spans) {
  const at::NoGradGuard no_grad;
  const Step step = make_step(spans);
  return model.logits(
      model.forward(step.ids, PagedAttention(model, cache, step), step.adapters, step.wanted));
}

}  // namespace weft
