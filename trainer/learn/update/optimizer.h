/// AdamW on fp32 master weights, with gradients in one flat fp32 buffer.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/config.h"
#include "model/transformer/transformer.h"

namespace weft {

struct AdamWOptions {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;  ///< in (0, 1]: a gradient that was always 0 divides by it
  double weight_decay =
      0;  ///< decoupled, per step, times the learning rate, in [0, 1); matrices only
  double max_grad_norm = 1;  ///< gradients of a larger global norm are scaled to it; in (0, 1e18]

  template <class V>
  void visit(V& v) {
    v("beta1", beta1, "decay of the gradient's mean, per step");
    v("beta2", beta2, "decay of the gradient's square, per step");
    v("eps", eps, "added to the root of the square");
    v("weight_decay", weight_decay, "decoupled decay, per step, times lr; matrices only");
    v("max_grad_norm", max_grad_norm, "global gradient norm above which gradients are scaled");
  }
  /// Throws InputError naming the field.
  void validate() const;
};

/// fp32 gradients of some parameters: one contiguous buffer and a view of it for each.
class GradientBuffer {
 public:
  explicit GradientBuffer(const std::vector<NamedParameter>& parameters);

  at::Tensor& flat() { return flat_; }
  /// Shaped like parameter `i`.
  at::Tensor& view(size_t i) { return views_[i]; }
  size_t size() const { return views_.size(); }
  void zero();

 private:
  at::Tensor flat_;
  std::vector<at::Tensor> views_;
};

struct StepResult {
  double grad_norm = 0;  ///< global L2 norm before clipping, as kernels::l2_norm
  bool applied = true;   ///< false: the norm is not finite and nothing was changed
};

/// AdamW (arXiv:1711.05101, algorithm 2, decay scaled by the learning rate as in PyTorch):
///
///   m = b1 m + (1 - b1) g,  v = b2 v + (1 - b2) g^2
///   w = (1 - lr wd) w - lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)
///
/// An fp32 parameter is its own master; of a bf16 one an fp32 master is kept and rounded into it
/// after each step. Vectors (norms, biases) are not decayed. Not thread-safe.
class AdamW {
 public:
  /// The parameters must outlive the optimizer and keep their storage.
  AdamW(std::vector<NamedParameter> parameters, const AdamWOptions& options);

  /// One update from the gradients, which it scales in place when it clips. A non-finite norm skips
  /// the step and is counted.
  StepResult step(GradientBuffer& gradients, double lr);

  /// Updates applied, those before a resume included.
  int64_t num_updates() const { return num_steps_.item<int64_t>(); }
  int64_t num_skipped() const { return num_skipped_; }

  /// Moments, masters (of parameters that are not fp32) and counters, by name; the tensors are the
  /// optimizer's own.
  std::vector<std::pair<std::string, at::Tensor>> state() const;

  /// Copies a saved state in. `find` returns the tensor of a name. Throws InputError when a shape
  /// or dtype differs or a value is not finite.
  void load_state(const std::function<at::Tensor(const std::string&)>& find);

 private:
  at::Tensor slot(const at::Tensor& flat, size_t i) const;

  std::vector<NamedParameter> parameters_;
  AdamWOptions options_;
  at::Tensor mean_, square_;  // [n] f32
  at::Tensor masters_;        // [n] f32, undefined where every parameter is fp32
  std::vector<int64_t> offsets_;
  std::vector<at::Tensor> master_views_;  // fp32 parameter or view of masters_
  at::Tensor num_steps_;                  // 0-dim f32, updates applied
  int64_t num_skipped_ = 0;
};

}  // namespace weft
