// LibTorch's flash attention over packed sequences, which has no form on the CPU, in fp32.
#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <limits>
#include <tuple>

#include "tests/support/fake_device/host_views.h"
#include "tests/support/fake_device/operators.h"

namespace weft::test::fake {
namespace {

// One call over packed sequences.
struct Attention {
  at::Tensor q, k, v;         // [rows, heads, dim], [context, kv_heads, dim]
  at::Tensor q_ends, k_ends;  // [sequences + 1] int32
  double scale;
  bool causal;
  at::Tensor out;  // as q
  at::Tensor lse;  // [heads, rows] f32
};

struct AttentionBackward {
  Attention forward;
  at::Tensor g_out;          // as q
  at::Tensor g_q, g_k, g_v;  // as q, k, v
};

at::Tensor by_head(const at::Tensor& t, int64_t first, int64_t end, int64_t heads) {
  return t.narrow(0, first, end - first)
      .to(at::kFloat)
      .repeat_interleave(heads / t.size(1), 1)
      .transpose(0, 1);
}

// One sequence, heads first, in fp32.
struct Sequence {
  int64_t q_first, q_end, k_first, k_end;
  at::Tensor q, k, v, scores;

  // Row i of n sees the first context - n + i + 1 tokens, or not causal all.
  Sequence(const Attention& a, int64_t s) {
    const auto* q_ends = a.q_ends.const_data_ptr<int32_t>();
    const auto* k_ends = a.k_ends.const_data_ptr<int32_t>();
    q_first = q_ends[s], q_end = q_ends[s + 1], k_first = k_ends[s], k_end = k_ends[s + 1];
    const int64_t heads = a.q.size(1), rows = q_end - q_first, context = k_end - k_first;
    q = by_head(a.q, q_first, q_end, heads);
    k = by_head(a.k, k_first, k_end, heads);
    v = by_head(a.v, k_first, k_end, heads);
    scores = at::bmm(q, k.transpose(1, 2)).mul(a.scale);
    if (!a.causal) return;
    TORCH_CHECK(rows <= context, "flash attention: a row without context");
    const at::Tensor last = at::arange(context - rows, context).unsqueeze(1);
    scores.masked_fill_(at::arange(context) > last, -std::numeric_limits<float>::infinity());
  }
};

void attend(const Attention& a) {
  for (int64_t i = 0; i + 1 < a.q_ends.numel(); ++i) {
    const Sequence s(a, i);
    const int64_t rows = s.q_end - s.q_first;
    a.lse.narrow(1, s.q_first, rows).copy_(s.scores.logsumexp(-1));
    a.out.narrow(0, s.q_first, rows).copy_(at::bmm(s.scores.softmax(-1), s.v).transpose(0, 1));
  }
}

// Heads first [heads, n, dim] to [n, kv_heads, dim], the heads of each added.
at::Tensor of_kv_heads(const at::Tensor& t, int64_t kv_heads) {
  return t.view({kv_heads, t.size(0) / kv_heads, t.size(1), t.size(2)}).sum(1).transpose(0, 1);
}

// As LibTorch's kernels: the weights come from the log sums that are given, which may be those of
// more than this call's keys.
void attend_backward(const AttentionBackward& b) {
  const Attention& a = b.forward;
  const int64_t heads = a.q.size(1), kv_heads = a.k.size(1);
  for (int64_t i = 0; i + 1 < a.q_ends.numel(); ++i) {
    const Sequence s(a, i);
    const int64_t rows = s.q_end - s.q_first, context = s.k_end - s.k_first;
    const at::Tensor g = by_head(b.g_out, s.q_first, s.q_end, heads);
    const at::Tensor out = by_head(a.out, s.q_first, s.q_end, heads);
    const at::Tensor weights = (s.scores - a.lse.narrow(1, s.q_first, rows).unsqueeze(2)).exp();
    const at::Tensor delta = (g * out).sum(-1, true);
    const at::Tensor slopes = (at::bmm(g, s.v.transpose(1, 2)) - delta).mul(weights).mul(a.scale);
    b.g_q.narrow(0, s.q_first, rows).copy_(at::bmm(slopes, s.k).transpose(0, 1));
    b.g_k.narrow(0, s.k_first, context)
        .copy_(of_kv_heads(at::bmm(slopes.transpose(1, 2), s.q), kv_heads));
    b.g_v.narrow(0, s.k_first, context)
        .copy_(of_kv_heads(at::bmm(weights.transpose(1, 2), g), kv_heads));
  }
}

// Views on what a call reads and writes.
class Operands {
 public:
  explicit Operands(const char* name) : name_(name) {}
  at::Tensor view(const at::Tensor& t, bool writes) {
    TORCH_CHECK(t.device() == own_device(), "fake device: ", name_, " got a tensor of the CPU");
    accesses_.push_back(access_to(t, writes));
    return views_.of(t);
  }
  template <class F>
  void launch(F&& run) {
    FakeGpu& gpu = FakeGpu::get();
    gpu.launch(gpu.current_stream(), {name_, std::move(accesses_), std::forward<F>(run)});
  }

 private:
  const char* name_;
  std::vector<Access> accesses_;
  HostViews views_;
};

void check_takes(const char* name, const at::Tensor& q, double dropout_p, bool supported) {
  TORCH_CHECK(supported && dropout_p == 0, "fake device: ", name,
              " has only the form over packed sequences without dropout");
  TORCH_CHECK(q.scalar_type() == at::kBFloat16 || q.scalar_type() == at::kHalf,
              "fake device: ", name, " takes f16 and bf16, got ", q.scalar_type());
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
  constexpr const char* name = "aten::_flash_attention_forward";
  check_takes(
      name, q, dropout_p,
      q_ends && k_ends && scale && !window_left && !window_right && !seqused_k && !alibi_slopes);
  const at::Tensor out = at::empty(q.sizes(), q.options());
  const at::Tensor lse = at::empty({q.size(1), q.size(0)}, q.options().dtype(at::kFloat));
  Operands of(name);
  const Attention attention{of.view(q, false),
                            of.view(k, false),
                            of.view(v, false),
                            of.view(*q_ends, false),
                            of.view(*k_ends, false),
                            *scale,
                            is_causal,
                            of.view(out, true),
                            of.view(lse, true)};
  of.launch([attention] { attend(attention); });
  const at::Tensor none = at::empty({0}, q.options());
  return {out, lse, none, none, none};
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> flash_attention_backward(
    const at::Tensor& g_out, const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
    const at::Tensor& out, const at::Tensor& lse, const at::Tensor& q_ends,
    const at::Tensor& k_ends, c10::SymInt, c10::SymInt, double dropout_p, bool is_causal,
    const at::Tensor&, const at::Tensor&, std::optional<double> scale,
    std::optional<c10::SymInt> window_left, std::optional<c10::SymInt> window_right) {
  constexpr const char* name = "aten::_flash_attention_backward";
  check_takes(name, q, dropout_p, scale && !window_left && !window_right);
  const at::Tensor g_q = at::empty(q.sizes(), q.options()), g_k = at::empty(k.sizes(), k.options()),
                   g_v = at::empty(v.sizes(), v.options());
  Operands of(name);
  const AttentionBackward backward{
      {of.view(q, false), of.view(k, false), of.view(v, false), of.view(q_ends, false),
       of.view(k_ends, false), *scale, is_causal, of.view(out, false), of.view(lse, false)},
      of.view(g_out, false),
      of.view(g_q, true),
      of.view(g_k, true),
      of.view(g_v, true)};
  of.launch([backward] { attend_backward(backward); });
  return {g_q, g_k, g_v};
}

}  // namespace

void register_flash_attention(torch::Library& aten) {
  aten.impl("_flash_attention_forward", &flash_attention);
  aten.impl("_flash_attention_backward", &flash_attention_backward);
}

}  // namespace weft::test::fake
