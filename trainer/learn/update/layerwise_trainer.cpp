#include "trainer/learn/update/layerwise_trainer.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_unique.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/autograd.h>

#include <utility>

#include "base/error.h"
#include "model/ops/queued_copy.h"
#include "model/transformer/decoder_layer.h"

namespace weft {
namespace {

// Gradients of `output` with respect to `inputs`, given that of `output`.
std::vector<at::Tensor> backward(const at::Tensor& output, const at::Tensor& output_grad,
                                 const std::vector<at::Tensor>& inputs) {
  return torch::autograd::grad({output}, inputs, {output_grad}, /*retain_graph=*/false,
                               /*create_graph=*/false, /*allow_unused=*/true);
}

at::Tensor leaf(const at::Tensor& value, bool requires_grad) {
  at::Tensor result = value.detach();
  result.set_requires_grad(requires_grad);
  return result;
}

void accumulate(at::Tensor& into, const at::Tensor& gradient) {
  if (gradient.defined()) into.add_(gradient);
}

/// into[ids] += rows. Of a gradient in bf16 each row is added to once, after a sum in fp32.
void add_rows(at::Tensor& into, const at::Tensor& ids_on_host, const at::Tensor& ids,
              const at::Tensor& rows) {
  if (into.scalar_type() == at::kFloat) {
    into.index_add_(0, ids, rows);
    return;
  }
  const auto [unique, place] = at::_unique(ids_on_host, /*sorted=*/true, /*return_inverse=*/true);
  at::Tensor sums = at::zeros({unique.size(0), rows.size(1)}, rows.options());
  sums.index_add_(0, ops::queued_copy(place, rows.device()), rows);
  into.index_add_(0, ops::queued_copy(unique, rows.device()), sums.to(into.scalar_type()));
}

}  // namespace

LayerwiseTrainer::LayerwiseTrainer(Transformer& model, Lora* lora, const LayerwiseOptions& options)
    : model_(model), lora_(lora), options_(options) {
  for (int64_t l = 0; l < model.num_layers(); ++l) {
    layers_.push_back(lora ? lora->layer_parameters(l) : model.layer_parameters(l));
  }
  layers_.push_back(lora ? std::vector<NamedParameter>{} : model.global_parameters());
  const std::vector<NamedParameter>& globals = layers_.back();
  for (size_t i = 0; i < globals.size(); ++i) {
    const auto index = static_cast<int64_t>(i);
    if (globals[i].name == "embed.weight") embedding_index_ = index;
    if (globals[i].name == "final_norm.weight") final_norm_index_ = index;
    if (globals[i].name == "lm_head.weight") head_index_ = index;
  }
  if (trains_model() && head_index_ < 0) head_index_ = embedding_index_;
  WEFT_ASSERT(!trains_model() || (embedding_index_ >= 0 && final_norm_index_ >= 0));
  for (auto& layer : layers_) {
    for (auto& p : layer) p.tensor->set_requires_grad(true);
  }
  if ((options.offload_activations || options.offload_kept_layers) && !model.device().is_cpu()) {
    on_host_ = std::make_unique<HostActivations>(model.device());
  }
}

bool LayerwiseOptions::keeps(int64_t l, int64_t num_layers) const {
  if (keep_activations_layers < 0 || l >= num_layers - keep_activations_layers) return true;
  return keep_activations_every > 0 && (l + 1) % keep_activations_every == 0;
}

/// A layer that keeps its activations holds its output too, which is the next one's input.
bool LayerwiseTrainer::offloads_input(int64_t layer) const {
  return on_host_ && options_.offload_activations && !keeps(layer) &&
         (layer == 0 || !keeps(layer - 1));
}

bool LayerwiseTrainer::offloads_saved(int64_t layer) const {
  return on_host_ && options_.offload_kept_layers && keeps(layer) &&
         layer + 1 < model_.num_layers();
}

void LayerwiseTrainer::send_away(LayerTape& tape,
                                 const std::vector<ops::SavedActivations::Place>& places) const {
  for (const auto& place : places) {
    tape.slots.push_back(on_host_->put(*place));
    tape.away.push_back(place);
    place->reset();
  }
}

void LayerwiseTrainer::bring_back(int64_t layer, LayerTape& tape) const {
  for (size_t i = 0; i < tape.away.size(); ++i) *tape.away[i] = on_host_->take(tape.slots[i]);
  if (!tape.input.defined()) tape.input = leaf(*tape.away.front(), layer > 0 || trains_model());
  tape.away.clear();
}

std::vector<LayerwiseTrainer::LayerTape> LayerwiseTrainer::forward_layers(
    const Attention& attention, at::Tensor& hidden, LayerHooks& hooks,
    const StopCheck& stop) const {
  const int64_t num_layers = model_.num_layers();
  std::vector<LayerTape> tapes(num_layers);
  if (on_host_) on_host_->begin_pass();
  for (int64_t l = 0; l < num_layers; ++l) {
    look(stop);
    const bool keep = keeps(l);
    at::AutoGradMode grad_mode(keep);
    LayerTape& tape = tapes[l];
    tape.input = leaf(hidden, l > 0 || trains_model());
    ops::SavedActivations saved;
    hooks.gather(static_cast<size_t>(l));
    {
      const ops::SavedActivations::Scope scope(offloads_saved(l) ? &saved : nullptr);
      tape.output = model_.layer_forward(l, tape.input, attention, lora_);
    }
    hooks.release(static_cast<size_t>(l));
    hidden = tape.output.detach();
    if (!keep) tape.output.reset();
    if (!on_host_) continue;
    on_host_->settle();  // what the layer before has put was copied beside this one's work
    if (offloads_input(l)) {
      send_away(tape, {std::make_shared<at::Tensor>(std::exchange(tape.input, {}))});
    }
    std::vector<ops::SavedActivations::Place> places = saved.places();
    std::erase_if(places, [&](const auto& p) { return p->is_alias_of(tape.input); });
    send_away(tape, places);
  }
  if (on_host_) on_host_->settle();
  return tapes;
}

at::Tensor LayerwiseTrainer::loss_head(const Microbatch& microbatch, const at::Tensor& hidden,
                                       const CoefficientFn& coefficients, ParameterStore& store,
                                       const StopCheck& stop, MicrobatchResult& result) {
  const at::Tensor selected = leaf(hidden.index_select(0, microbatch.rows), true);
  at::Tensor normed;
  {
    at::AutoGradMode grad_mode(true);
    normed = model_.final_norm(selected);
  }
  at::Tensor* head_grad =
      trains_model() ? &store.gradient(layers_.size() - 1, static_cast<size_t>(head_index_))
                     : nullptr;
  const auto head = linear_cross_entropy(
      normed.detach(), model_.lm_head_weight().detach(), microbatch.targets, coefficients,
      head_grad, {options_.loss_chunk_tokens, options_.entropy, options_.temperature, stop});
  result.logp = head.logp;
  result.entropy = head.entropy;
  std::vector<at::Tensor> inputs = {selected};
  if (trains_model()) inputs.push_back(*layers_.back()[final_norm_index_].tensor);
  const auto grads = backward(normed, head.hidden_grad, inputs);
  if (trains_model()) {
    accumulate(store.gradient(layers_.size() - 1, static_cast<size_t>(final_norm_index_)),
               grads[1]);
  }
  // A prompt's last token predicts for all its completions: their gradients are summed in fp32.
  at::Tensor sums = at::zeros_like(hidden, hidden.options().dtype(at::kFloat));
  sums.index_add_(0, microbatch.rows, grads[0].to(at::kFloat));
  return sums.to(hidden.scalar_type());
}

at::Tensor LayerwiseTrainer::layer_backward(int64_t layer, std::vector<LayerTape>& tapes,
                                            const at::Tensor& output_grad,
                                            const Attention& attention, ParameterStore& store) {
  const auto l = static_cast<size_t>(layer);
  LayerTape tape = std::exchange(tapes[l], {});
  store.hooks().gather(l);
  if (on_host_) {
    bring_back(layer, tape);
    if (layer > 0) {
      for (const size_t slot : tapes[l - 1].slots) on_host_->fetch(slot);
    }
  }
  if (!tape.output.defined()) {
    at::AutoGradMode grad_mode(true);
    tape.output = model_.layer_forward(layer, tape.input, attention, lora_);
  }
  std::vector<at::Tensor> inputs;
  for (const NamedParameter& p : layers_[l]) inputs.push_back(*p.tensor);
  const bool wants_input_grad = tape.input.requires_grad();
  if (wants_input_grad) inputs.push_back(tape.input);
  const auto grads = backward(tape.output, output_grad, inputs);
  store.hooks().release(l);
  for (size_t i = 0; i < layers_[l].size(); ++i) accumulate(store.gradient(l, i), grads[i]);
  store.hooks().notify(l);
  return wants_input_grad ? grads.back() : at::Tensor();
}

MicrobatchResult LayerwiseTrainer::forward_backward(const Microbatch& on_host,
                                                    const CoefficientFn& coefficients,
                                                    ParameterStore& store, const StopCheck& stop) {
  at::NoGradGuard no_grad;
  const Microbatch microbatch = on_host.to(model_.device());
  const size_t globals = layers_.size() - 1;
  store.hooks().gather(globals);
  const PackedAttention attention(model_, microbatch.batch);
  at::Tensor hidden = model_.embed(microbatch.ids);
  std::vector<LayerTape> tapes = forward_layers(attention, hidden, store.hooks(), stop);
  MicrobatchResult result;
  at::Tensor grad = loss_head(microbatch, hidden, coefficients, store, stop, result);
  hidden.reset();
  for (int64_t l = model_.num_layers() - 1; l >= 0; --l) {
    look(stop);
    grad = layer_backward(l, tapes, grad, attention, store);
  }
  if (trains_model()) {
    add_rows(store.gradient(globals, static_cast<size_t>(embedding_index_)), on_host.ids,
             microbatch.ids, grad.to(at::kFloat));
  }
  store.hooks().release(globals);
  store.hooks().notify(globals);
  return result;
}

at::Tensor microbatch_logprobs(const Transformer& model, const Lora* lora,
                               const Microbatch& on_host, double temperature,
                               const StopCheck& stop) {
  at::NoGradGuard no_grad;
  const Microbatch microbatch = on_host.to(model.device());
  const at::Tensor normed =
      model.forward(microbatch.ids, PackedAttention(model, microbatch.batch),
                    adapter_of_all(lora, microbatch.ids.size(0)), microbatch.rows, stop);
  LinearCrossEntropyOptions options;
  options.temperature = temperature;
  options.stop = stop;
  return linear_cross_entropy(normed, model.lm_head_weight(), microbatch.targets, {}, nullptr,
                              options)
      .logp;
}

}  // namespace weft
