#include "trainer/learn/update/optimizer.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "model/ops/cpu/kernels.h"
#include "trainer/learn/update/muon.h"

namespace weft {
namespace {

enum Rounded : uint64_t { kAverage, kSquare, kWeight };

/// The norm of that order of all parts, each part's in fp32 over `divisor`.
double norm_of_parts(const std::vector<at::Tensor>& parts, double order, double divisor) {
  std::vector<at::Tensor> norms;
  for (const at::Tensor& part : parts) {
    const at::Tensor values = divisor == 1 ? part : part.to(at::kFloat) / divisor;
    norms.push_back(at::linalg_vector_norm(values, order, {}, false, at::kFloat));
  }
  return at::linalg_vector_norm(at::stack(norms), order, {}, false, at::kDouble).item<double>();
}

/// On a device parts are summed in fp32 and their squares in fp64: LibTorch would first copy the
/// whole gradient to fp64. Where that overflows, once more with all values over the largest.
double l2_norm(const at::Tensor& gradient) {
  if (gradient.is_cpu()) return kernels::l2_norm(gradient);
  const std::vector<at::Tensor> parts = gradient.flatten().split(kUpdatePart);
  const double norm = norm_of_parts(parts, 2, 1);
  if (std::isfinite(norm)) return norm;
  const double largest = norm_of_parts(parts, HUGE_VAL, 1);
  return std::isfinite(largest) ? largest * norm_of_parts(parts, 2, largest) : largest;
}

/// Throws InputError where a group fits no parameter.
void require_used(const std::vector<ParameterGroup>& groups, const ParameterStore& store) {
  for (size_t g = 0; g < groups.size(); ++g) {
    bool used = false;
    std::string example;
    for (size_t l = 0; l < store.num_layers(); ++l) {
      for (const StoredParameter& p : store.parameters(l)) {
        used |= matches_pattern(groups[g].pattern, p.name);
        if (example.empty()) example = p.name;
      }
    }
    if (!used) {
      throw InputError("parameter_groups[" + std::to_string(g) + "]: pattern \"" +
                       groups[g].pattern + "\" fits no trained parameter; one is called \"" +
                       example + "\"");
    }
  }
}

}  // namespace

StateForm state_form(OptimizerKind kind) {
  if (kind == OptimizerKind::kAdamWBf16) return StateForm::kBf16;
  return kind == OptimizerKind::kAdamW8bit ? StateForm::k8bit : StateForm::kF32;
}

StoreLayout store_layout(const OptimizerOptions& options) {
  StoreLayout layout;
  if (state_form(options.kind) == StateForm::k8bit) layout.alignment = kQuantizationBlock;
  layout.gradients_as_weights = options.bf16_gradients;
  layout.gradients_by_layer = options.in_backward;
  return layout;
}

Optimizer::Optimizer(ParameterStore& store, const OptimizerOptions& options, FusedRows fused_rows)
    : store_(store),
      options_(options),
      fused_rows_(std::move(fused_rows)),
      form_(state_form(options.kind)),
      signed_(CodeBook::kSigned, store.device()),
      unsigned_(CodeBook::kUnsigned, store.device()) {
  at::NoGradGuard no_grad;
  const std::vector<ParameterGroup> groups = options_.parsed_groups();
  require_used(groups, store_);
  uint64_t number = 0;
  for (size_t l = 0; l < store_.num_layers(); ++l) {
    parameters_.emplace_back();
    for (size_t i = 0; i < store_.parameters(l).size(); ++i) {
      parameters_[l].push_back(make_parameter(l, i, groups));
      parameters_[l].back().number = number++;
    }
    make_masters(l);
  }
}

Optimizer::Parameter Optimizer::make_parameter(size_t layer, size_t i,
                                               const std::vector<ParameterGroup>& groups) const {
  const StoredParameter& stored = store_.parameters(layer)[i];
  Parameter p;
  p.weight_decay = stored.decays ? options_.adamw.weight_decay : 0;
  const auto group = std::find_if(groups.begin(), groups.end(), [&](const ParameterGroup& g) {
    return matches_pattern(g.pattern, stored.name);
  });
  if (group != groups.end()) {
    p.lr_scale = group->lr_scale;
    p.weight_decay = group->weight_decay.value_or(p.weight_decay);
  }
  p.orthogonal = options_.kind == OptimizerKind::kMuon && layer + 1 < store_.num_layers() &&
                 stored.tensor->dim() == 2;
  for (const auto& [end, rows] : fused_rows_) {
    if (p.orthogonal && stored.name.ends_with(end)) p.rows = rows;
  }
  const at::IntArrayRef shape = stored.tensor->sizes();
  p.average = StateArray(shape, form_, signed_);
  if (!p.orthogonal) p.square = StateArray(shape, form_, unsigned_);
  return p;
}

void Optimizer::make_masters(size_t layer) {
  const auto& stored = store_.parameters(layer);
  const bool needed =
      options_.has_masters() && std::any_of(stored.begin(), stored.end(), [](const auto& p) {
        return p.tensor->scalar_type() != at::kFloat;
      });
  at::Tensor& masters = masters_.emplace_back();
  if (needed) {
    masters = at::zeros({store_.padded_size(layer)},
                        at::TensorOptions(at::kFloat).device(store_.device()));
  }
  for (size_t i = 0; i < stored.size(); ++i) {
    const at::Tensor weights = stored[i].tensor->detach();
    at::Tensor& master = parameters_[layer][i].master;
    if (needed) {
      master = masters.narrow(0, stored[i].offset, weights.numel()).view(weights.sizes());
      master.copy_(weights);
    } else if (weights.scalar_type() == at::kFloat) {
      master = weights;
    }
  }
}

StepResult Optimizer::step(double lr) {
  at::NoGradGuard no_grad;
  begin_step(lr);
  under_way_.grad_norm = l2_norm(store_.flat_gradient());
  if (!std::isfinite(under_way_.grad_norm)) {
    under_way_.applied = false;
    under_way_.non_finite = store_.non_finite_gradient();
    ++num_skipped_;
    return under_way_;
  }
  const double most = options_.adamw.max_grad_norm;
  if (most > 0 && under_way_.grad_norm > most) {
    clip_ = most / under_way_.grad_norm;
    if (store_.gradient_dtype() == at::kFloat) store_.flat_gradient().mul_(std::exchange(clip_, 1));
  }
  for (size_t l = 0; l < store_.num_layers(); ++l) apply(l);
  return under_way_;
}

void Optimizer::begin_step(double lr) {
  lr_ = lr;
  sum_of_squares_ = 0;
  clip_ = 1;
  under_way_ = {};
  changed_ = false;
}

void Optimizer::update_layer(size_t layer) {
  at::NoGradGuard no_grad;
  if (!under_way_.applied || store_.parameters(layer).empty()) return;
  const double norm = l2_norm(store_.gradient(layer));
  sum_of_squares_ += norm * norm;
  if (std::isfinite(norm)) {
    apply(layer);
    return;
  }
  const std::string name = store_.non_finite_gradient();
  if (changed_) {
    throw Error("update " + std::to_string(num_updates_) + ": the gradient of " + name +
                " is not finite, and other layers are updated already");
  }
  under_way_.applied = false;
  under_way_.non_finite = name;
  ++num_skipped_;
}

StepResult Optimizer::end_step() {
  under_way_.grad_norm = std::sqrt(sum_of_squares_);
  return under_way_;
}

bool Optimizer::needs_parts(const Parameter& p) const {
  return form_ != StateForm::kF32 || !p.master.defined();
}

void Optimizer::apply(size_t layer) {
  if (!changed_) {
    changed_ = true;
    ++num_updates_;
    update_number_ = at::full({}, static_cast<double>(num_updates_),
                              at::TensorOptions(at::kFloat).device(store_.device()));
  }
  apply_whole(layer);
  for (size_t i = 0; i < parameters_[layer].size(); ++i) {
    const Parameter& p = parameters_[layer][i];
    if (!p.orthogonal && needs_parts(p)) apply_in_parts(layer, i);
  }
  write_back(layer);
}

void Optimizer::adamw(const at::TensorList weights, const at::TensorList gradients,
                      const at::TensorList averages, const at::TensorList squares,
                      const Parameter& like) {
  const std::vector<at::Tensor> numbers(weights.size(), update_number_);
  at::_fused_adamw_(weights, gradients, averages, squares, {}, numbers, lr_ * like.lr_scale,
                    options_.adamw.beta1, options_.adamw.beta2, like.weight_decay,
                    options_.adamw.eps, /*amsgrad=*/false, /*maximize=*/false);
}

/// Those whose weights and states are fp32 tensors, each group of equal rate and decay at once.
void Optimizer::apply_whole(size_t layer) {
  struct Lists {
    const Parameter* like = nullptr;
    std::vector<at::Tensor> weights, gradients, averages, squares;
  };
  std::map<std::pair<double, double>, Lists> groups;
  for (size_t i = 0; i < parameters_[layer].size(); ++i) {
    Parameter& p = parameters_[layer][i];
    if (p.orthogonal && p.master.defined()) {
      muon_step(p.master, store_.gradient(layer, i), p.average.values(), p.rows, lr_ * p.lr_scale,
                p.weight_decay, options_.muon);
    } else if (p.orthogonal) {
      const at::Tensor weights = store_.parameters(layer)[i].tensor->detach();
      const at::Tensor updated = weights.to(at::kFloat);
      muon_step(updated, clipped(store_.gradient(layer, i)), p.average.values(), p.rows,
                lr_ * p.lr_scale, p.weight_decay, options_.muon);
      round_stochastically(updated, weights, key(p, kWeight, 0));
    } else if (!needs_parts(p)) {
      Lists& lists = groups[{p.lr_scale, p.weight_decay}];
      lists.like = &p;
      lists.weights.push_back(p.master);
      lists.gradients.push_back(store_.gradient(layer, i));
      lists.averages.push_back(p.average.values());
      lists.squares.push_back(p.square.values());
    }
  }
  for (const auto& [rate_and_decay, lists] : groups) {
    adamw(lists.weights, lists.gradients, lists.averages, lists.squares, *lists.like);
  }
}

/// In fp32.
at::Tensor Optimizer::clipped(const at::Tensor& gradient) const {
  const at::Tensor wide = gradient.to(at::kFloat);
  return clip_ == 1 ? wide : wide * clip_;
}

RoundingKey Optimizer::key(const Parameter& p, uint64_t what, int64_t first) const {
  const auto update = static_cast<uint64_t>(num_updates_);
  return {options_.seed, update << 32 | p.number << 2 | what, first};
}

void Optimizer::apply_in_parts(size_t layer, size_t i) {
  Parameter& p = parameters_[layer][i];
  const at::Tensor weights = store_.parameters(layer)[i].tensor->detach().flatten();
  const at::Tensor gradient = store_.gradient(layer, i).flatten();
  const at::Tensor master = p.master.defined() ? p.master.flatten() : at::Tensor();
  for (int64_t first = 0; first < weights.numel(); first += kUpdatePart) {
    const int64_t count = std::min(kUpdatePart, weights.numel() - first);
    const at::Tensor average = p.average.read(first, count), square = p.square.read(first, count);
    const at::Tensor old = weights.narrow(0, first, count);
    const at::Tensor updated =
        master.defined() ? master.narrow(0, first, count) : old.to(at::kFloat);
    adamw({updated}, {clipped(gradient.narrow(0, first, count))}, {average}, {square}, p);
    p.average.write(first, average, key(p, kAverage, first));
    p.square.write(first, square, key(p, kSquare, first));
    if (!master.defined()) round_stochastically(updated, old, key(p, kWeight, first));
  }
}

void Optimizer::write_back(size_t layer) {
  const at::Tensor& masters = masters_[layer];
  if (!masters.defined()) return;
  if (store_.flat_weights(layer).defined()) {
    const at::Tensor& weights = store_.flat_weights(layer);
    weights.copy_(masters.narrow(0, 0, weights.numel()));
    return;
  }
  for (size_t i = 0; i < parameters_[layer].size(); ++i) {
    store_.parameters(layer)[i].tensor->detach().copy_(parameters_[layer][i].master);
  }
}

}  // namespace weft
