/// Which optimizer trains which parameter, and how.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/config.h"

namespace weft {

enum class OptimizerKind {
  kAdamW,      ///< states in fp32
  kAdamWBf16,  ///< states in bf16, rounded stochastically
  kAdamW8bit,  ///< states in 8 bits with a scale for each 256 values
  kMuon,       ///< matrices of layers by Muon, the rest as kAdamW
};
EnumTable<OptimizerKind> enum_table(OptimizerKind);

struct AdamWOptions {
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;  ///< in (0, 1]: a gradient that was always 0 divides by it
  double weight_decay =
      0;  ///< decoupled, per step, times the learning rate, in [0, 1); matrices only
  /// Gradients of a larger global norm are scaled to it; in [0, 1e18], 0: they never are.
  double max_grad_norm = 1;

  template <class V>
  void visit(V& v) {
    v("beta1", beta1, "decay of the gradient's mean, per step");
    v("beta2", beta2, "decay of the gradient's square, per step");
    v("eps", eps, "added to the root of the square");
    v("weight_decay", weight_decay, "decoupled decay, per step, times lr; matrices only");
    v("max_grad_norm", max_grad_norm,
      "global gradient norm above which gradients are scaled; 0: never");
  }
  /// Throws InputError naming the field.
  void validate() const;
};

struct MuonOptions {
  double momentum = 0.95;           ///< decay of the sum of gradients, per step; in [0, 1)
  int64_t newton_schulz_steps = 5;  ///< of the orthogonalisation; in [1, 20]

  template <class V>
  void visit(V& v) {
    v("momentum", momentum, "decay of the sum of gradients, per step");
    v("newton_schulz_steps", newton_schulz_steps, "steps of the orthogonalisation");
  }
  /// Throws InputError naming the field.
  void validate() const;
};

/// Parameters that differ from the rest.
struct ParameterGroup {
  std::string pattern;  ///< of names inside Weft ("layers.3.qkv.weight"); * is any text
  std::optional<double> weight_decay;  ///< in [0, 1); none: the optimizer's, matrices only
  double lr_scale = 1;                 ///< the schedule's rate times this; in [0, 1000]

  template <class V>
  void visit(V& v) {
    v("pattern", pattern, "names that it holds for, * is any text");
    v("weight_decay", weight_decay, "of vectors, too; null: as without the group");
    v("lr_scale", lr_scale, "factor of the learning rate, 0: not trained");
  }
  /// Throws InputError naming the field.
  void validate() const;
};

struct OptimizerOptions {
  OptimizerKind kind = OptimizerKind::kAdamW;
  AdamWOptions adamw;  ///< also of the kinds that are named after it, and of what Muon leaves out
  MuonOptions muon;
  /// An fp32 master of each weight that is not fp32. Without, updated weights are rounded
  /// stochastically. None: with kAdamW and kMuon.
  std::optional<bool> fp32_masters;
  /// Gradients in bf16 instead of fp32: of bf16 weights without masters.
  bool bf16_gradients = false;
  /// ParameterGroup objects; the first whose pattern fits a name holds for it.
  std::vector<Json> groups;
  /// Each layer is updated as soon as its gradient is whole, which is freed then.
  bool in_backward = false;
  uint64_t seed = 0;  ///< of stochastic rounding. A key of the run's config, not of "learn".

  bool has_masters() const {
    return fp32_masters.value_or(kind == OptimizerKind::kAdamW || kind == OptimizerKind::kMuon);
  }
  std::vector<ParameterGroup> parsed_groups() const;
  /// Throws InputError naming the field, also for what cannot go together.
  void validate() const;
};

/// True where `text` is `pattern` with some text, none included, for each *.
bool matches_pattern(const std::string& pattern, const std::string& text);

}  // namespace weft
