#include "model/ops/gradients.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include "model/ops/saved_activations.h"

namespace weft::ops::gradients {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

struct RmsNorm : Function<RmsNorm> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& w,
                            double eps) {
    const at::Tensor rstd = at::empty({x.size(0)}, x.options().dtype(at::kFloat));
    at::Tensor y = forms_for(x).add_rms_norm(x, {}, w, eps, rstd);
    save(ctx, {x, rstd}, {w});
    return y;
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& g) {
    const auto saved = take_saved(ctx);
    auto [gx, gw] = forms_for(g[0]).rms_norm_backward(g[0].contiguous(), saved[0], saved[2],
                                                      saved[1], ctx->needs_input_grad(1));
    return {gx, gw, at::Tensor()};
  }
};

struct SiluMul : Function<SiluMul> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& gate_up) {
    save(ctx, {gate_up}, {});
    return forms_for(gate_up).silu_mul(gate_up);
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& g) {
    return {forms_for(g[0]).silu_mul_backward(g[0].contiguous(), take_saved(ctx)[0])};
  }
};

struct RotaryAttention : Function<RotaryAttention> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& qkv, const PackedPlanPtr& plan,
                            const at::Tensor& rope_table, kernels::HeadShape shape) {
    const auto result = forms_for(qkv).rotary_attention(qkv, *plan, rope_table, shape);
    save(ctx, {result.out, result.rotated, result.lse}, {rope_table});
    ctx->saved_data["plan"] = c10::IValue::make_capsule(plan);
    ctx->saved_data["heads"] = shape.heads;
    ctx->saved_data["kv_heads"] = shape.kv_heads;
    ctx->saved_data["dim"] = shape.dim;
    return result.out;
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& g) {
    const auto saved = take_saved(ctx);
    const auto plan = ctx->saved_data["plan"].toCapsule();
    const kernels::HeadShape shape{ctx->saved_data["heads"].toInt(),
                                   ctx->saved_data["kv_heads"].toInt(),
                                   ctx->saved_data["dim"].toInt()};
    at::Tensor g_qkv = forms_for(g[0]).rotary_attention_backward(
        g[0].contiguous(), {saved[0], saved[1], saved[2]}, static_cast<const PackedPlan&>(*plan),
        saved[3], shape);
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
    save(ctx, {x}, {w});
    ctx->saved_data["has_bias"] = bias.has_value();
    return forms_for(x).linear(x, w, bias.value_or(at::Tensor()));
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& g) {
    const auto saved = take_saved(ctx);
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
    save(ctx, {x}, {w});
    at::Tensor out = at::empty_like(y);
    forms_for(x).add_linear(y, x, w, out);
    return out;
  }
  static variable_list backward(AutogradContext* ctx, const variable_list& g) {
    const auto saved = take_saved(ctx);
    auto gradients = product_gradients(g[0], saved[0], saved[1], ctx->needs_input_grad(1),
                                       ctx->needs_input_grad(2));
    gradients.insert(gradients.begin(), g[0]);
    return gradients;
  }
};

}  // namespace

at::Tensor linear(const at::Tensor& x, const at::Tensor& w, const at::Tensor& bias) {
  return Linear::apply(x, w, bias.defined() ? std::optional(bias) : std::nullopt);
}

at::Tensor add_linear(const at::Tensor& y, const at::Tensor& x, const at::Tensor& w) {
  return AddLinear::apply(y, x, w);
}

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& w, double eps) {
  return RmsNorm::apply(x, w, eps);
}

at::Tensor silu_mul(const at::Tensor& gate_up) { return SiluMul::apply(gate_up); }

at::Tensor rotary_attention(const at::Tensor& qkv, const PackedPlanPtr& plan,
                            const at::Tensor& rope_table, const kernels::HeadShape& shape) {
  return RotaryAttention::apply(qkv, plan, rope_table, shape);
}

}  // namespace weft::ops::gradients
