#include "model/transformer/ops.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include "model/kernels/kernels.h"

namespace weft {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

bool records(const at::Tensor& x) { return at::GradMode::is_enabled() && x.requires_grad(); }

struct RmsNorm : Function<RmsNorm> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& w,
                            double eps) {
    const at::Tensor rstd = at::empty({x.size(0)}, x.options().dtype(at::kFloat));
    at::Tensor y = kernels::add_rms_norm(x, {}, w, eps, rstd);
    ctx->save_for_backward({x, w, rstd});
    return y;
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& g) {
    const auto saved = ctx->get_saved_variables();
    auto [gx, gw] = kernels::rms_norm_backward(g[0].contiguous(), saved[0], saved[1], saved[2],
                                               ctx->needs_input_grad(1));
    return {gx, gw, at::Tensor()};
  }
};

struct SiluMul : Function<SiluMul> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& gate_up) {
    ctx->save_for_backward({gate_up});
    return kernels::silu_mul(gate_up);
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& g) {
    return {kernels::silu_mul_backward(g[0].contiguous(), ctx->get_saved_variables()[0])};
  }
};

struct AttentionContext {
  const PackedBatch* batch;
  at::Tensor rope_table;
  kernels::HeadShape shape;

  kernels::PackedLayout layout() const { return {batch->cu_seqlens, batch->prefix}; }
  void rotate(const at::Tensor& qkv, float sign) const {
    kernels::rope(qkv, rope_table, batch->positions, shape.heads + shape.kv_heads, shape.dim, sign);
  }
};

// Rotates a copy and attends.
kernels::AttentionResult attend(const at::Tensor& qkv, const AttentionContext& context,
                                at::Tensor& rotated) {
  rotated = qkv.clone();
  context.rotate(rotated, 1.0f);
  return kernels::packed_attention(rotated, context.layout(), context.shape);
}

struct RotaryAttention : Function<RotaryAttention> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& qkv, const PackedBatch* batch,
                            const at::Tensor& rope_table, kernels::HeadShape shape) {
    const AttentionContext context{batch, rope_table, shape};
    at::Tensor rotated;
    const auto result = attend(qkv, context, rotated);
    ctx->save_for_backward({rotated, result.out, result.lse, rope_table});
    ctx->saved_data["batch"] = reinterpret_cast<int64_t>(batch);
    ctx->saved_data["heads"] = shape.heads;
    ctx->saved_data["kv_heads"] = shape.kv_heads;
    ctx->saved_data["dim"] = shape.dim;
    return result.out;
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& g) {
    const auto saved = ctx->get_saved_variables();
    const AttentionContext context{
        reinterpret_cast<const PackedBatch*>(ctx->saved_data["batch"].toInt()),
        saved[3],
        {ctx->saved_data["heads"].toInt(), ctx->saved_data["kv_heads"].toInt(),
         ctx->saved_data["dim"].toInt()}};
    at::Tensor g_qkv = kernels::packed_attention_backward(
        g[0].contiguous(), saved[0], {saved[1], saved[2]}, context.layout(), context.shape);
    context.rotate(g_qkv, -1.0f);
    return {g_qkv, at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

// Gradients of x w^T with respect to x and w.
variable_list product_gradients(const at::Tensor& g, const at::Tensor& x, const at::Tensor& w,
                                bool want_gx, bool want_gw) {
  return {want_gx ? g.mm(w) : at::Tensor(), want_gw ? g.t().mm(x) : at::Tensor()};
}

struct Linear : Function<Linear> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& w,
                            const std::optional<at::Tensor>& bias) {
    ctx->save_for_backward({x, w});
    ctx->saved_data["has_bias"] = bias.has_value();
    return kernels::linear(x, w, bias.value_or(at::Tensor()));
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& g) {
    const auto saved = ctx->get_saved_variables();
    auto gradients = product_gradients(g[0], saved[0], saved[1], ctx->needs_input_grad(0),
                                       ctx->needs_input_grad(1));
    const bool want_gb = ctx->saved_data["has_bias"].toBool() && ctx->needs_input_grad(2);
    gradients.push_back(want_gb ? g[0].sum(0) : at::Tensor());
    return gradients;
  }
};

struct AddLinear : Function<AddLinear> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& y, const at::Tensor& x,
                            const at::Tensor& w) {
    ctx->save_for_backward({x, w});
    at::Tensor out = at::empty_like(y);
    kernels::add_linear(y, x, w, out);
    return out;
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& g) {
    const auto saved = ctx->get_saved_variables();
    auto gradients = product_gradients(g[0], saved[0], saved[1], ctx->needs_input_grad(1),
                                       ctx->needs_input_grad(2));
    gradients.insert(gradients.begin(), g[0]);
    return gradients;
  }
};

}  // namespace

at::Tensor linear(const at::Tensor& x, const at::Tensor& w, const at::Tensor& bias) {
  if (!at::GradMode::is_enabled()) return kernels::linear(x, w, bias);
  return Linear::apply(x, w, bias.defined() ? std::optional(bias) : std::nullopt);
}

at::Tensor add_linear(const at::Tensor& y, const at::Tensor& x, const at::Tensor& w) {
  if (at::GradMode::is_enabled()) return AddLinear::apply(y, x, w);
  kernels::add_linear(y, x, w, y);
  return y;
}

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& w, double eps) {
  if (records(x) || records(w)) return RmsNorm::apply(x, w, eps);
  return kernels::add_rms_norm(x, {}, w, eps);
}

at::Tensor norm_heads(const at::Tensor& qkv, const TransformerLayer& layer,
                      const kernels::HeadShape& shape, double eps) {
  if (!layer.q_norm.defined()) return qkv;
  const int64_t rows = qkv.size(0), q = shape.heads * shape.dim, kv = shape.kv_heads * shape.dim;
  const auto normed = [&](int64_t first, int64_t count, const at::Tensor& weight) {
    const at::Tensor heads = qkv.narrow(1, first, count).reshape({-1, shape.dim});
    return rms_norm(heads, weight, eps).view({rows, count});
  };
  return at::cat(
      {normed(0, q, layer.q_norm), normed(q, kv, layer.k_norm), qkv.narrow(1, q + kv, kv)}, 1);
}

at::Tensor silu_mul(const at::Tensor& gate_up) {
  return records(gate_up) ? SiluMul::apply(gate_up) : kernels::silu_mul(gate_up);
}

at::Tensor rotary_attention(const at::Tensor& qkv, const PackedBatch& batch,
                            const at::Tensor& rope_table, const kernels::HeadShape& shape) {
  if (records(qkv)) return RotaryAttention::apply(qkv, &batch, rope_table, shape);
  at::Tensor rotated;
  return attend(qkv, {&batch, rope_table, shape}, rotated).out;
}

}  // namespace weft
