#include "model/engine/paged_forward.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>

#include <algorithm>

#include "model/engine/pass_rows.h"
#include "model/ops/cpu/kernels.h"
#include "model/transformer/decoder_layer.h"

namespace weft {
namespace {

at::Tensor positions_of(const PassRows& pass) {
  at::Tensor positions = at::empty({pass.num_rows()}, at::kInt);
  int32_t* next = positions.data_ptr<int32_t>();
  for (const kernels::PagedSpan& span : pass.spans) {
    for (int64_t t = 0; t < span.num_tokens; ++t) *next++ = static_cast<int32_t>(span.start + t);
  }
  return positions;
}

class PagedAttention : public Attention {
 public:
  PagedAttention(const Transformer& model, KvCache& cache, const PassRows& pass)
      : model_(model), cache_(cache), pass_(pass), positions_(positions_of(pass)) {}

  at::Tensor attend(int64_t layer, const TransformerLayer& weights,
                    const at::Tensor& qkv) const override {
    const kernels::HeadShape shape = model_.head_shape();
    const at::Tensor heads =
        ops::norm_heads(qkv, weights.q_norm, weights.k_norm, shape, model_.config().rms_norm_eps);
    kernels::rope(heads, model_.rope_table(), positions_, shape.heads + shape.kv_heads, shape.dim,
                  1.0f);
    return kernels::paged_attention(heads, cache_.layer(layer), pass_.spans, shape);
  }

 private:
  const Transformer& model_;
  KvCache& cache_;
  const PassRows& pass_;
  const at::Tensor positions_;
};

}  // namespace

at::Tensor paged_forward(const Transformer& model, KvCache& cache,
                         const std::vector<PassSpan>& spans, const StopCheck& stop) {
  const at::NoGradGuard no_grad;
  const PassRows pass(spans);
  const at::Tensor ids = index_tensor({pass.ids.begin(), pass.ids.end()});
  return model.logits(model.forward(ids, PagedAttention(model, cache, pass),
                                    RowAdapters(pass.adapters), index_tensor(pass.wanted), stop));
}

}  // namespace weft
