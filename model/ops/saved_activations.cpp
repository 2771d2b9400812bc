#include "model/ops/saved_activations.h"

#include <torch/csrc/autograd/custom_function.h>

#include <utility>

#include "base/error.h"

namespace weft::ops {
namespace {

constexpr const char* kKey = "activations";

thread_local SavedActivations* recording = nullptr;

struct Places : torch::CustomClassHolder {
  std::vector<SavedActivations::Place> all;
};

bool same_values(const at::Tensor& a, const at::Tensor& b) {
  return a.is_alias_of(b) && a.storage_offset() == b.storage_offset() && a.sizes() == b.sizes() &&
         a.strides() == b.strides() && a.scalar_type() == b.scalar_type();
}

}  // namespace

SavedActivations::Scope::Scope(SavedActivations* into) : before_(std::exchange(recording, into)) {}

SavedActivations::Scope::~Scope() { recording = before_; }

SavedActivations::Place SavedActivations::place_of(const at::Tensor& tensor) {
  for (const Place& place : places_) {
    if (same_values(*place, tensor)) return place;
  }
  return places_.emplace_back(std::make_shared<at::Tensor>(tensor.detach()));
}

void save(torch::autograd::AutogradContext* ctx, std::vector<at::Tensor> activations,
          const std::vector<at::Tensor>& constants) {
  if (recording == nullptr) {
    activations.insert(activations.end(), constants.begin(), constants.end());
    ctx->save_for_backward(std::move(activations));
    return;
  }
  auto places = c10::make_intrusive<Places>();
  for (const at::Tensor& t : activations) places->all.push_back(recording->place_of(t));
  ctx->saved_data[kKey] = c10::IValue::make_capsule(std::move(places));
  ctx->save_for_backward(constants);
}

std::vector<at::Tensor> take_saved(torch::autograd::AutogradContext* ctx) {
  std::vector<at::Tensor> constants = ctx->get_saved_variables();
  const auto found = ctx->saved_data.find(kKey);
  if (found == ctx->saved_data.end()) return constants;
  const auto capsule = found->second.toCapsule();
  ctx->saved_data.erase(found);
  std::vector<at::Tensor> result;
  for (const SavedActivations::Place& place : static_cast<const Places&>(*capsule).all) {
    WEFT_ASSERT(place->defined());
    result.push_back(*place);
  }
  result.insert(result.end(), constants.begin(), constants.end());
  return result;
}

}  // namespace weft::ops
