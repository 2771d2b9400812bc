#include "trainer/learn/update/learner.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full_like.h>

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "base/machine.h"
#include "model/checkpoint/finite.h"
#include "model/checkpoint/hf_model.h"
#include "model/ops/queued_copy.h"

namespace weft {
namespace {

at::Tensor float_tensor(const std::vector<float>& values) {
  at::Tensor result = at::empty({std::ssize(values)}, at::kFloat);
  std::copy(values.begin(), values.end(), result.data_ptr<float>());
  return result;
}

void check_positive(const char* field, int64_t value) {
  if (value < 1) {
    throw InputError(std::string(field) + ": expected >= 1, got " + std::to_string(value));
  }
}

std::vector<std::vector<float>> packed_logprobs(const Transformer& model, const Lora* lora,
                                                std::span<const TrainSequence> sequences,
                                                const PackingOptions& packing, double temperature,
                                                const StopCheck& stop) {
  std::vector<std::vector<float>> result(sequences.size());
  const std::vector<Microbatch> microbatches = pack(sequences, packing);
  std::vector<at::Tensor> parts;
  for (const Microbatch& microbatch : microbatches) {
    parts.push_back(microbatch_logprobs(model, lora, microbatch, temperature, stop));
  }
  if (parts.empty()) return result;
  const at::Tensor all = at::cat(parts).cpu();
  const float* data = all.const_data_ptr<float>();
  for (const Microbatch& microbatch : microbatches) {
    for (const CompletionSpan& s : microbatch.spans) {
      result[s.sequence].assign(data + s.begin, data + s.begin + s.length);
    }
    data += microbatch.num_loss_tokens();
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
    has_begun_ = true;
    optimizer_.update_layer(layer);
    store_.release_gradient(layer);
  }
  bool has_begun() const { return has_begun_; }

 private:
  ParameterStore& store_;
  Optimizer& optimizer_;
  bool has_begun_ = false;
};

/// Coefficients of one microbatch for supervised_loss().
class SupervisedLoss {
 public:
  SupervisedLoss(double total_weight, std::vector<float> weights, LoggedSum& sum)
      : total_weight_(static_cast<float>(total_weight)), weights_(std::move(weights)), sum_(sum) {}

  at::Tensor operator()(int64_t begin, const at::Tensor& logp) {
    return logp.is_cpu() ? by_loop(begin, logp) : by_operations(begin, logp);
  }

 private:
  at::Tensor by_loop(int64_t begin, const at::Tensor& logp) {
    at::Tensor coefficients = at::empty_like(logp);
    const float* in = logp.const_data_ptr<float>();
    float* out = coefficients.data_ptr<float>();
    for (int64_t i = 0; i < logp.numel(); ++i) {
      const float weight = weights_.empty() ? 1.0f : weights_[static_cast<size_t>(begin + i)];
      sum_.add(-double{weight} * double{in[i]});
      out[i] = -weight / total_weight_;
    }
    return coefficients;
  }

  at::Tensor by_operations(int64_t begin, const at::Tensor& logp) {
    if (weights_.empty()) {
      sum_.add(-logp);
      return at::full_like(logp, -1.0f / total_weight_);
    }
    if (!moved_.defined()) moved_ = ops::queued_copy(float_tensor(weights_), logp.device());
    const at::Tensor weights = moved_.narrow(0, begin, logp.numel());
    sum_.add(-weights * logp);
    return -weights / total_weight_;
  }

  float total_weight_;
  std::vector<float> weights_;
  at::Tensor moved_;  // weights_ on the device of the log probabilities
  LoggedSum& sum_;
};

}  // namespace

LearnOptions seeded(LearnOptions options, uint64_t seed) {
  options.optimizer.seed = seed;
  return options;
}

void LearnOptions::validate() const {
  check_positive("tokens_per_microbatch", tokens_per_microbatch);
  check_positive("loss_chunk_tokens", loss_chunk_tokens);
  require_room("tokens_per_microbatch", tokens_per_microbatch, kTokenBytes);
  require_room("loss_chunk_tokens", loss_chunk_tokens, kTokenBytes);
  optimizer.validate();
  if (optimizer.kind == OptimizerKind::kMuon && !full_weights) {
    throw InputError(
        "optimizer: muon makes whole matrices orthogonal, not the factors of an adapter: expected "
        "full_weights = true or another optimizer");
  }
  if (optimizer.bf16_gradients && !full_weights) {
    throw InputError("bf16_gradients: an adapter's weights are fp32: expected full_weights = true");
  }
  if (keep_activations_every < 0) {
    throw InputError("keep_activations_every: expected >= 0, got " +
                     std::to_string(keep_activations_every));
  }
  if (keep_activations_layers < 0 && (keep_activations_every > 0 || offload_activations)) {
    throw InputError(
        "keep_activations_layers: every layer keeps its activations: expected >= 0 with "
        "keep_activations_every or offload_activations, got -1");
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
      trainer_(*model_, lora_.get(), options.layerwise(entropy, temperature)),
      store_(trainer_.layers(), store_layout(options.optimizer)),
      optimizer_(store_, options.optimizer, fused_rows(model_->config())),
      in_backward_(options.optimizer.in_backward) {}

UpdateResult Learner::update(std::span<const TrainSequence> sequences, const MicrobatchLoss& loss,
                             double lr, const StopCheck& stop) {
  const int64_t before = optimizer_.num_updates();
  UpdateResult result;
  try {
    naming_out_of_memory([&] { result = try_update(sequences, loss, lr, stop); });
  } catch (const OutOfMemory& error) {
    if (optimizer_.num_updates() == before) throw;
    throw Error(std::string("in an update that has changed weights: ") + error.what());
  }
  return result;
}

void Learner::fit(const std::function<void()>& pass) {
  const int64_t tokens = packing_.tokens_per_microbatch;
  std::string reason;
  try {
    naming_out_of_memory(pass);
    return;
  } catch (const OutOfMemory& error) {
    reason = error.what();
  }
  reason += ", with microbatches of " + std::to_string(tokens) + " tokens";
  if (halved_ || tokens < 2) throw OutOfMemory(reason);
  set_halved_microbatch(tokens / 2);
  warning_ = reason + ": half as many from now on";
  try {
    naming_out_of_memory(pass);
  } catch (const OutOfMemory&) {
    throw OutOfMemory(reason + ", and with half as many");
  }
}

void Learner::set_halved_microbatch(int64_t tokens) {
  WEFT_ASSERT(tokens >= 1);
  halved_ = packing_.tokens_per_microbatch = tokens;
}

UpdateResult Learner::try_update(std::span<const TrainSequence> sequences,
                                 const MicrobatchLoss& loss, double lr, const StopCheck& stop) {
  store_.zero_gradients();
  UpdateResult result;
  const std::vector<Microbatch> microbatches = pack(sequences, packing_);
  std::optional<UpdateInBackward> in_backward;
  const StopCheck until_begun = [&] {
    if (!in_backward || !in_backward->has_begun()) look(stop);
  };
  LoggedSum entropy;
  for (const Microbatch& microbatch : microbatches) {
    const CoefficientFn coefficients = loss(microbatch);
    if (in_backward_ && &microbatch == &microbatches.back()) {
      in_backward.emplace(store_, optimizer_, lr);
    }
    const auto pass = trainer_.forward_backward(microbatch, coefficients, store_, until_begun);
    ++result.num_microbatches;
    result.num_tokens += microbatch.num_tokens();
    result.loss_tokens += microbatch.num_loss_tokens();
    entropy.add(pass.entropy);
  }
  StepResult update = in_backward ? optimizer_.end_step() : optimizer_.step(lr);
  result.entropy_sum = entropy.value();
  result.grad_norm = update.grad_norm;
  result.applied = update.applied;
  result.non_finite = std::move(update.non_finite);
  if (lora_) lora_->weights_changed();
  return result;
}

std::vector<std::vector<float>> Learner::fitted_logprobs(const Transformer& model, const Lora* lora,
                                                         std::span<const TrainSequence> sequences,
                                                         const StopCheck& stop) {
  std::vector<std::vector<float>> result;
  fit([&] { result = packed_logprobs(model, lora, sequences, packing_, temperature_, stop); });
  return result;
}

std::vector<std::vector<float>> Learner::logprobs(std::span<const TrainSequence> sequences,
                                                  const Lora* lora, const StopCheck& stop) {
  return fitted_logprobs(*model_, lora, sequences, stop);
}

std::vector<std::vector<float>> Learner::logprobs_of(std::span<const TrainSequence> sequences,
                                                     const Transformer& model,
                                                     const StopCheck& stop) {
  return fitted_logprobs(model, nullptr, sequences, stop);
}

std::vector<size_t> Learner::find_non_finite(std::span<const TrainSequence> sequences,
                                             const std::function<MicrobatchLoss(size_t)>& loss_of,
                                             const StopCheck& stop) {
  std::vector<size_t> found;
  for (size_t i = 0; i < sequences.size(); ++i) {
    bool finite = true;
    fit([&] {
      store_.zero_gradients();
      const MicrobatchLoss loss = loss_of(i);
      for (const Microbatch& microbatch : pack(sequences.subspan(i, 1), packing_)) {
        trainer_.forward_backward(microbatch, loss(microbatch), store_, stop);
      }
      finite = store_.non_finite_gradient().empty();
    });
    if (!finite) found.push_back(i);
  }
  return found;
}

std::string Learner::non_finite_weight(bool frozen_too) const {
  std::string found;
  const auto look = [&](const std::string& name, const at::Tensor& tensor) {
    if (found.empty() && !all_finite(tensor)) found = name;
  };
  naming_out_of_memory([&] {
    if (lora_) {
      for (const NamedParameter& p : lora_->parameters()) look("adapter " + p.name, *p.tensor);
      if (!frozen_too) return;
    }
    for (const auto& [name, tensor] : model_->hugging_face_views()) {
      if (!is_read_by_token(name, model_->config())) look(name, tensor);
    }
  });
  return found;
}

MicrobatchLoss supervised_loss(double total_weight, LoggedSum& loss_sum) {
  return [total_weight, &loss_sum](const Microbatch& microbatch) -> CoefficientFn {
    const auto loss = std::make_shared<SupervisedLoss>(total_weight, microbatch.weights, loss_sum);
    return [loss](int64_t begin, const at::Tensor& logp) { return (*loss)(begin, logp); };
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
