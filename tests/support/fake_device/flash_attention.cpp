// LibTorch's flash attention over packed sequences, which has no form on the CPU, in fp32.
#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/library.h>

#include <limits>
#include <tuple>

#include "tests/support/fake_device/host_views.h"
#include "tests/support/fake_device/operators.h"

namespace weft::test::fake {
namespace {

struct Attention {
  at::Tensor q, k, v;         // [rows, heads, dim], [context, kv_heads, dim]
  at::Tensor q_ends, k_ends;  // [sequences + 1] int32
  double scale;
  at::Tensor out;  // as q
  at::Tensor lse;  // [heads, rows] f32
};

at::Tensor by_head(const at::Tensor& t, int64_t first, int64_t end, int64_t heads) {
  return t.narrow(0, first, end - first)
      .to(at::kFloat)
      .repeat_interleave(heads / t.size(1), 1)
      .transpose(0, 1);
}

// Row i of n sees the first context - n + i + 1 tokens.
void attend(const Attention& a) {
  const auto* q_end = a.q_ends.const_data_ptr<int32_t>();
  const auto* k_end = a.k_ends.const_data_ptr<int32_t>();
  const int64_t heads = a.q.size(1);
  for (int64_t s = 0; s + 1 < a.q_ends.numel(); ++s) {
    const int64_t rows = q_end[s + 1] - q_end[s], context = k_end[s + 1] - k_end[s];
    TORCH_CHECK(rows <= context, "flash attention: a row without context");
    const at::Tensor q = by_head(a.q, q_end[s], q_end[s + 1], heads);
    const at::Tensor k = by_head(a.k, k_end[s], k_end[s + 1], heads);
    const at::Tensor v = by_head(a.v, k_end[s], k_end[s + 1], heads);
    const at::Tensor last = at::arange(context - rows, context).unsqueeze(1);
    const at::Tensor scores =
        at::bmm(q, k.transpose(1, 2))
            .mul(a.scale)
            .masked_fill(at::arange(context) > last, -std::numeric_limits<float>::infinity());
    a.lse.narrow(1, q_end[s], rows).copy_(scores.logsumexp(-1));
    a.out.narrow(0, q_end[s], rows).copy_(at::bmm(scores.softmax(-1), v).transpose(0, 1));
  }
}

using Results = std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor, at::Tensor>;

Results flash_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                        const std::optional<at::Tensor>& q_ends,
                        const std::optional<at::Tensor>& k_ends, c10::SymInt, c10::SymInt,
                        double dropout_p, bool is_causal, bool, std::optional<double> scale,
                        std::optional<c10::SymInt> window_left,
                        std::optional<c10::SymInt> window_right,
                        const std::optional<at::Tensor>& seqused_k,
                        const std::optional<at::Tensor>& alibi_slopes) {
  TORCH_CHECK(q_ends && k_ends && is_causal && dropout_p == 0 && scale && !window_left &&
                  !window_right && !seqused_k && !alibi_slopes,
              "fake device: aten::_flash_attention_forward has only the causal form over packed "
              "sequences");
  TORCH_CHECK(q.scalar_type() == at::kBFloat16 || q.scalar_type() == at::kHalf,
              "fake device: aten::_flash_attention_forward takes f16 and bf16, got ",
              q.scalar_type());
  std::vector<Access> accesses;
  HostViews views;
  const auto view = [&](const at::Tensor& t, bool writes) {
    TORCH_CHECK(t.device() == own_device(),
                "fake device: aten::_flash_attention_forward got a tensor ", "of the CPU");
    accesses.push_back(access_to(t, writes));
    return views.of(t);
  };
  const at::Tensor out = at::empty_like(q);
  const at::Tensor lse = at::empty({q.size(1), q.size(0)}, q.options().dtype(at::kFloat));
  const Attention attention{view(q, false),       view(k, false),       view(v, false),
                            view(*q_ends, false), view(*k_ends, false), *scale,
                            view(out, true),      view(lse, true)};
  FakeGpu& gpu = FakeGpu::get();
  gpu.launch(gpu.current_stream(), {"aten::_flash_attention_forward", std::move(accesses),
                                    [attention] { attend(attention); }});
  const at::Tensor none = at::empty({0}, q.options());
  return {out, lse, none, none, none};
}

}  // namespace

void register_flash_attention(torch::Library& aten) {
  aten.impl("_flash_attention_forward", &flash_attention);
}

}  // namespace weft::test::fake
