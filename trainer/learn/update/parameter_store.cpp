#include "trainer/learn/update/parameter_store.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros.h>

#include "base/error.h"
#include "model/checkpoint/finite.h"

namespace weft {
namespace {

int64_t round_up(int64_t value, int64_t unit) { return (value + unit - 1) / unit * unit; }

/// The parameters as one tensor where each begins in storage where the one before ends.
at::Tensor end_to_end(const std::vector<StoredParameter>& parameters) {
  if (parameters.empty()) return {};
  const at::Tensor first = parameters.front().tensor->detach();
  int64_t size = 0;
  for (const StoredParameter& p : parameters) {
    const at::Tensor& t = *p.tensor;
    if (!t.is_contiguous() || t.scalar_type() != first.scalar_type() ||
        !t.storage().is_alias_of(first.storage()) || p.offset != size ||
        t.storage_offset() != first.storage_offset() + size) {
      return {};
    }
    size += t.numel();
  }
  return first.as_strided({size}, {1}, first.storage_offset());
}

}  // namespace

ParameterStore::ParameterStore(std::vector<std::vector<NamedParameter>> layers,
                               const StoreLayout& layout)
    : layout_(layout) {
  at::NoGradGuard no_grad;
  WEFT_ASSERT(layout.alignment >= 1 && layout.num_ranks >= 1);
  int64_t total = 0;
  for (const auto& parameters : layers) {
    if (!parameters.empty()) {
      const at::Tensor& first = *parameters.front().tensor;
      device_ = first.device();
      if (layout.gradients_as_weights) gradient_dtype_ = first.scalar_type();
    }
    lay_out(layers_.emplace_back(), parameters);
    total += layers_.back().padded_size;
  }
  if (layout_.gradients_by_layer) return;
  flat_gradient_ = new_gradient(total);
  int64_t offset = 0;
  for (Layer& layer : layers_) {
    set_gradient(layer, flat_gradient_.narrow(0, offset, layer.padded_size));
    offset += layer.padded_size;
  }
}

void ParameterStore::lay_out(Layer& layer, const std::vector<NamedParameter>& parameters) const {
  int64_t end = 0;
  for (const NamedParameter& p : parameters) {
    WEFT_ASSERT(p.tensor->device() == device_);
    const int64_t offset = round_up(end, layout_.alignment);
    layer.parameters.push_back({p.name, p.tensor, offset, p.tensor->dim() >= 2});
    end = offset + p.tensor->numel();
  }
  layer.padded_size = round_up(end, layout_.alignment * layout_.num_ranks);
  layer.flat_weights = end_to_end(layer.parameters);
}

at::Tensor ParameterStore::new_gradient(int64_t size) const {
  return at::zeros({size}, at::TensorOptions(gradient_dtype_).device(device_));
}

void ParameterStore::set_gradient(Layer& layer, at::Tensor gradient) const {
  layer.gradient = std::move(gradient);
  layer.gradient_views.clear();
  for (const StoredParameter& p : layer.parameters) {
    const at::Tensor part = layer.gradient.narrow(0, p.offset, p.tensor->numel());
    layer.gradient_views.push_back(part.view(p.tensor->sizes()));
  }
}

at::Tensor& ParameterStore::gradient(size_t layer) {
  Layer& l = layers_[layer];
  if (!l.gradient.defined()) {
    at::NoGradGuard no_grad;
    set_gradient(l, new_gradient(l.padded_size));
  }
  return l.gradient;
}

at::Tensor& ParameterStore::gradient(size_t layer, size_t i) {
  gradient(layer);
  return layers_[layer].gradient_views[i];
}

at::Tensor& ParameterStore::flat_gradient() {
  WEFT_ASSERT(!layout_.gradients_by_layer);
  return flat_gradient_;
}

void ParameterStore::zero_gradients() {
  if (flat_gradient_.defined()) {
    flat_gradient_.zero_();
    return;
  }
  for (Layer& layer : layers_) {
    if (layer.gradient.defined()) layer.gradient.zero_();
  }
}

void ParameterStore::release_gradient(size_t layer) {
  Layer& l = layers_[layer];
  if (!layout_.gradients_by_layer) {
    l.gradient.zero_();
    return;
  }
  l.gradient.reset();
  l.gradient_views.clear();
}

std::string ParameterStore::non_finite_gradient() {
  for (Layer& layer : layers_) {
    for (size_t i = 0; i < layer.gradient_views.size(); ++i) {
      if (!all_finite(layer.gradient_views[i])) return layer.parameters[i].name;
    }
  }
  return "";
}

}  // namespace weft
