#include "trainer/learn/update/optimizer.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <cmath>

#include "base/error.h"
#include "model/checkpoint/finite.h"
#include "model/ops/cpu/kernels.h"

namespace weft {
namespace {

constexpr const char* kMean = "mean";
constexpr const char* kSquare = "square";
constexpr const char* kMasters = "masters";
constexpr const char* kCounters = "counters";
constexpr double kMostGradNorm = 1e18;  // beyond, the square of a gradient is infinite in fp32

void check_range(const char* field, double value, double low, double high) {
  if (!(value >= low && value < high)) {
    throw InputError(std::string(field) + ": expected a number in [" + std::to_string(low) + ", " +
                     std::to_string(high) + "), got " + std::to_string(value));
  }
}

int64_t total_size(const std::vector<NamedParameter>& parameters) {
  int64_t total = 0;
  for (const auto& p : parameters) total += p.tensor->numel();
  return total;
}

}  // namespace

void AdamWOptions::validate() const {
  check_range("beta1", beta1, 0, 1);
  check_range("beta2", beta2, 0, 1);
  if (!(eps > 0 && eps <= 1)) {
    throw InputError("eps: expected a number in (0, 1], got " + std::to_string(eps));
  }
  check_range("weight_decay", weight_decay, 0, 1);
  if (!(max_grad_norm > 0 && max_grad_norm <= kMostGradNorm)) {
    throw InputError("max_grad_norm: expected a number in (0, 1e18], got " +
                     std::to_string(max_grad_norm));
  }
}

GradientBuffer::GradientBuffer(const std::vector<NamedParameter>& parameters)
    : flat_(at::zeros({total_size(parameters)}, at::kFloat)) {
  int64_t offset = 0;
  for (const auto& p : parameters) {
    views_.push_back(flat_.narrow(0, offset, p.tensor->numel()).view(p.tensor->sizes()));
    offset += p.tensor->numel();
  }
}

void GradientBuffer::zero() { flat_.zero_(); }

AdamW::AdamW(std::vector<NamedParameter> parameters, const AdamWOptions& options)
    : parameters_(std::move(parameters)), options_(options) {
  at::NoGradGuard no_grad;
  const int64_t total = total_size(parameters_);
  mean_ = at::zeros({total}, at::kFloat);
  square_ = at::zeros({total}, at::kFloat);
  num_steps_ = at::zeros({}, at::kFloat);
  bool needs_masters = false;
  for (const auto& p : parameters_) needs_masters |= p.tensor->scalar_type() != at::kFloat;
  if (needs_masters) masters_ = at::empty({total}, at::kFloat);
  int64_t offset = 0;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    offsets_.push_back(offset);
    const at::Tensor weights = parameters_[i].tensor->detach();
    if (needs_masters) slot(masters_, i).copy_(weights);
    master_views_.push_back(needs_masters ? slot(masters_, i) : weights);
    offset += weights.numel();
  }
}

at::Tensor AdamW::slot(const at::Tensor& flat, size_t i) const {
  const at::Tensor& p = *parameters_[i].tensor;
  return flat.narrow(0, offsets_[i], p.numel()).view(p.sizes());
}

StepResult AdamW::step(GradientBuffer& gradients, double lr) {
  at::NoGradGuard no_grad;
  WEFT_ASSERT(gradients.size() == parameters_.size());
  StepResult result;
  result.grad_norm = kernels::l2_norm(gradients.flat());
  if (!std::isfinite(result.grad_norm)) {
    ++num_skipped_;
    result.applied = false;
    return result;
  }
  if (result.grad_norm > options_.max_grad_norm) {
    gradients.flat().mul_(options_.max_grad_norm / result.grad_norm);
  }
  num_steps_.add_(1);
  for (const bool decays : {false, true}) {
    std::vector<at::Tensor> weights, grads, means, squares;
    for (size_t i = 0; i < parameters_.size(); ++i) {
      if ((parameters_[i].tensor->dim() >= 2) != decays) continue;
      weights.push_back(master_views_[i]);
      grads.push_back(gradients.view(i));
      means.push_back(slot(mean_, i));
      squares.push_back(slot(square_, i));
    }
    if (weights.empty()) continue;
    const std::vector<at::Tensor> steps(weights.size(), num_steps_);
    at::_fused_adamw_(weights, grads, means, squares, {}, steps, lr, options_.beta1, options_.beta2,
                      decays ? options_.weight_decay : 0, options_.eps,
                      /*amsgrad=*/false, /*maximize=*/false);
  }
  if (masters_.defined()) {
    for (size_t i = 0; i < parameters_.size(); ++i) {
      parameters_[i].tensor->detach().copy_(master_views_[i]);
    }
  }
  return result;
}

std::vector<std::pair<std::string, at::Tensor>> AdamW::state() const {
  at::Tensor counters = at::empty({2}, at::kLong);
  counters.data_ptr<int64_t>()[0] = num_steps_.item<int64_t>();
  counters.data_ptr<int64_t>()[1] = num_skipped_;
  std::vector<std::pair<std::string, at::Tensor>> result = {
      {kMean, mean_}, {kSquare, square_}, {kCounters, counters}};
  if (masters_.defined()) result.emplace_back(kMasters, masters_);
  return result;
}

void AdamW::load_state(const std::function<at::Tensor(const std::string&)>& find) {
  at::NoGradGuard no_grad;
  for (auto& [name, tensor] : state()) {
    const at::Tensor saved = find(name);
    if (saved.sizes() != tensor.sizes()) {
      throw InputError("optimizer state \"" + name + "\": expected " +
                       std::to_string(tensor.numel()) + " values, got " +
                       std::to_string(saved.numel()));
    }
    if (saved.scalar_type() != tensor.scalar_type()) {
      throw InputError("optimizer state \"" + name + "\": expected " +
                       c10::toString(tensor.scalar_type()) + ", got " +
                       c10::toString(saved.scalar_type()));
    }
    if (!all_finite(saved)) {
      throw InputError("optimizer state \"" + name + "\" holds values that are not finite");
    }
    if (name != kCounters) {
      tensor.copy_(saved);
      continue;
    }
    const at::Tensor counters = saved.contiguous();
    num_steps_.fill_(counters.data_ptr<int64_t>()[0]);
    num_skipped_ = counters.data_ptr<int64_t>()[1];
  }
  if (!masters_.defined()) return;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    parameters_[i].tensor->detach().copy_(master_views_[i]);
  }
}

}  // namespace weft
