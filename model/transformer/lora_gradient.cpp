#include "model/transformer/lora_gradient.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include "base/error.h"
#include "model/ops/device_ops.h"
#include "model/ops/saved_activations.h"

namespace weft {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// In fp32; `bias` may be undefined.
at::Tensor without_bias(const at::Tensor& y, const at::Tensor& bias) {
  const at::Tensor wide = y.to(at::kFloat);
  return bias.defined() ? wide - bias : wide;
}

at::Tensor scaled(const at::Tensor& y, const at::Tensor& bias, const at::Tensor& gain) {
  const at::Tensor product = without_bias(y, bias) * gain;
  return (bias.defined() ? product + bias : product).to(y.scalar_type());
}

/// What of an update is no variable.
struct UpdateShape : torch::CustomClassHolder {
  double scale = 1;
  int64_t rank = 0;
  bool has_gain = false;
  std::vector<int64_t> first_rows, rows;  // of each adapted projection
};

/// `constants` are a, b and, with a gain, gain, row_norms and the bias (zeros where there is none);
/// `leaves` those of update.factors in turn.
struct AddUpdate : torch::autograd::Function<AddUpdate> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& y, const at::Tensor& x,
                            at::TensorList constants, at::TensorList /*leaves*/,
                            const c10::intrusive_ptr<UpdateShape>& shape) {
    const ops::DeviceOps& device = ops::forms_for(x);
    const at::Tensor low = device.linear(x, constants[0], {});
    const at::Tensor out = shape->has_gain ? at::empty_like(y) : y;
    device.add_linear(y, low, constants[1], out);
    if (!shape->has_gain) ctx->mark_dirty({y});
    variable_list activations = {x, low};
    if (shape->has_gain) activations.push_back(out);
    ops::save(ctx, std::move(activations), constants.vec());
    ctx->saved_data["shape"] = c10::IValue::make_capsule(shape);
    return shape->has_gain ? scaled(out, constants[4], constants[2]) : out;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& gradients) {
    const auto saved = ops::take_saved(ctx);
    const auto capsule = ctx->saved_data["shape"].toCapsule();
    const auto& shape = static_cast<const UpdateShape&>(*capsule);
    const auto constants = std::span(saved).subspan(shape.has_gain ? 3 : 2);
    const at::Tensor &x = saved[0], &low = saved[1], &a = constants[0], &b = constants[1];
    at::Tensor g = gradients[0], g_magnitude;
    if (shape.has_gain) {
      const at::Tensor wide = g.to(at::kFloat), before = without_bias(saved[2], constants[4]);
      g_magnitude = (wide * before).sum(0) / constants[3];
      g = (wide * constants[2]).to(g.scalar_type());
    }
    const at::Tensor g_low = g.mm(b);
    variable_list result = {g, ctx->needs_input_grad(1) ? g_low.mm(a) : at::Tensor()};
    result.resize(result.size() + (shape.has_gain ? 5 : 2));
    const at::Tensor g_a = g_low.t().mm(x);
    for (size_t i = 0; i < shape.rows.size(); ++i) {
      const int64_t rank = shape.rank, first = static_cast<int64_t>(i) * rank;
      const at::Tensor block = g.narrow(1, shape.first_rows[i], shape.rows[i]);
      const at::Tensor g_b = block.t().mm(low.narrow(1, first, rank));
      result.push_back(g_a.narrow(0, first, rank).to(at::kFloat));
      result.push_back(g_b.to(at::kFloat) * shape.scale);
      if (!shape.has_gain) continue;
      result.push_back(g_magnitude.narrow(0, shape.first_rows[i], shape.rows[i]));
    }
    result.emplace_back();  // of the shape
    return result;
  }
};

}  // namespace

at::Tensor row_norms(const at::Tensor& w, const at::Tensor& a, const at::Tensor& b, double scale) {
  constexpr int64_t kRows = 1024;
  const at::Tensor gram = a.mm(a.t());
  std::vector<at::Tensor> norms;
  for (int64_t first = 0; first < w.size(0); first += kRows) {
    const int64_t count = std::min(kRows, w.size(0) - first);
    const at::Tensor rows = w.narrow(0, first, count).to(at::kFloat);
    const at::Tensor update = b.narrow(0, first, count) * scale;
    const at::Tensor cross = (rows.mm(a.t()) * update).sum(1);
    norms.push_back((rows.square().sum(1) + 2 * cross + (update.mm(gram) * update).sum(1)).sqrt());
  }
  return at::cat(norms);
}

at::Tensor with_gain(const at::Tensor& y, const LoraUpdate& update) {
  return scaled(y, update.bias, update.gain);
}

at::Tensor add_update(const at::Tensor& y, const at::Tensor& x, const LoraUpdate& update) {
  WEFT_ASSERT(!update.factors.empty());
  auto shape = c10::make_intrusive<UpdateShape>();
  shape->scale = update.scale;
  shape->rank = update.factors.front().a.size(0);
  shape->has_gain = update.gain.defined();
  variable_list constants = {update.a, update.b}, leaves;
  if (shape->has_gain) {
    constants.push_back(update.gain);
    constants.push_back(update.row_norms);
    constants.push_back(update.bias.defined() ? update.bias
                                              : at::zeros({1}, update.gain.options()));
  }
  for (const LoraFactors& f : update.factors) {
    shape->first_rows.push_back(f.first_row);
    shape->rows.push_back(f.b.size(0));
    leaves.push_back(f.a);
    leaves.push_back(f.b);
    if (shape->has_gain) leaves.push_back(f.magnitude);
  }
  return AddUpdate::apply(y, x, at::TensorList(constants), at::TensorList(leaves), shape);
}

}  // namespace weft
