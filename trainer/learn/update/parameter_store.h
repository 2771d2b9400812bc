/// Trained parameters by layer, with their gradients: where ranks divide weights, gradients and
/// optimizer states, and what happens around a layer's passes.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "model/transformer/transformer.h"

namespace weft {

/// Around the passes of a layer, called by LayerwiseTrainer. These do nothing: one rank needs
/// nothing. Layers count from 0; the parameters outside of layers are the last one.
class LayerHooks {
 public:
  virtual ~LayerHooks() = default;
  virtual void gather(size_t /*layer*/) {}   ///< before a pass reads the layer's weights
  virtual void release(size_t /*layer*/) {}  ///< after it
  virtual void notify(size_t /*layer*/) {}   ///< the microbatch has nothing to add to its gradient
};

struct StoreLayout {
  int64_t alignment = 1;  ///< each parameter begins at a multiple of it
  int64_t num_ranks = 1;  ///< a layer's padded size is a multiple of alignment * num_ranks
  /// Gradients of a layer exist from their first use to release_gradient(), not all the time.
  bool gradients_by_layer = false;
  /// Gradients have the dtype of their parameters, not fp32.
  bool gradients_as_weights = false;
};

/// One trained tensor: its place in the flat buffers of its layer.
struct StoredParameter {
  std::string name;
  at::Tensor* tensor = nullptr;
  int64_t offset = 0;
  bool decays = false;  ///< a matrix: vectors (norms, biases) are not decayed by default
};

/// Weights and gradients of the parameters of a layer lie in flat order: each at its offset, zeros
/// between and after them.
class ParameterStore {
 public:
  /// `layers` are borrowed: their tensors outlive the store, keep their storage, lie on one device
  /// and are of one dtype.
  explicit ParameterStore(std::vector<std::vector<NamedParameter>> layers,
                          const StoreLayout& layout = {});

  size_t num_layers() const { return layers_.size(); }
  const std::vector<StoredParameter>& parameters(size_t layer) const {
    return layers_[layer].parameters;
  }
  at::Device device() const { return device_; }
  at::ScalarType gradient_dtype() const { return gradient_dtype_; }

  /// Values of a layer's flat buffers, padding included.
  int64_t padded_size(size_t layer) const { return layers_[layer].padded_size; }

  /// [values] the weights themselves where they lie end to end in their storage (those of decoder
  /// layers and adapters do) and the layout has no gaps; else undefined.
  const at::Tensor& flat_weights(size_t layer) const { return layers_[layer].flat_weights; }

  /// [padded size]. Of all layers, in order, they are parts of flat_gradient() unless they
  /// exist by layer.
  at::Tensor& gradient(size_t layer);
  /// The part of parameter `i` of the layer, shaped like it.
  at::Tensor& gradient(size_t layer, size_t i);
  /// [sum of padded sizes]. Only where gradients do not exist by layer.
  at::Tensor& flat_gradient();
  /// Zeroes what exists.
  void zero_gradients();
  /// Frees the layer's gradient where gradients exist by layer, else zeroes it.
  void release_gradient(size_t layer);
  /// Name of the first parameter whose gradient is not finite; empty where there is none.
  std::string non_finite_gradient();

  /// `hooks` is borrowed; null: none.
  void set_hooks(LayerHooks* hooks) { hooks_ = hooks != nullptr ? hooks : &no_hooks_; }
  LayerHooks& hooks() { return *hooks_; }

 private:
  struct Layer {
    std::vector<StoredParameter> parameters;
    int64_t padded_size = 0;
    at::Tensor flat_weights;
    at::Tensor gradient;  // undefined while it does not exist
    std::vector<at::Tensor> gradient_views;
  };
  void lay_out(Layer& layer, const std::vector<NamedParameter>& parameters) const;
  at::Tensor new_gradient(int64_t size) const;
  void set_gradient(Layer& layer, at::Tensor gradient) const;

  StoreLayout layout_;
  at::Device device_ = at::kCPU;
  at::ScalarType gradient_dtype_ = at::kFloat;
  std::vector<Layer> layers_;
  at::Tensor flat_gradient_;
  LayerHooks no_hooks_;
  LayerHooks* hooks_ = &no_hooks_;
};

}  // namespace weft
