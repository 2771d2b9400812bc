/// One update by any number of sequences: packing, gradients, clipping, optimizer. What SFT and
/// GRPO share.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/config.h"
#include "base/stop.h"
#include "trainer/learn/update/layerwise_trainer.h"
#include "trainer/learn/update/logged_sum.h"
#include "trainer/learn/update/lr_schedule.h"
#include "trainer/learn/update/optimizer.h"
#include "trainer/learn/update/out_of_memory.h"
#include "trainer/learn/update/packing.h"

namespace weft {

struct LearnOptions {
  bool full_weights = false;  ///< train every weight instead of an adapter
  LoraConfig lora;            ///< used unless full_weights or init_adapter
  /// PEFT directory to start from; empty: a fresh adapter. A key of the run's config, not of
  /// "learn".
  std::string init_adapter;
  OptimizerOptions optimizer;
  LrScheduleOptions schedule;
  int64_t tokens_per_microbatch = 2048;  ///< activation memory grows with it
  bool share_prompts = true;             ///< equal prompts in a microbatch are computed once
  int64_t keep_activations_layers = -1;  ///< layers not recomputed in backward, -1: all
  int64_t keep_activations_every = 0;    ///< beside these each so manyth layer, 0: none
  /// On a GPU, the input of a layer that is computed again waits in pinned memory of the host,
  /// unless it is the output of a kept layer.
  bool offload_activations = false;
  bool offload_kept_layers = false;  ///< likewise what kept layers save for backward
  int64_t loss_chunk_tokens = 256;   ///< rows of fp32 logits held at a time

  template <class V>
  void visit(V& v) {
    v("full_weights", full_weights, "train every weight instead of a LoRA adapter");
    v("lora", lora, "shape of the adapter");
    v("optimizer", optimizer.kind, "adamw, adamw_bf16, adamw_8bit or muon");
    v("adamw", optimizer.adamw, "of every optimizer; muon's for what is no matrix of a layer");
    v("muon", optimizer.muon, "of muon");
    v("fp32_masters", optimizer.fp32_masters,
      "fp32 copies of bf16 weights, or stochastic rounding; null: copies with adamw and muon");
    v("bf16_gradients", optimizer.bf16_gradients,
      "gradients in bf16 instead of fp32, of full weights without fp32 masters");
    v("parameter_groups", optimizer.groups,
      "[{pattern, weight_decay, lr_scale}]: the first whose pattern fits a name holds for it");
    v("optimizer_in_backward", optimizer.in_backward,
      "each layer is updated in the backward pass; needs adamw.max_grad_norm = 0");
    v("schedule", schedule, "learning rate");
    v("tokens_per_microbatch", tokens_per_microbatch, "tokens of a forward and backward pass");
    v("share_prompts", share_prompts, "equal prompts in a microbatch are computed once");
    v("keep_activations_layers", keep_activations_layers,
      "layers whose activations are kept, not recomputed (memory against time); -1: all");
    v("keep_activations_every", keep_activations_every,
      "beside these each so manyth layer's activations are kept, 0: none");
    v("offload_activations", offload_activations,
      "on a GPU, inputs of the other layers wait in the host's memory for the backward pass");
    v("offload_kept_layers", offload_kept_layers,
      "on a GPU, what kept layers save waits there too; dearer than computing them again where the "
      "copies take longer than that");
    v("loss_chunk_tokens", loss_chunk_tokens, "rows of fp32 logits held at a time");
  }
  /// Throws InputError naming the field.
  void validate() const;
  LayerwiseOptions layerwise(bool entropy = false, double temperature = 1) const {
    return {
        keep_activations_layers, loss_chunk_tokens,  entropy, temperature, keep_activations_every,
        offload_activations,     offload_kept_layers};
  }
};

/// With the run's seed for what is random in its updates.
LearnOptions seeded(LearnOptions options, uint64_t seed);

/// What an update saw.
struct UpdateResult {
  double grad_norm = 0;     ///< before clipping
  bool applied = true;      ///< false: not finite, skipped
  std::string non_finite;   ///< where skipped: the first tensor whose gradient is not finite
  int64_t num_tokens = 0;   ///< tokens that went through the model (a shared prompt once)
  int64_t loss_tokens = 0;  ///< tokens with a loss
  int64_t num_microbatches = 0;
  double entropy_sum = 0;  ///< nats over the loss tokens; 0 unless asked for
};

/// Derivatives of the loss for one microbatch: called once for each, just before its pass.
using MicrobatchLoss = std::function<CoefficientFn(const Microbatch&)>;

class Learner {
 public:
  /// `lora` null trains the model itself. The learner shares both with an engine. All logprobs are
  /// of softmax(logits / temperature).
  Learner(std::shared_ptr<Transformer> model, std::shared_ptr<Lora> lora,
          const LearnOptions& options, bool entropy = false, double temperature = 1);

  /// One update at rate `lr`. On a device the host waits for the gradients' norm (with
  /// optimizer_in_backward for that of each layer) and then for the sum of entropies where it is
  /// asked for, for nothing else, unless `loss` does. Looks at `stop` before each layer of each
  /// pass and each chunk of the head; what that throws leaves weights and optimizer unchanged. What
  /// the optimizer has begun is finished: with optimizer_in_backward that is the last microbatch's
  /// backward pass. Where memory runs out it throws OutOfMemory, unchanged likewise; Error where it
  /// had begun to change them.
  UpdateResult update(std::span<const TrainSequence> sequences, const MicrobatchLoss& loss,
                      double lr, const StopCheck& stop = throw_if_stopped);

  /// Runs `pass`, and where memory runs out in it, once more with half the tokens per microbatch,
  /// which stay halved. Throws OutOfMemory where it runs out again, or had been halved before.
  void fit(const std::function<void()>& pass);

  /// One line for the log where fit() has halved the microbatch since the last call; else empty.
  std::string take_warning() { return std::exchange(warning_, {}); }

  /// Logprobs of the completions, one vector a sequence, under `lora` (null: the base weights) of
  /// the learner's model. Looks at `stop` as update() does. By fit().
  std::vector<std::vector<float>> logprobs(std::span<const TrainSequence> sequences,
                                           const Lora* lora,
                                           const StopCheck& stop = throw_if_stopped);

  /// The same under the weights of another model of the same tokenizer.
  std::vector<std::vector<float>> logprobs_of(std::span<const TrainSequence> sequences,
                                              const Transformer& model,
                                              const StopCheck& stop = throw_if_stopped);

  /// Indices of the sequences whose own gradient, each computed alone by the loss that `loss_of`
  /// gives for it (as sequence 0), holds a value that is not finite. Changes no weight. Looks at
  /// `stop` as update() does. By fit().
  std::vector<size_t> find_non_finite(std::span<const TrainSequence> sequences,
                                      const std::function<MicrobatchLoss(size_t)>& loss_of,
                                      const StopCheck& stop = throw_if_stopped);

  /// Name of a trained tensor (with `frozen_too` also of one of the base) that holds a value that
  /// is not finite; empty where none does. One pass over the weights. Those that
  /// is_read_by_token() are no matter of the model's, but of a sequence's. Throws OutOfMemory.
  std::string non_finite_weight(bool frozen_too) const;

  int64_t tokens_per_microbatch() const { return packing_.tokens_per_microbatch; }
  /// Tokens of a microbatch that fit() has halved; else nothing. A run that is resumed goes on with
  /// them.
  std::optional<int64_t> halved_microbatch() const { return halved_; }
  void set_halved_microbatch(int64_t tokens);
  Transformer& model() { return *model_; }
  Lora* lora() { return lora_.get(); }
  const ParameterStore& store() const { return store_; }
  Optimizer& optimizer() { return optimizer_; }
  const Optimizer& optimizer() const { return optimizer_; }

 private:
  UpdateResult try_update(std::span<const TrainSequence> sequences, const MicrobatchLoss& loss,
                          double lr, const StopCheck& stop);
  std::vector<std::vector<float>> fitted_logprobs(const Transformer& model, const Lora* lora,
                                                  std::span<const TrainSequence> sequences,
                                                  const StopCheck& stop);

  std::shared_ptr<Transformer> model_;
  std::shared_ptr<Lora> lora_;
  PackingOptions packing_;
  double temperature_;
  LayerwiseTrainer trainer_;
  ParameterStore store_;
  Optimizer optimizer_;
  bool in_backward_;
  std::optional<int64_t> halved_;
  std::string warning_;
};

/// The weighted mean over loss tokens of -logp, the supervised loss of a batch:
///
///   loss = -sum_i w_i sum_t logp_it / total_weight,   total_weight = sum_i w_i num_loss_tokens_i
///
/// with w_i the weight of sequence i, so that equal weights give the mean over tokens. The sum
/// before the division is added to `loss_sum`, which outlives the function.
MicrobatchLoss supervised_loss(double total_weight, LoggedSum& loss_sum);

/// total_weight of these sequences; their number of loss tokens where all weights are 1.
double total_loss_weight(std::span<const TrainSequence> sequences);

}  // namespace weft
