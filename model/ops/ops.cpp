#include "model/ops/ops.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>

#include <initializer_list>
#include <string>

#include "base/error.h"
#include "model/ops/gradients.h"

namespace weft::ops {
namespace {

bool records(const at::Tensor& x) { return at::GradMode::is_enabled() && x.requires_grad(); }

// The forms for x, on whose device all others that are defined must lie.
const DeviceOps& forms(const char* operation, const at::Tensor& x,
                       std::initializer_list<const at::Tensor*> others = {}) {
  for (const at::Tensor* t : others) {
    if (!t->defined() || t->device() == x.device()) continue;
    throw Error(std::string(operation) + ": tensors on " + x.device().str() + " and on " +
                t->device().str());
  }
  return forms_for(x);
}

}  // namespace

at::Tensor take_rows(const at::Tensor& x, const at::Tensor& rows) {
  const DeviceOps& device = forms("take_rows", x, {&rows});
  return records(x) ? at::embedding(x, rows) : device.take_rows(x, rows);
}

at::Tensor linear(const at::Tensor& x, const at::Tensor& w, const at::Tensor& bias) {
  const DeviceOps& device = forms("linear", x, {&w, &bias});
  if (at::GradMode::is_enabled()) return gradients::linear(x, w, bias);
  return device.linear(x, w, bias);
}

at::Tensor linear(const at::Tensor& x, const kernels::Int8Matrix& w, const at::Tensor& bias) {
  WEFT_ASSERT(!at::GradMode::is_enabled());
  if (!x.is_cpu()) throw Error("linear of int8 has no form on the device " + x.device().str());
  return kernels::linear(x, w, bias);
}

at::Tensor add_linear(const at::Tensor& y, const at::Tensor& x, const at::Tensor& w) {
  const DeviceOps& device = forms("add_linear", x, {&y, &w});
  if (at::GradMode::is_enabled()) return gradients::add_linear(y, x, w);
  device.add_linear(y, x, w, y);
  return y;
}

at::Tensor linear_f32(const at::Tensor& x, const at::Tensor& w, const at::Tensor& out) {
  return forms("linear_f32", x, {&w, &out}).linear_f32(x, w, out);
}

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& w, double eps) {
  const DeviceOps& device = forms("rms_norm", x, {&w});
  if (records(x) || records(w)) return gradients::rms_norm(x, w, eps);
  return device.add_rms_norm(x, {}, w, eps, {});
}

at::Tensor add_rms_norm(const at::Tensor& x, const at::Tensor& delta, const at::Tensor& w,
                        double eps) {
  return forms("add_rms_norm", x, {&delta, &w}).add_rms_norm(x, delta, w, eps, {});
}

at::Tensor norm_heads(const at::Tensor& qkv, const at::Tensor& q_norm, const at::Tensor& k_norm,
                      const kernels::HeadShape& shape, double eps) {
  if (!q_norm.defined()) return qkv;
  const int64_t rows = qkv.size(0), q = shape.heads * shape.dim, kv = shape.kv_heads * shape.dim;
  const auto normed = [&](int64_t first, int64_t count, const at::Tensor& weight) {
    const at::Tensor heads = qkv.narrow(1, first, count).reshape({-1, shape.dim});
    return rms_norm(heads, weight, eps).view({rows, count});
  };
  return at::cat({normed(0, q, q_norm), normed(q, kv, k_norm), qkv.narrow(1, q + kv, kv)}, 1);
}

at::Tensor silu_mul(const at::Tensor& gate_up) {
  return records(gate_up) ? gradients::silu_mul(gate_up) : forms_for(gate_up).silu_mul(gate_up);
}

PackedPlanPtr plan_packed(const PackedBatch& batch, at::Device device) {
  return forms_for(device).plan_packed(batch, device);
}

at::Tensor rotary_attention(const at::Tensor& qkv, const PackedPlanPtr& plan,
                            const at::Tensor& rope_table, const kernels::HeadShape& shape) {
  const DeviceOps& device = forms("rotary_attention", qkv, {&rope_table});
  if (records(qkv)) return gradients::rotary_attention(qkv, plan, rope_table, shape);
  return device.rotary_attention(qkv, *plan, rope_table, shape).out;
}

at::Tensor token_logprobs(const at::Tensor& logits, const at::Tensor& targets) {
  return forms("token_logprobs", logits, {&targets}).token_logprobs(logits, targets);
}

LossRows loss_rows(const at::Tensor& logits, const at::Tensor& targets, double temperature) {
  WEFT_ASSERT(temperature > 0);
  return forms("loss_rows", logits, {&targets}).loss_rows(logits, targets, temperature);
}

at::Tensor logit_gradient(const at::Tensor& logits, const at::Tensor& targets,
                          const at::Tensor& lse, const at::Tensor& coefficients, double temperature,
                          at::ScalarType dtype, const at::Tensor& entropy) {
  return forms("logit_gradient", logits, {&targets, &lse, &coefficients, &entropy})
      .logit_gradient(logits, targets, lse, coefficients, temperature, dtype, entropy);
}

}  // namespace weft::ops
