/// What differentiable operations save for their backward pass, in the hands of who runs them.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

namespace torch::autograd {
struct AutogradContext;
}

namespace weft::ops {

/// Activations that the operations of a pass have saved, a tensor that several of them save once.
/// Weights and other constants are not among them. One thread at a time.
class SavedActivations {
 public:
  /// Where the operations that saved a tensor read it from. Until their backward pass its owner may
  /// replace it by an undefined tensor, and must put equal values of the same shape there before.
  using Place = std::shared_ptr<at::Tensor>;

  /// While one lives, what operations called by its thread save goes to `into` (null: is left to
  /// LibTorch). Nests.
  class Scope {
   public:
    explicit Scope(SavedActivations* into);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    SavedActivations* const before_;
  };

  /// Of `tensor`, which is held without its gradient.
  Place place_of(const at::Tensor& tensor);
  /// In the order in which they were saved first. An operation drops its own in its backward pass.
  const std::vector<Place>& places() const { return places_; }

 private:
  std::vector<Place> places_;
};

/// For autograd functions, in place of save_for_backward: activations of the pass and constants.
void save(torch::autograd::AutogradContext* ctx, std::vector<at::Tensor> activations,
          const std::vector<at::Tensor>& constants);

/// What save() was given, the activations first. Once: they are dropped here.
std::vector<at::Tensor> take_saved(torch::autograd::AutogradContext* ctx);

}  // namespace weft::ops
