/// Llama, Qwen and Mistral decoders: the one copy of the weights that engine and trainer share, and
/// the forward pass both run. Source: arXiv:2302.13971 (Llama), arXiv:2407.10671 (Qwen2),
/// arXiv:2505.09388 (Qwen3), arXiv:2310.06825 (Mistral; a context no longer than its window).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/stop.h"
#include "model/checkpoint/model_config.h"
#include "model/ops/cpu/attention.h"
#include "model/ops/cpu/int8.h"
#include "model/ops/packed_batch.h"

namespace weft {

class Attention;
class Lora;
class Adapters;

/// A weight by its name inside Weft ("layers.3.qkv.weight"); the tensor belongs to the model.
struct NamedParameter {
  std::string name;
  at::Tensor* tensor = nullptr;
};

/// Linear weights of a layer as int8, [out, in], fused as in TransformerLayer.
struct Int8Layer {
  kernels::Int8Matrix qkv, o, gate_up, down;
};

/// Weights of one decoder layer. All are views into `flat`. Biases and head norms are undefined
/// tensors where the architecture has none. Linear weights are [out, in]; after
/// Transformer::round_layer they are undefined and `int8` holds them.
struct TransformerLayer {
  at::Tensor flat;          ///< [n] every weight of the layer, contiguous
  at::Tensor input_norm;    ///< [H]
  at::Tensor qkv;           ///< [q_size + 2 kv_size, H], rows q, k, v
  at::Tensor qkv_bias;      ///< [q_size + 2 kv_size]
  at::Tensor q_norm;        ///< [D]
  at::Tensor k_norm;        ///< [D]
  at::Tensor o;             ///< [H, q_size]
  at::Tensor o_bias;        ///< [H]
  at::Tensor post_norm;     ///< [H]
  at::Tensor gate_up;       ///< [2 F, H], rows gate, up
  at::Tensor gate_up_bias;  ///< [2 F]
  at::Tensor down;          ///< [H, F]
  at::Tensor down_bias;     ///< [H]
  Int8Layer int8;           ///< undefined matrices unless rounded
};

/// One decoder. Forward functions are pure and thread-safe as long as nobody writes the weights;
/// they record autograd where grad mode is on and a weight, adapter or input requires grad. All
/// activations have the weights' dtype; norms, rope, softmax and silu compute in fp32 inside.
///
/// A model that only answers may have its linear weights rounded to int8. It has no gradient then
/// and cannot be saved: the functions that hand out weights assert that it is not rounded.
class Transformer {
 public:
  /// Uninitialised weights (`flat` buffers allocated).
  Transformer(const TransformerConfig& config, at::ScalarType dtype);

  /// Random weights, normal with standard deviation `stddev`, norms 1: for tests and benchmarks.
  static std::unique_ptr<Transformer> random(const TransformerConfig& config, at::ScalarType dtype,
                                             uint64_t seed, double stddev = 0.02);

  /// Moves every weight and the rope table to a device of LibTorch. Not while anybody else uses
  /// them; tensors taken from the model before keep the old ones.
  void to(at::Device device);

  const TransformerConfig& config() const { return config_; }
  at::ScalarType dtype() const { return dtype_; }
  at::Device device() const { return final_norm_.device(); }
  int64_t num_layers() const { return config_.num_layers; }
  kernels::HeadShape head_shape() const {
    return {config_.num_heads, config_.num_kv_heads, config_.head_dim};
  }

  /// Rounds the linear weights of layer `l` to int8 and frees them. Not while a forward pass runs.
  void round_layer(int64_t l);
  /// The same for the LM head, and for the embedding where they are tied. Every layer must be
  /// rounded, too, before the model is used.
  void round_head();
  bool is_rounded() const { return lm_head_int8_.defined(); }

  /// ids [T] int64 -> [T, H].
  at::Tensor embed(const at::Tensor& ids) const;

  /// One layer, residual included: hidden [T, H] -> [T, H]. `lora`, which may be null, applies to
  /// every token.
  at::Tensor layer_forward(int64_t layer, const at::Tensor& hidden, const Attention& attention,
                           const Lora* lora = nullptr) const;

  /// Last norm: [T, H] -> [T, H].
  at::Tensor final_norm(const at::Tensor& hidden) const;

  /// fp32 logits [T, V] of final hidden states [T, H], written to `out` where that is given.
  /// Records no gradient.
  at::Tensor logits(const at::Tensor& final_hidden, const at::Tensor& out = {}) const;

  /// [V, H]; the embedding itself where the head is tied.
  const at::Tensor& lm_head_weight() const;
  at::Tensor& lm_head_weight();

  /// Cosines and sines of the rotary angles, [max_positions, 2, head_dim / 2] f32.
  const at::Tensor& rope_table() const { return rope_; }
  const at::Tensor& final_norm_weight() const { return final_norm_; }

  /// Embedding, all layers, last norm of ids [T] int64: [T, H], or of `rows` [n] int64 alone, [n,
  /// H], where no gradient is recorded. Looks at `stop` before each layer.
  at::Tensor forward(const at::Tensor& ids, const Attention& attention, const Adapters& adapters,
                     const at::Tensor& rows = {}, const StopCheck& stop = {}) const;

  /// The same over a packed batch, `lora` as in layer_forward.
  at::Tensor forward_hidden(const at::Tensor& ids, const PackedBatch& batch,
                            const Lora* lora = nullptr) const;

  /// Natural-log probabilities in fp32 of `targets` [T] int64 given final hidden states [T, H]:
  /// log softmax(hidden lm_head^T), in chunks of rows. Records no gradient. Looks at `stop` before
  /// each chunk.
  at::Tensor token_logprobs(const at::Tensor& final_hidden, const at::Tensor& targets,
                            const StopCheck& stop = {}) const;

  TransformerLayer& layer(int64_t l) { return layers_[l]; }
  const TransformerLayer& layer(int64_t l) const { return layers_[l]; }
  std::vector<NamedParameter> layer_parameters(int64_t l);
  /// "embed.weight", "final_norm.weight" and, untied, "lm_head.weight".
  std::vector<NamedParameter> global_parameters();
  /// All of the above, globals first.
  std::vector<NamedParameter> parameters();

  /// Weights under their Hugging Face names, as views of this model's (fused ones split): those
  /// outside the layers, those of one layer, and all, in this order.
  std::vector<std::pair<std::string, at::Tensor>> global_views() const;
  std::vector<std::pair<std::string, at::Tensor>> layer_views(int64_t l) const;
  std::vector<std::pair<std::string, at::Tensor>> hugging_face_views() const;

 private:
  TransformerConfig config_;
  at::ScalarType dtype_;
  std::vector<TransformerLayer> layers_;
  at::Tensor embedding_, final_norm_, lm_head_;
  kernels::Int8Matrix lm_head_int8_;  // also the embedding where that is undefined
  at::Tensor rope_;                   // [max_positions, 2, head_dim / 2] f32: cosines, sines
};

/// fp32 logits [T, V] of final hidden states [T, H] and a head [V, H], written to `out` where that
/// is given. The product is accumulated and returned in fp32 for either dtype. Records no gradient.
at::Tensor lm_head_logits(const at::Tensor& final_hidden, const at::Tensor& weight,
                          const at::Tensor& out = {});

}  // namespace weft
