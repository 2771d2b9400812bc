#include "trainer/learn/update/learner.h"

#include <algorithm>
#include <numeric>
#include <optional>

#include "base/error.h"
#include "base/stop.h"
#include "model/checkpoint/finite.h"
#include "model/checkpoint/hf_model.h"

namespace weft {
namespace {

double sum_of(const at::Tensor& values) {
  if (!values.defined()) return 0;
  const float* first = values.const_data_ptr<float>();
  return std::accumulate(first, first + values.numel(), 0.0);
}

void check_positive(const char* field, int64_t value) {
  if (value < 1) {
    throw InputError(std::string(field) + ": expected >= 1, got " + std::to_string(value));
  }
}

std::vector<std::vector<float>> packed_logprobs(const Transformer& model, const Lora* lora,
                                                std::span<const TrainSequence> sequences,
                                                const PackingOptions& packing, double temperature,
                                                bool may_stop) {
  std::vector<std::vector<float>> result(sequences.size());
  for (const Microbatch& microbatch : pack(sequences, packing)) {
    if (may_stop) throw_if_stopped();
    const at::Tensor logp = microbatch_logprobs(model, lora, microbatch, temperature);
    const float* data = logp.const_data_ptr<float>();
    for (const CompletionSpan& s : microbatch.spans) {
      result[s.sequence].assign(data + s.begin, data + s.begin + s.length);
    }
  }
  return result;
}

FusedRows fused_rows(const TransformerConfig& c) {
  return {{"qkv.weight", {c.q_size(), c.kv_size(), c.kv_size()}},
          {"gate_up.weight", {c.intermediate_size, c.intermediate_size}}};
}

/// Updates each layer as soon as its gradient is whole.
class UpdateInBackward : public LayerHooks {
 public:
  UpdateInBackward(ParameterStore& store, Optimizer& optimizer, double lr)
      : store_(store), optimizer_(optimizer) {
    optimizer_.begin_step(lr);
    store_.set_hooks(this);
  }
  ~UpdateInBackward() override { store_.set_hooks(nullptr); }
  UpdateInBackward(const UpdateInBackward&) = delete;
  UpdateInBackward& operator=(const UpdateInBackward&) = delete;

  void notify(size_t layer) override {
    optimizer_.update_layer(layer);
    store_.release_gradient(layer);
  }

 private:
  ParameterStore& store_;
  Optimizer& optimizer_;
};

}  // namespace

LearnOptions seeded(LearnOptions options, uint64_t seed) {
  options.optimizer.seed = seed;
  return options;
}

void LearnOptions::validate() const {
  check_positive("tokens_per_microbatch", tokens_per_microbatch);
  check_positive("loss_chunk_tokens", loss_chunk_tokens);
  optimizer.validate();
  if (optimizer.kind == OptimizerKind::kMuon && !full_weights) {
    throw InputError(
        "optimizer: muon makes whole matrices orthogonal, not the factors of an adapter: expected "
        "full_weights = true or another optimizer");
  }
  if (keep_activations_layers < -1) {
    throw InputError("keep_activations_layers: expected >= -1, got " +
                     std::to_string(keep_activations_layers));
  }
}

Learner::Learner(std::shared_ptr<Transformer> model, std::shared_ptr<Lora> lora,
                 const LearnOptions& options, bool entropy, double temperature)
    : model_(std::move(model)),
      lora_(std::move(lora)),
      packing_{options.tokens_per_microbatch, options.share_prompts},
      temperature_(temperature),
      trainer_(*model_, lora_.get(),
               {options.keep_activations_layers, options.loss_chunk_tokens, entropy, temperature}),
      store_(trainer_.layers(), store_layout(options.optimizer)),
      optimizer_(store_, options.optimizer, fused_rows(model_->config())),
      in_backward_(options.optimizer.in_backward) {}

UpdateResult Learner::step(std::span<const TrainSequence> sequences, const MicrobatchLoss& loss,
                           double lr, bool may_stop) {
  store_.zero_gradients();
  UpdateResult result;
  const std::vector<Microbatch> microbatches = pack(sequences, packing_);
  std::optional<UpdateInBackward> in_backward;
  for (const Microbatch& microbatch : microbatches) {
    if (may_stop) throw_if_stopped();
    const CoefficientFn coefficients = loss(microbatch);
    if (in_backward_ && &microbatch == &microbatches.back()) {
      in_backward.emplace(store_, optimizer_, lr);
    }
    const auto pass = trainer_.forward_backward(microbatch, coefficients, store_);
    ++result.num_microbatches;
    result.num_tokens += microbatch.num_tokens();
    result.loss_tokens += microbatch.num_loss_tokens();
    result.entropy_sum += sum_of(pass.entropy);
  }
  StepResult update = in_backward ? optimizer_.end_step() : optimizer_.step(lr);
  result.grad_norm = update.grad_norm;
  result.applied = update.applied;
  result.non_finite = std::move(update.non_finite);
  if (lora_) lora_->weights_changed();
  return result;
}

std::vector<std::vector<float>> Learner::logprobs(std::span<const TrainSequence> sequences,
                                                  const Lora* lora, bool may_stop) const {
  return packed_logprobs(*model_, lora, sequences, packing_, temperature_, may_stop);
}

std::vector<std::vector<float>> Learner::logprobs_of(std::span<const TrainSequence> sequences,
                                                     const Transformer& model) const {
  return packed_logprobs(model, nullptr, sequences, packing_, temperature_, /*may_stop=*/true);
}

std::vector<size_t> Learner::find_non_finite(std::span<const TrainSequence> sequences,
                                             const std::function<MicrobatchLoss(size_t)>& loss_of,
                                             bool may_stop) {
  std::vector<size_t> found;
  for (size_t i = 0; i < sequences.size(); ++i) {
    if (may_stop) throw_if_stopped();
    store_.zero_gradients();
    const MicrobatchLoss loss = loss_of(i);
    for (const Microbatch& microbatch : pack(sequences.subspan(i, 1), packing_)) {
      trainer_.forward_backward(microbatch, loss(microbatch), store_);
    }
    if (!store_.non_finite_gradient().empty()) found.push_back(i);
  }
  return found;
}

std::string Learner::non_finite_weight(bool frozen_too) const {
  if (lora_) {
    for (const NamedParameter& p : lora_->parameters()) {
      if (!all_finite(*p.tensor)) return "adapter " + p.name;
    }
    if (!frozen_too) return "";
  }
  for (const auto& [name, tensor] : model_->hugging_face_views()) {
    if (!is_read_by_token(name, model_->config()) && !all_finite(tensor)) return name;
  }
  return "";
}

MicrobatchLoss supervised_loss(double total_weight, double& loss_sum) {
  return [total_weight, &loss_sum](const Microbatch& microbatch) -> CoefficientFn {
    return [total_weight, &loss_sum, weights = microbatch.weights](
               int64_t begin, std::span<const float> logp, std::span<float> coefficients) {
      for (size_t i = 0; i < logp.size(); ++i) {
        const float weight = weights.empty() ? 1.0f : weights[static_cast<size_t>(begin) + i];
        loss_sum -= double{weight} * double{logp[i]};
        coefficients[i] = -weight / static_cast<float>(total_weight);
      }
    };
  };
}

double total_loss_weight(std::span<const TrainSequence> sequences) {
  double total = 0;
  for (const TrainSequence& s : sequences) {
    total += double{static_cast<float>(s.weight)} * static_cast<double>(s.num_loss_tokens());
  }
  return total;
}

}  // namespace weft
