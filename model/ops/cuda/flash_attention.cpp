#include "model/ops/cuda/flash_attention.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/_flash_attention_backward.h>
#include <ATen/ops/_flash_attention_forward.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/logaddexp.h>

#include <tuple>

namespace weft::ops {
namespace {

constexpr int64_t kFlashDims = 256;  // most that LibTorch's kernels take

struct Heads {
  at::Tensor q, k, v;  // [T, heads, dim], [T, kv_heads, dim]: views of qkv

  Heads(const at::Tensor& qkv, const kernels::HeadShape& s) {
    const int64_t rows = qkv.size(0), width = s.heads * s.dim, kv = s.kv_heads * s.dim;
    q = qkv.narrow(1, 0, width).view({rows, s.heads, s.dim});
    k = qkv.narrow(1, width, kv).view({rows, s.kv_heads, s.dim});
    v = qkv.narrow(1, width + kv, kv).view({rows, s.kv_heads, s.dim});
  }
};

// The calls of a batch: each sequence to itself, or those that share prompts to these.
struct Call {
  const at::Tensor &q_ends, &k_ends;
  int64_t longest_q, longest_k;
  bool causal;
};

Call to_itself(const CudaPackedPlan& p) { return {p.ends, p.ends, p.longest, p.longest, true}; }
Call to_prompts(const CudaPackedPlan& p) {
  return {p.reader_ends, p.prompt_ends, p.longest_readers, p.longest_prompt, false};
}

std::pair<at::Tensor, at::Tensor> forward(const Call& call, const at::Tensor& q,
                                          const at::Tensor& k, const at::Tensor& v, float scale) {
  const auto result = at::_flash_attention_forward(q, k, v, call.q_ends, call.k_ends,
                                                   call.longest_q, call.longest_k, /*dropout_p=*/0,
                                                   call.causal, /*return_debug_mask=*/false, scale);
  return {std::get<0>(result), std::get<1>(result)};
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> backward(const Call& call, const at::Tensor& g_out,
                                                        const at::Tensor& q, const at::Tensor& k,
                                                        const at::Tensor& v, const at::Tensor& out,
                                                        const at::Tensor& lse, float scale) {
  // Without dropout its random state is not read.
  const at::Tensor state = at::empty({2}, q.options().dtype(at::kLong));
  return at::_flash_attention_backward(g_out, q, k, v, out, lse, call.q_ends, call.k_ends,
                                       call.longest_q, call.longest_k, /*dropout_p=*/0, call.causal,
                                       state, state, scale);
}

// Factors [rows, heads, 1] of a part with log sums [heads, rows] in a whole with `lse`.
at::Tensor share(const at::Tensor& part, const at::Tensor& lse) {
  return (part - lse).exp().t().unsqueeze(2);
}

}  // namespace

bool takes_flash_attention(at::ScalarType dtype, int64_t head_dim) {
  return dtype == at::kBFloat16 && head_dim <= kFlashDims;
}

FlashResult flash_attention_within(const at::Tensor& qkv, const at::Tensor& ends, int64_t longest,
                                   const kernels::HeadShape& shape) {
  const Heads h(qkv, shape);
  const auto [out, lse] =
      forward({ends, ends, longest, longest, true}, h.q, h.k, h.v, shape.scale());
  return {out.reshape({qkv.size(0), shape.heads * shape.dim}), lse};
}

FlashResult packed_flash_attention(const at::Tensor& qkv, const CudaPackedPlan& plan,
                                   const kernels::HeadShape& shape) {
  const Heads h(qkv, shape);
  const int64_t rows = qkv.size(0);
  auto [out, lse] = forward(to_itself(plan), h.q, h.k, h.v, shape.scale());
  if (plan.shares) {
    const auto& readers = plan.reader_rows;
    const auto [far, far_lse] = forward(to_prompts(plan), h.q.index_select(0, readers),
                                        h.k.index_select(0, plan.prompt_rows),
                                        h.v.index_select(0, plan.prompt_rows), shape.scale());
    const at::Tensor near_lse = lse.index_select(1, readers);
    const at::Tensor whole = at::logaddexp(near_lse, far_lse);
    const at::Tensor merged =
        out.index_select(0, readers) * share(near_lse, whole) + far * share(far_lse, whole);
    out.index_copy_(0, readers, merged.to(out.scalar_type()));
    lse.index_copy_(1, readers, whole);
  }
  return {out.reshape({rows, shape.heads * shape.dim}), lse};
}

at::Tensor packed_flash_attention_backward(const at::Tensor& g_out, const at::Tensor& qkv,
                                           const FlashResult& result, const CudaPackedPlan& plan,
                                           const kernels::HeadShape& shape) {
  const Heads h(qkv, shape);
  const int64_t rows = qkv.size(0);
  const at::Tensor g = g_out.view({rows, shape.heads, shape.dim});
  const at::Tensor out = result.out.view({rows, shape.heads, shape.dim});
  const auto [g_q, g_k, g_v] =
      backward(to_itself(plan), g, h.q, h.k, h.v, out, result.lse, shape.scale());
  if (plan.shares) {
    const auto& readers = plan.reader_rows;
    const auto& prompts = plan.prompt_rows;
    const auto [far_q, far_k, far_v] =
        backward(to_prompts(plan), g.index_select(0, readers), h.q.index_select(0, readers),
                 h.k.index_select(0, prompts), h.v.index_select(0, prompts),
                 out.index_select(0, readers), result.lse.index_select(1, readers), shape.scale());
    g_q.index_add_(0, readers, far_q);
    g_k.index_add_(0, prompts, far_k);
    g_v.index_add_(0, prompts, far_v);
  }
  return at::cat({g_q.reshape({rows, -1}), g_k.reshape({rows, -1}), g_v.reshape({rows, -1})}, 1);
}

}  // namespace weft::ops
