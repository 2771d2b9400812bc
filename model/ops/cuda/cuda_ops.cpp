#include "model/ops/cuda/cuda_ops.h"

#include <ATen/ops/addmm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <vector>

#include "base/error.h"
#include "model/ops/cuda/device_context.h"
#include "model/ops/cuda/flash_attention.h"
#include "model/ops/cuda/packed_plan.h"
#include "model/ops/one_order.h"
#include "model/ops/tensor_device.h"

namespace weft::ops {
namespace {

constexpr int64_t kPanelRows = 64;  // one tile of rows to every kernel that LibTorch may choose

void* pointer_or_null(const at::Tensor& t) { return t.defined() ? t.data_ptr() : nullptr; }

cuda::Dtype dtype_of(const at::Tensor& t) {
  return t.scalar_type() == at::kFloat ? cuda::Dtype::kF32 : cuda::Dtype::kBf16;
}

// The kernels read rows 16 bytes at a time.
void require_whole_packs(const char* operation, const at::Tensor& t, int64_t columns) {
  const int64_t unit = 16 / t.element_size();
  if (columns % unit == 0) return;
  throw Error(std::string(operation) + ": expected a multiple of " + std::to_string(unit) +
              " columns on a GPU, got " + std::to_string(columns));
}

// x [rows, K] with rows of zeros up to whole panels.
at::Tensor whole_panels(const at::Tensor& x) {
  const int64_t rows = (x.size(0) + kPanelRows - 1) / kPanelRows * kPanelRows;
  if (rows == x.size(0)) return x;
  at::Tensor padded = at::zeros({rows, x.size(1)}, x.options());
  padded.narrow(0, 0, x.size(0)).copy_(x);
  return padded;
}

// product(x, 0) [rows, N], or with one order of sums product(panel of x, its first row) of each.
template <class Product>
at::Tensor in_panels(const at::Tensor& x, Product&& product) {
  if (!OneOrder::on() || x.size(0) == 0) return product(x, 0);
  const at::Tensor rows = whole_panels(x);
  std::vector<at::Tensor> panels;
  for (int64_t begin = 0; begin < rows.size(0); begin += kPanelRows) {
    panels.push_back(product(rows.narrow(0, begin, kPanelRows), begin));
  }
  return (panels.size() == 1 ? panels[0] : at::cat(panels)).narrow(0, 0, x.size(0));
}

class CudaOps : public DeviceOps {
 public:
  explicit CudaOps(const ComputeDevice& device) : context_(device) {}
  std::string device() const override { return "cuda"; }
  const DeviceContext& context() const { return context_; }

  at::Tensor take_rows(const at::Tensor& x, const at::Tensor& rows) const override {
    return at::index_select(x, 0, rows);
  }
  at::Tensor linear(const at::Tensor& x, const at::Tensor& w,
                    const at::Tensor& bias) const override {
    return in_panels(x, [&](const at::Tensor& panel, int64_t) {
      return at::linear(panel, w, bias.defined() ? std::optional(bias) : std::nullopt);
    });
  }
  void add_linear(const at::Tensor& y, const at::Tensor& x, const at::Tensor& w,
                  const at::Tensor& out) const override {
    if (!OneOrder::on() || x.size(0) == 0) {
      at::Tensor target = out;
      at::addmm_out(target, y, x, w.t());
      return;
    }
    const at::Tensor rows = whole_panels(y);
    out.copy_(in_panels(x, [&](const at::Tensor& panel, int64_t begin) {
      return at::addmm(rows.narrow(0, begin, kPanelRows), panel, w.t());
    }));
  }
  at::Tensor linear_f32(const at::Tensor& x, const at::Tensor& w,
                        const at::Tensor& out) const override;
  at::Tensor add_rms_norm(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& w,
                          double eps, const at::Tensor& rstd) const override;
  std::pair<at::Tensor, at::Tensor> rms_norm_backward(const at::Tensor& gy, const at::Tensor& x,
                                                      const at::Tensor& w, const at::Tensor& rstd,
                                                      bool want_gw) const override;
  at::Tensor silu_mul(const at::Tensor& gate_up) const override;
  at::Tensor silu_mul_backward(const at::Tensor& gy, const at::Tensor& gate_up) const override;
  PackedPlanPtr plan_packed(const PackedBatch& batch, at::Device device) const override;
  RotaryAttentionResult rotary_attention(const at::Tensor& qkv, const PackedPlan& plan,
                                         const at::Tensor& rope_table,
                                         const kernels::HeadShape& shape) const override;
  at::Tensor rotary_attention_backward(const at::Tensor& g_out,
                                       const RotaryAttentionResult& forward, const PackedPlan& plan,
                                       const at::Tensor& rope_table,
                                       const kernels::HeadShape& shape) const override;
  LossRows loss_rows(const at::Tensor& logits, const at::Tensor& targets,
                     double temperature) const override;
  at::Tensor logit_gradient(const at::Tensor& logits, const at::Tensor& targets,
                            const at::Tensor& lse, const at::Tensor& coefficients,
                            double temperature, at::ScalarType dtype,
                            const at::Tensor& entropy) const override;
  at::Tensor token_logprobs(const at::Tensor& logits, const at::Tensor& targets) const override {
    return at::log_softmax(logits, 1).gather(1, targets.unsqueeze(1)).squeeze(1);
  }

  at::Tensor paged_attention(const at::Tensor& qkv, const PagedInputs& inputs,
                             const at::Tensor& cache, const kernels::HeadShape& shape) const;

 private:
  void rotate(const at::Tensor& qkv, const CudaPackedPlan& plan, const at::Tensor& rope_table,
              const kernels::HeadShape& shape, float sign) const;
  cuda::PackedAttention packed_arguments(const RotaryAttentionResult& result,
                                         const CudaPackedPlan& plan,
                                         const kernels::HeadShape& shape) const;

  DeviceContext context_;
};

at::Tensor CudaOps::linear_f32(const at::Tensor& x, const at::Tensor& w,
                               const at::Tensor& out) const {
  const auto product = [&](const at::Tensor& rows, at::Tensor y) {
    return x.scalar_type() == at::kFloat ? at::mm_out(y, rows, w.t())
                                         : at::mm_out(y, rows, w.t(), at::kFloat);
  };
  const auto made = [&](int64_t rows) {
    return at::empty({rows, w.size(0)}, x.options().dtype(at::kFloat));
  };
  if (!OneOrder::on() || x.size(0) == 0) return product(x, out.defined() ? out : made(x.size(0)));
  const at::Tensor y = in_panels(
      x, [&](const at::Tensor& panel, int64_t) { return product(panel, made(kPanelRows)); });
  return out.defined() ? out.copy_(y) : y;
}

at::Tensor CudaOps::add_rms_norm(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& w,
                                 double eps, const at::Tensor& rstd) const {
  require_whole_packs("add_rms_norm", x, x.size(1));
  const at::Tensor y = at::empty_like(x);
  context_.check(
      context_.kernels().add_rms_norm(
          {x.data_ptr(), pointer_or_null(delta), w.data_ptr(), y.data_ptr(), x.size(0), x.size(1),
           static_cast<float>(eps), dtype_of(x), rstd.defined() ? rstd.data_ptr<float>() : nullptr},
          context_.stream()),
      "add_rms_norm");
  return y;
}

at::Tensor CudaOps::silu_mul(const at::Tensor& gate_up) const {
  const int64_t dim = gate_up.size(1) / 2;
  require_whole_packs("silu_mul", gate_up, dim);
  const at::Tensor y = at::empty({gate_up.size(0), dim}, gate_up.options());
  context_.check(
      context_.kernels().silu_mul({gate_up.data_ptr(), y.data_ptr(), y.size(0), dim, dtype_of(y)},
                                  context_.stream()),
      "silu_mul");
  return y;
}

std::pair<at::Tensor, at::Tensor> CudaOps::rms_norm_backward(const at::Tensor& gy,
                                                             const at::Tensor& x,
                                                             const at::Tensor& w,
                                                             const at::Tensor& rstd,
                                                             bool want_gw) const {
  require_whole_packs("rms_norm", x, x.size(1));
  const at::Tensor gx = at::empty_like(x);
  at::Tensor gw;
  if (want_gw) {
    gw = at::empty({cuda::kNormShares, x.size(1)}, x.options().dtype(at::kFloat));
  }
  context_.check(context_.kernels().rms_norm_backward(
                     {gy.const_data_ptr(), x.const_data_ptr(), w.const_data_ptr(),
                      rstd.const_data_ptr<float>(), gx.data_ptr(),
                      want_gw ? gw.data_ptr<float>() : nullptr, x.size(0), x.size(1), dtype_of(x)},
                     context_.stream()),
                 "rms_norm_backward");
  return {gx, want_gw ? gw.sum(0).to(w.scalar_type()) : gw};
}

at::Tensor CudaOps::silu_mul_backward(const at::Tensor& gy, const at::Tensor& gate_up) const {
  require_whole_packs("silu_mul", gate_up, gy.size(1));
  const at::Tensor g = at::empty_like(gate_up);
  context_.check(
      context_.kernels().silu_mul_backward({gy.const_data_ptr(), gate_up.const_data_ptr(),
                                            g.data_ptr(), gy.size(0), gy.size(1), dtype_of(g)},
                                           context_.stream()),
      "silu_mul_backward");
  return g;
}

PackedPlanPtr CudaOps::plan_packed(const PackedBatch& batch, at::Device device) const {
  return c10::make_intrusive<CudaPackedPlan>(batch, device);
}

// Queries and keys of every row, by its position's angles or their negatives.
void CudaOps::rotate(const at::Tensor& qkv, const CudaPackedPlan& plan,
                     const at::Tensor& rope_table, const kernels::HeadShape& shape,
                     float sign) const {
  context_.check(
      context_.kernels().rotate_rows(
          {qkv.data_ptr(), rope_table.const_data_ptr<float>(), plan.positions, qkv.size(0),
           shape.row_size(), shape.heads + shape.kv_heads, shape.dim, sign, dtype_of(qkv)},
          context_.stream()),
      "rotate_rows");
}

cuda::PackedAttention CudaOps::packed_arguments(const RotaryAttentionResult& result,
                                                const CudaPackedPlan& plan,
                                                const kernels::HeadShape& shape) const {
  return {result.rotated.const_data_ptr(),
          plan.sees,
          result.out.data_ptr(),
          result.lse.data_ptr<float>(),
          result.rotated.size(0),
          shape.heads,
          shape.kv_heads,
          shape.dim,
          shape.scale(),
          dtype_of(result.rotated)};
}

RotaryAttentionResult CudaOps::rotary_attention(const at::Tensor& qkv, const PackedPlan& plan,
                                                const at::Tensor& rope_table,
                                                const kernels::HeadShape& shape) const {
  const auto& own = static_cast<const CudaPackedPlan&>(plan);
  const at::Tensor rotated = qkv.clone();
  rotate(rotated, own, rope_table, shape, 1);
  if (!OneOrder::on() && takes_flash_attention(qkv.scalar_type(), shape.dim)) {
    const FlashResult result = packed_flash_attention(rotated, own, shape);
    return {result.out, rotated, result.lse};
  }
  const RotaryAttentionResult result = {
      at::empty({qkv.size(0), shape.heads * shape.dim}, qkv.options()), rotated,
      at::empty({qkv.size(0) * shape.heads}, qkv.options().dtype(at::kFloat))};
  context_.check(
      context_.kernels().packed_attention(packed_arguments(result, own, shape), context_.stream()),
      "packed_attention");
  return result;
}

at::Tensor CudaOps::rotary_attention_backward(const at::Tensor& g_out,
                                              const RotaryAttentionResult& forward,
                                              const PackedPlan& plan, const at::Tensor& rope_table,
                                              const kernels::HeadShape& shape) const {
  const auto& own = static_cast<const CudaPackedPlan&>(plan);
  const at::Tensor& qkv = forward.rotated;
  at::Tensor g_qkv;
  const bool flash = forward.lse.dim() == 2;  // autograd calls from a thread of its own
  if (flash) {
    g_qkv = packed_flash_attention_backward(g_out, qkv, {forward.out, forward.lse}, own, shape);
  } else {
    g_qkv = at::empty_like(qkv);
    const at::Tensor delta = at::empty_like(forward.lse);
    context_.check(context_.kernels().packed_attention_backward(
                       {packed_arguments(forward, own, shape), g_out.const_data_ptr(),
                        delta.data_ptr<float>(), g_qkv.data_ptr()},
                       context_.stream()),
                   "packed_attention_backward");
  }
  rotate(g_qkv, own, rope_table, shape, -1);
  return g_qkv;
}

LossRows CudaOps::loss_rows(const at::Tensor& logits, const at::Tensor& targets,
                            double temperature) const {
  const LossRows rows = {at::empty({logits.size(0)}, logits.options()),
                         at::empty({logits.size(0)}, logits.options())};
  context_.check(context_.kernels().loss_rows(
                     {logits.const_data_ptr<float>(), targets.const_data_ptr<int64_t>(),
                      rows.lse.data_ptr<float>(), rows.logp.data_ptr<float>(), logits.size(0),
                      logits.size(1), static_cast<float>(1 / temperature)},
                     context_.stream()),
                 "loss_rows");
  return rows;
}

at::Tensor CudaOps::logit_gradient(const at::Tensor& logits, const at::Tensor& targets,
                                   const at::Tensor& lse, const at::Tensor& coefficients,
                                   double temperature, at::ScalarType dtype,
                                   const at::Tensor& entropy) const {
  const at::Tensor gradient = at::empty(logits.sizes(), logits.options().dtype(dtype));
  context_.check(
      context_.kernels().logit_gradient(
          {logits.const_data_ptr<float>(), targets.const_data_ptr<int64_t>(),
           lse.const_data_ptr<float>(), coefficients.const_data_ptr<float>(), gradient.data_ptr(),
           entropy.defined() ? entropy.data_ptr<float>() : nullptr, logits.size(0), logits.size(1),
           static_cast<float>(1 / temperature), dtype_of(gradient)},
          context_.stream()),
      "logit_gradient");
  return gradient;
}

at::Tensor CudaOps::paged_attention(const at::Tensor& qkv, const PagedInputs& in,
                                    const at::Tensor& cache,
                                    const kernels::HeadShape& shape) const {
  const bool own_rows = in.row_ends.defined();
  const FlashResult within =
      own_rows ? flash_attention_within(qkv, in.row_ends, in.longest_span, shape)
               : FlashResult{at::empty({in.rows, shape.heads * shape.dim}, qkv.options()), {}};
  if (own_rows && in.num_slots == 0) return within.out;
  const at::Tensor partial =
      at::empty({in.num_slots, shape.heads, shape.dim + 2}, qkv.options().dtype(at::kFloat));
  context_.check(
      context_.kernels().paged_attention({qkv.const_data_ptr(),
                                          shape.row_size(),
                                          cache.const_data_ptr(),
                                          in.block_list,
                                          in.first_block,
                                          in.lengths,
                                          in.items,
                                          in.num_items,
                                          in.first_slot,
                                          partial.data_ptr<float>(),
                                          within.out.data_ptr(),
                                          in.rows,
                                          shape.heads,
                                          shape.kv_heads,
                                          shape.dim,
                                          in.max_items,
                                          shape.scale(),
                                          dtype_of(qkv),
                                          in.num_slots,
                                          in.tiles,
                                          in.num_tiles,
                                          own_rows ? within.lse.const_data_ptr<float>() : nullptr},
                                         context_.stream()),
      "paged_attention");
  return within.out;
}

}  // namespace

void install_cuda_forms(const ComputeDevice& device) {
  static std::mutex mutex;
  static std::vector<std::pair<const cuda::Library*, std::unique_ptr<CudaOps>>> made;
  const std::lock_guard lock(mutex);
  const at::DeviceType type = tensor_device(device).type();
  for (const auto& [library, forms] : made) {
    if (library == device.library) return install_forms(type, *forms);
  }
  made.emplace_back(device.library, std::make_unique<CudaOps>(device));
  install_forms(type, *made.back().second);
}

void check_cuda_shape(int64_t hidden_size, int64_t intermediate_size, int64_t head_dim) {
  constexpr int64_t unit = 8;  // bf16 in 16 bytes
  const auto require = [](const char* name, int64_t got) {
    if (got % unit == 0) return;
    throw InputError(std::string(name) + ": expected a multiple of 8 for a GPU, got " +
                     std::to_string(got));
  };
  require("hidden_size", hidden_size);
  require("intermediate_size", intermediate_size);
  require("head_dim", head_dim);
}

at::Tensor rotary_paged_attention(const at::Tensor& qkv, const HeadNorms& norms,
                                  const at::Tensor& rope_table, const PagedInputs& inputs,
                                  const at::Tensor& cache, const kernels::HeadShape& shape) {
  const auto& forms = dynamic_cast<const CudaOps&>(forms_for(qkv));
  const DeviceContext& context = forms.context();
  context.check(context.kernels().rope_store(
                    {qkv.data_ptr(), pointer_or_null(norms.q), pointer_or_null(norms.k),
                     rope_table.const_data_ptr<float>(), inputs.positions, inputs.slots,
                     cache.data_ptr(), inputs.rows, shape.heads, shape.kv_heads, shape.dim,
                     static_cast<float>(norms.eps), dtype_of(qkv)},
                    context.stream()),
                "rope_store");
  return forms.paged_attention(qkv, inputs, cache, shape);
}

void add_batched_lora(const at::Tensor& y, const at::Tensor& x, const cuda::LoraTile* tiles,
                      const int32_t* num_tiles, const LoraTableView& table) {
  const auto& forms = dynamic_cast<const CudaOps&>(forms_for(y));
  const DeviceContext& context = forms.context();
  require_whole_packs("batched_lora", x, x.size(1));
  require_whole_packs("batched_lora", y, y.size(1));
  const at::Tensor partial = at::empty({x.size(0), cuda::lora_chunks(x.size(1)), table.max_rank},
                                       x.options().dtype(at::kFloat));
  context.check(
      context.kernels().batched_lora(
          {x.const_data_ptr(), y.data_ptr(), tiles, num_tiles, table.weights, table.stride,
           partial.data_ptr<float>(), x.size(0), x.size(1), y.size(1), table.max_rank, dtype_of(x)},
          context.stream()),
      "batched_lora");
}

}  // namespace weft::ops
