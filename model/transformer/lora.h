/// Low-rank adapters on the seven projections of each layer. Source: arXiv:2106.09685, eq. 3;
/// initialisation and files as PEFT (A Kaiming-uniform with a = sqrt 5, B zero).
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "base/rng.h"
#include "model/checkpoint/model_config.h"
#include "model/transformer/transformer.h"

namespace weft {

enum class Projection { kQ, kK, kV, kO, kGate, kUp, kDown };
constexpr int kNumProjections = 7;

/// "q_proj", ..., "down_proj".
const char* projection_name(Projection p);

struct LoraConfig {
  int64_t rank = 16;        ///< r; >= 1, at most the model's hidden size
  double alpha = 32;        ///< the update is scaled by alpha / r; > 0
  bool use_rslora = false;  ///< by alpha / sqrt(r) instead (arXiv:2312.03732, eq. 8)
  /// A trained length of each row of base and update together (DoRA, arXiv:2402.09353, eq. 5).
  bool use_dora = false;
  std::vector<std::string> targets = {"q_proj",    "k_proj",  "v_proj",   "o_proj",
                                      "gate_proj", "up_proj", "down_proj"};

  template <class V>
  void visit(V& v) {
    v("rank", rank, "rank of the update");
    v("alpha", alpha, "the update is scaled by alpha / rank");
    v("use_rslora", use_rslora, "the update is scaled by alpha / sqrt(rank) instead");
    v("use_dora", use_dora, "also a trained length of each row of base plus update");
    v("targets", targets,
      "projections that get an adapter, of q_proj k_proj v_proj o_proj gate_proj up_proj "
      "down_proj");
  }
  void validate() const;
  /// Throws InputError where the update would not be of low rank.
  void require_fits(const TransformerConfig& model) const;
};

/// Adapters of one layer, each [7] by Projection; undefined where the projection has none.
struct LoraLayer {
  std::array<at::Tensor, kNumProjections> a;          ///< [r, in]
  std::array<at::Tensor, kNumProjections> b;          ///< [out, r]
  std::array<at::Tensor, kNumProjections> magnitude;  ///< [out], with use_dora
};

/// The linear layers of a decoder layer, projections of one input side by side.
enum class FusedLinear { kQkv, kO, kGateUp, kDown };
constexpr int kNumFusedLinears = 4;

/// Weights of one projection, which records their gradients.
struct LoraFactors {
  at::Tensor a, b, magnitude;  ///< fp32 leaves, as in LoraLayer
  int64_t first_row = 0;       ///< of the fused layer's output, for those of the projection
};

/// Update of one fused linear layer, y += (x a^T) b^T: `a` stacks the A of its projections, `b`
/// holds scale() times their B as diagonal blocks. Undefined where no projection has an adapter.
/// With use_dora the sum y of base and update then becomes (y - bias) gain + bias.
struct LoraUpdate {
  at::Tensor a;  ///< [R, in], R = r * adapted projections
  at::Tensor b;  ///< [out, R]
  /// Of each adapted projection, where grad mode is on and the weights are trainable; else empty.
  std::vector<LoraFactors> factors = {};
  double scale = 1;
  at::Tensor row_norms = {};  ///< [out] f32, with use_dora: of base and update; 1 for other rows
  at::Tensor gain = {};       ///< [out] f32, with use_dora: magnitude / row_norms; 1 for other rows
  at::Tensor bias = {};       ///< [out] of the base, with use_dora; undefined where it has none
};

/// y += scale() (x A^T) B^T for every adapted projection; with use_dora then
///
///   y = m / n (y - bias) + bias,  n = |W + scale() B A| of each row of the weights
///
/// with m the trained magnitude and n a constant for gradients (arXiv:2402.09353, section 4.3), as
/// in PEFT.
///
/// A and B are fp32 leaves (they are their own master weights) and views of `flat(l)`. Forward
/// passes use copies rounded to the model's dtype, which are kept until the weights change; under
/// autograd the gradient goes to the fp32 leaves (lora_gradient.h).
class Lora {
 public:
  /// A random as PEFT, B zero; magnitudes are those of nothing until take_magnitudes(). Throws
  /// InputError on an unknown target.
  Lora(const TransformerConfig& model, const LoraConfig& config, Rng& rng);

  /// Reads adapter_config.json and adapter_model.safetensors. InputError if it does not fit
  /// `model` or holds a value that is not finite.
  static std::unique_ptr<Lora> load(const std::string& dir, const TransformerConfig& model);

  /// Writes a PEFT directory by way of a temporary one and rename. `base_model` becomes
  /// `base_model_name_or_path`. Throws Error if it exists or the disk is full.
  void save(const std::string& dir, const std::string& base_model) const;

  /// Moves every weight to a device of LibTorch; none is trainable after it. Not while anybody else
  /// uses them; tensors taken from the adapter before keep the old ones.
  void to(at::Device device);

  /// Takes the base's weights, as they lie now, for the lengths of its rows. Only use_dora needs
  /// it, before the first update(). Throws InputError where they are int8.
  void bind(const Transformer& base);

  /// bind(), and magnitudes that are the lengths of the rows: the adapter then does what it would
  /// without them.
  void take_magnitudes(const Transformer& base);

  const LoraConfig& config() const { return config_; }
  /// alpha / r, or alpha / sqrt(r).
  double scale() const;
  int64_t num_layers() const { return static_cast<int64_t>(layers_.size()); }

  /// Weights of layer `l`, fp32.
  LoraLayer& layer(int64_t l) { return layers_[l]; }
  const LoraLayer& layer(int64_t l) const { return layers_[l]; }

  /// [n] fp32, all weights of layer `l`, contiguous; the tensors of `layer(l)` are views of it.
  const at::Tensor& flat(int64_t l) const { return flats_[l]; }

  /// "layers.3.q_proj.lora_A", ...: those of layer `l` that exist.
  std::vector<NamedParameter> layer_parameters(int64_t l);
  std::vector<NamedParameter> parameters();
  int64_t num_parameters() const;

  /// Sets requires_grad on every weight.
  void set_trainable(bool trainable);

  /// Drops the kept copies. Needed only after weights were written through raw pointers: writes
  /// through tensors are noticed. Not while a forward pass runs.
  void weights_changed();

  /// Update of a linear layer of layer `l` in `dtype` on `device`, a kept copy. On another device
  /// than the CPU, R is rounded up by zeros as its batched update wants it (cuda::kLoraRanks).
  /// Thread-safe.
  LoraUpdate update(int64_t l, FusedLinear which, at::ScalarType dtype, at::Device device) const;

  ~Lora();

 private:
  struct Cache;
  Lora(const TransformerConfig& model, const LoraConfig& config);
  LoraUpdate kept_copy(int64_t l, FusedLinear which, at::ScalarType dtype, at::Device device) const;
  void add_gain(LoraUpdate& update, int64_t l, FusedLinear which) const;

  /// Of the base.
  struct Linear {
    at::Tensor weight, bias;
  };

  LoraConfig config_;
  TransformerConfig model_;
  std::vector<LoraLayer> layers_;
  std::vector<at::Tensor> flats_;
  std::vector<std::array<Linear, kNumFusedLinears>> base_;  // empty unless bound
  std::unique_ptr<Cache> cache_;
};

}  // namespace weft
