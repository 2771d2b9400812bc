#include <ATen/ops/empty.h>

#include "model/ops/cpu/kernels.h"
#include "model/ops/cpu/parallel.h"
#include "model/ops/device_ops.h"

namespace weft::ops {
namespace {

class CpuOps : public DeviceOps {
 public:
  std::string device() const override { return "cpu"; }

  at::Tensor take_rows(const at::Tensor& x, const at::Tensor& rows) const override {
    return kernels::take_rows(x, rows);
  }
  at::Tensor linear(const at::Tensor& x, const at::Tensor& w,
                    const at::Tensor& bias) const override {
    return kernels::linear(x, w, bias);
  }
  void add_linear(const at::Tensor& y, const at::Tensor& x, const at::Tensor& w,
                  const at::Tensor& out) const override {
    kernels::add_linear(y, x, w, out);
  }
  at::Tensor linear_f32(const at::Tensor& x, const at::Tensor& w,
                        const at::Tensor& out) const override {
    return kernels::linear_f32(x, w, out);
  }
  at::Tensor add_rms_norm(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& w,
                          double eps, const at::Tensor& rstd) const override {
    return kernels::add_rms_norm(x, delta, w, eps, rstd);
  }
  std::pair<at::Tensor, at::Tensor> rms_norm_backward(const at::Tensor& gy, const at::Tensor& x,
                                                      const at::Tensor& w, const at::Tensor& rstd,
                                                      bool want_gw) const override {
    return kernels::rms_norm_backward(gy, x, w, rstd, want_gw);
  }
  at::Tensor silu_mul(const at::Tensor& gate_up) const override {
    return kernels::silu_mul(gate_up);
  }
  at::Tensor silu_mul_backward(const at::Tensor& gy, const at::Tensor& gate_up) const override {
    return kernels::silu_mul_backward(gy, gate_up);
  }

  PackedPlanPtr plan_packed(const PackedBatch& batch, at::Device) const override {
    return c10::make_intrusive<PackedPlan>(batch);
  }
  RotaryAttentionResult rotary_attention(const at::Tensor& qkv, const PackedPlan& plan,
                                         const at::Tensor& rope_table,
                                         const kernels::HeadShape& shape) const override {
    const at::Tensor rotated = qkv.clone();
    rotate(rotated, plan, rope_table, shape, 1.0f);
    const auto result = kernels::packed_attention(rotated, layout(plan), shape);
    return {result.out, rotated, result.lse};
  }
  at::Tensor rotary_attention_backward(const at::Tensor& g_out,
                                       const RotaryAttentionResult& forward, const PackedPlan& plan,
                                       const at::Tensor& rope_table,
                                       const kernels::HeadShape& shape) const override {
    const at::Tensor g_qkv = kernels::packed_attention_backward(
        g_out, forward.rotated, {forward.out, forward.lse}, layout(plan), shape);
    rotate(g_qkv, plan, rope_table, shape, -1.0f);
    return g_qkv;
  }

  at::Tensor token_logprobs(const at::Tensor& logits, const at::Tensor& targets) const override {
    const int64_t rows = logits.size(0), size = logits.size(1);
    at::Tensor result = at::empty({rows}, logits.options());
    const float* logit = kernels::data<float>(logits);
    const int64_t* target = kernels::data<int64_t>(targets);
    float* out = kernels::data<float>(result);
    kernels::parallel_ranges(rows, 1, [&](int64_t b, int64_t e) {
      for (int64_t r = b; r < e; ++r) {
        out[r] = logit[r * size + target[r]] -
                 kernels::kernel_table().log_sum_exp(logit + r * size, size);
      }
    });
    return result;
  }

  LossRows loss_rows(const at::Tensor& logits, const at::Tensor& targets,
                     double temperature) const override {
    const int64_t rows = logits.size(0), size = logits.size(1);
    const LossRows result = {at::empty({rows}, logits.options()),
                             at::empty({rows}, logits.options())};
    const float* logit = kernels::data<float>(logits);
    const int64_t* target = kernels::data<int64_t>(targets);
    float *lse = kernels::data<float>(result.lse), *logp = kernels::data<float>(result.logp);
    kernels::parallel_ranges(rows, 1, [&](int64_t b, int64_t e) {
      for (int64_t r = b; r < e; ++r) {
        const kernels::TokenLogprob token = kernels::kernel_table().logprob(
            logit + r * size, size, target[r], static_cast<float>(temperature));
        lse[r] = token.lse;
        logp[r] = token.logprob;
      }
    });
    return result;
  }

  // ATen's exp would not do: two threads in its first call, of MKL, can give other bits.
  at::Tensor logit_gradient(const at::Tensor& logits, const at::Tensor& targets,
                            const at::Tensor& lse, const at::Tensor& coefficients,
                            double temperature, at::ScalarType dtype,
                            const at::Tensor& entropy) const override {
    const double inverse = 1 / temperature;
    if (inverse != 1) logits.mul_(inverse);
    const int64_t size = logits.size(1);
    float* x = kernels::data<float>(logits);
    const float *sums = kernels::data<float>(lse), *slopes = kernels::data<float>(coefficients);
    const int64_t* target = kernels::data<int64_t>(targets);
    float* out = entropy.defined() ? kernels::data<float>(entropy) : nullptr;
    kernels::parallel_ranges(logits.size(0), 1, [&](int64_t b, int64_t e) {
      for (int64_t r = b; r < e; ++r) {
        float* row = x + r * size;
        const float slope = static_cast<float>(slopes[r] * inverse);
        const float h = kernels::kernel_table().scaled_softmax(row, size, sums[r], -slope);
        row[target[r]] += slope;
        if (out) out[r] = h;
      }
    });
    return logits.to(dtype);
  }

 private:
  static kernels::PackedLayout layout(const PackedPlan& plan) {
    return {plan.batch.cu_seqlens, plan.batch.prefix};
  }
  static void rotate(const at::Tensor& qkv, const PackedPlan& plan, const at::Tensor& rope_table,
                     const kernels::HeadShape& shape, float sign) {
    kernels::rope(qkv, rope_table, plan.batch.positions, shape.heads + shape.kv_heads, shape.dim,
                  sign);
  }
};

}  // namespace

const DeviceOps& cpu_forms() {
  static const CpuOps forms;
  return forms;
}

}  // namespace weft::ops
