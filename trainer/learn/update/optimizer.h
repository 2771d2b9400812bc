/// Updates of the parameters of a store: AdamW with states of several forms, and Muon.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "trainer/learn/update/optimizer_options.h"
#include "trainer/learn/update/parameter_store.h"
#include "trainer/learn/update/state_array.h"

namespace weft {

/// Values of a parameter that are updated at a time where weights or states are not fp32.
constexpr int64_t kUpdatePart = 1 << 22;

struct StepResult {
  double grad_norm = 0;    ///< global L2 norm before clipping, summed in fp64
  bool applied = true;     ///< false: a gradient is not finite and nothing was changed
  std::string non_finite;  ///< the first parameter with such a gradient; empty where applied
};

/// How an optimizer of this kind keeps its states.
StateForm state_form(OptimizerKind kind);
/// How the store that it works on is laid out.
StoreLayout store_layout(const OptimizerOptions& options);

/// Rows of the matrices that a fused weight is made of, by the end of its name: {"qkv.weight", {q,
/// k, v}}.
using FusedRows = std::map<std::string, std::vector<int64_t>>;

/// AdamW (arXiv:1711.05101, algorithm 2, decay scaled by the learning rate as in PyTorch):
///
///   m = b1 m + (1 - b1) g,  v = b2 v + (1 - b2) g^2
///   w = (1 - lr wd) w - lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)
///
/// with m and v in fp32, or kept in bf16 or 8 bits and computed in fp32; or Muon (muon.h) for the
/// matrices of all layers but the store's last, the parameters outside of layers.
///
/// An fp32 parameter is its own master. Of another one an fp32 master is kept and rounded into it
/// after each step, or there is none and the updated weight is rounded stochastically. Random bits
/// are a function of seed, update, parameter and index. Vectors (norms, biases) are not decayed but
/// by a group. Not thread-safe.
class Optimizer {
 public:
  /// The store is borrowed. Throws InputError where a group's pattern fits no parameter.
  Optimizer(ParameterStore& store, const OptimizerOptions& options, FusedRows fused_rows = {});

  /// One update from the store's gradients, of which it scales those in fp32 in place when it
  /// clips. A gradient that is not finite skips the step and is counted.
  StepResult step(double lr);

  /// The same layer by layer, where clipping is off: begin, each layer once, end. A gradient that
  /// is not finite skips the step as long as no layer was updated; afterwards update_layer() throws
  /// Error naming it, and the weights are those of no step.
  void begin_step(double lr);
  void update_layer(size_t layer);
  StepResult end_step();

  /// Updates applied, those before a resume included; one that was begun counts.
  int64_t num_updates() const { return num_updates_; }
  int64_t num_skipped() const { return num_skipped_; }
  /// The word of learn.optimizer.
  const char* kind_name() const;

  /// States, masters and counters: "exp_avg.<parameter>", "exp_avg_sq." (AdamW), "momentum." (Muon)
  /// shaped as the parameter, with 8 bits also "exp_avg_scale.<parameter>" [blocks]; "master.";
  /// "counters" [2] i64: updates and skipped ones. The tensors are the optimizer's own.
  std::vector<std::pair<std::string, at::Tensor>> state() const;
  int64_t state_bytes() const;   ///< allocated for states
  int64_t master_bytes() const;  ///< and for masters

  /// Copies a saved state in, `kind` being the optimizer's that saved it (empty: not known).
  /// Checkpoints of earlier versions hold all parameters in one tensor each, "mean", "square" and
  /// "masters": read by kAdamW. Throws InputError naming a tensor that is missing, has no place,
  /// another shape or dtype, or is not finite; nothing is changed then.
  void load_state(std::map<std::string, at::Tensor> saved, const std::string& kind);

 private:
  struct Parameter {
    double lr_scale = 1, weight_decay = 0;
    bool orthogonal = false;  // by Muon
    std::vector<int64_t> rows;
    uint64_t number = 0;         // of the parameter among all
    StateArray average, square;  // average is Muon's momentum
    at::Tensor master;           // f32: the parameter itself, a part of masters_, or undefined
  };
  Parameter make_parameter(size_t layer, size_t i, const std::vector<ParameterGroup>& groups) const;
  void make_masters(size_t layer);
  bool needs_parts(const Parameter& p) const;
  void apply(size_t layer);
  void apply_whole(size_t layer);
  void apply_in_parts(size_t layer, size_t i);
  at::Tensor clipped(const at::Tensor& gradient) const;
  void write_back(size_t layer);
  RoundingKey key(const Parameter& p, uint64_t what, int64_t first) const;
  void adamw(const at::TensorList weights, const at::TensorList gradients,
             const at::TensorList averages, const at::TensorList squares, const Parameter& like);
  std::map<std::string, at::Tensor> named_by_parameter(
      const std::map<std::string, at::Tensor>& saved) const;

  ParameterStore& store_;
  OptimizerOptions options_;
  FusedRows fused_rows_;
  StateForm form_;
  DeviceCodes signed_, unsigned_;
  std::vector<std::vector<Parameter>> parameters_;
  std::vector<at::Tensor> masters_;  // [padded size] f32 of each layer, or undefined
  at::Tensor update_number_;         // 0-dim f32
  double lr_ = 0;
  double clip_ = 1;  // factor of gradients that are not scaled in place
  double sum_of_squares_ = 0;
  StepResult under_way_;
  bool changed_ = false;  // a layer was updated in the step under way
  int64_t num_updates_ = 0, num_skipped_ = 0;
};

}  // namespace weft
