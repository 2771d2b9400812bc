/// Gradients of a decoder by a manual loop over its layers: forward storing layer inputs, loss head
/// in chunks, backward layer by layer. The place of activation checkpointing.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/stop.h"
#include "model/ops/saved_activations.h"
#include "model/transformer/lora.h"
#include "model/transformer/transformer.h"
#include "trainer/learn/update/host_activations.h"
#include "trainer/learn/update/linear_cross_entropy.h"
#include "trainer/learn/update/packing.h"
#include "trainer/learn/update/parameter_store.h"

namespace weft {

struct LayerwiseOptions {
  /// The last so many layers keep what their backward needs; the others store their input only and
  /// are computed again (a third more time for them). -1: all keep it.
  int64_t keep_activations_layers = -1;
  int64_t loss_chunk_tokens = 256;     ///< rows of fp32 logits held at a time
  bool entropy = false;                ///< also report entropies (a pass over the logits)
  double temperature = 1;              ///< of the distribution whose logprobs the loss is of
  int64_t keep_activations_every = 0;  ///< beside those, each so manyth layer keeps it; 0: none
  /// On a device, inputs of layers that are computed again wait for that in pinned memory of the
  /// host. What stays: the input of a layer behind one that is kept, which is that one's output,
  /// and the last layer's output. On the CPU everything does.
  bool offload_activations = false;
  /// Likewise what kept layers save, but for the last layer's, which is needed at once, and for
  /// their inputs and outputs. Dearer than computing a layer again wherever its copies, out and
  /// back, take longer than its forward pass.
  bool offload_kept_layers = false;

  /// Whether layer `l` of `num_layers` keeps what its backward needs.
  bool keeps(int64_t l, int64_t num_layers) const;
};

/// Per loss row of a microbatch, in the order of its rows.
struct MicrobatchResult {
  at::Tensor logp;     ///< [N] f32 on the model's device, nats
  at::Tensor entropy;  ///< [N] f32 on the model's device, nats; undefined if not asked for
};

/// Runs the same forward functions as the engine's `logprobs`. Trains either the adapter alone (the
/// base and the head stay frozen) or every weight of the model. One thread at a time; the engine
/// must be idle while weights are written, not while gradients are computed.
class LayerwiseTrainer {
 public:
  /// `lora` null trains the model's own weights. Both are borrowed. Marks the trained tensors as
  /// requiring gradients.
  LayerwiseTrainer(Transformer& model, Lora* lora, const LayerwiseOptions& options);

  /// Trained tensors of each layer, then those outside of layers (with an adapter: none): what the
  /// store of forward_backward() is made of.
  const std::vector<std::vector<NamedParameter>>& layers() const { return layers_; }

  /// Forward and backward of one microbatch for a loss given by its derivatives (see
  /// linear_cross_entropy); adds to the gradients of `store` and calls its hooks around each layer,
  /// notify() from the last layer to the first, then for the parameters outside of layers.
  /// Normalisation belongs into the coefficients, so that the sum over microbatches does not depend
  /// on how sequences were divided among them. Looks at `stop` before each layer, forwards and
  /// backwards, and before each chunk of the head: what it throws leaves no more than a part of the
  /// gradients in `store`.
  MicrobatchResult forward_backward(const Microbatch& microbatch, const CoefficientFn& coefficients,
                                    ParameterStore& store, const StopCheck& stop = {});

 private:
  struct LayerTape {
    at::Tensor input;   // [T, H]; undefined while it is away
    at::Tensor output;  // [T, H] with its graph; undefined where it is to be recomputed
    std::vector<ops::SavedActivations::Place> away;  // on the host
    std::vector<size_t> slots;                       // there, of each
  };
  std::vector<LayerTape> forward_layers(const Attention& attention, at::Tensor& hidden,
                                        LayerHooks& hooks, const StopCheck& stop) const;
  void send_away(LayerTape& tape, const std::vector<ops::SavedActivations::Place>& places) const;
  void bring_back(int64_t layer, LayerTape& tape) const;
  at::Tensor loss_head(const Microbatch& microbatch, const at::Tensor& hidden,
                       const CoefficientFn& coefficients, ParameterStore& store,
                       const StopCheck& stop, MicrobatchResult& result);
  at::Tensor layer_backward(int64_t layer, std::vector<LayerTape>& tapes,
                            const at::Tensor& output_grad, const Attention& attention,
                            ParameterStore& store);
  bool trains_model() const { return lora_ == nullptr; }
  bool keeps(int64_t layer) const { return options_.keeps(layer, model_.num_layers()); }
  bool offloads_input(int64_t layer) const;
  bool offloads_saved(int64_t layer) const;

  Transformer& model_;
  Lora* lora_;
  LayerwiseOptions options_;
  std::unique_ptr<HostActivations> on_host_;                                // null: none
  std::vector<std::vector<NamedParameter>> layers_;                         // [L + 1]
  int64_t embedding_index_ = -1, final_norm_index_ = -1, head_index_ = -1;  // in layers_.back()
};

/// Forward only: logp [N] of a microbatch's completion tokens under a model and an adapter (null:
/// none), by the same operations as the trainer's forward pass. Looks at `stop` as that does.
at::Tensor microbatch_logprobs(const Transformer& model, const Lora* lora,
                               const Microbatch& microbatch, double temperature = 1,
                               const StopCheck& stop = {});

}  // namespace weft
