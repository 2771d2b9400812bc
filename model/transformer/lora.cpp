#include "model/transformer/lora.h"

#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <mutex>
#include <span>

#include "base/error.h"
#include "base/file.h"
#include "model/checkpoint/finite.h"
#include "model/checkpoint/new_directory.h"
#include "model/checkpoint/safetensors.h"
#include "model/ops/cuda/cuda_library.h"
#include "model/transformer/adapter_config.h"
#include "model/transformer/lora_gradient.h"

namespace weft {
namespace {

constexpr const char* kNames[kNumProjections] = {"q_proj",    "k_proj",  "v_proj",   "o_proj",
                                                 "gate_proj", "up_proj", "down_proj"};

struct Shape {
  int64_t in, out;
};

Shape projection_shape(const TransformerConfig& c, int p) {
  const int64_t h = c.hidden_size, f = c.intermediate_size;
  switch (static_cast<Projection>(p)) {
    case Projection::kQ:
      return {h, c.q_size()};
    case Projection::kK:
    case Projection::kV:
      return {h, c.kv_size()};
    case Projection::kO:
      return {c.q_size(), h};
    case Projection::kGate:
    case Projection::kUp:
      return {h, f};
    default:
      return {f, h};
  }
}

// Name of a weight in a PEFT file.
std::string peft_name(int64_t layer, int p, char which) {
  const bool attention = p <= static_cast<int>(Projection::kO);
  const std::string of = which == 'm' ? "magnitude_vector" : std::string(1, which) + ".weight";
  return "base_model.model.model.layers." + std::to_string(layer) +
         (attention ? ".self_attn." : ".mlp.") + kNames[p] + ".lora_" + of;
}

std::span<const Projection> projections_of(FusedLinear which) {
  using enum Projection;
  static constexpr Projection kQkv[] = {kQ, kK, kV}, kOutput[] = {kO}, kGateUp[] = {kGate, kUp},
                              kDownOnly[] = {kDown};
  switch (which) {
    case FusedLinear::kQkv:
      return kQkv;
    case FusedLinear::kO:
      return kOutput;
    case FusedLinear::kGateUp:
      return kGateUp;
    default:
      return kDownOnly;
  }
}

LoraUpdate make_update(const LoraLayer& layer, const TransformerConfig& model, FusedLinear which,
                       double scale, const at::TensorOptions& options) {
  const std::span<const Projection> group = projections_of(which);
  std::vector<at::Tensor> a, b;
  int64_t width = 0, before = 0;
  for (Projection p : group) {
    const at::Tensor& weight = layer.a[static_cast<int>(p)];
    if (weight.defined()) a.push_back(weight), width += weight.size(0);
  }
  if (a.empty()) return {};
  for (Projection p : group) {
    const int64_t out = projection_shape(model, static_cast<int>(p)).out;
    const at::Tensor& weight = layer.b[static_cast<int>(p)];
    const auto zeros = [&](int64_t columns) { return at::zeros({out, columns}, a[0].options()); };
    if (!weight.defined()) {
      b.push_back(zeros(width));
      continue;
    }
    const int64_t rank = weight.size(1);
    b.push_back(at::cat({zeros(before), weight * scale, zeros(width - before - rank)}, 1));
    before += rank;
  }
  return {at::cat(a).to(options), at::cat(b).to(options)};
}

// With ranks of zeros up to a multiple of what the GPU's batched update takes.
LoraUpdate padded(const LoraUpdate& u) {
  if (!u.a.defined()) return u;
  const int64_t missing = (cuda::kLoraRanks - u.a.size(0) % cuda::kLoraRanks) % cuda::kLoraRanks;
  if (missing == 0) return {u.a, u.b.contiguous()};
  return {at::cat({u.a, at::zeros({missing, u.a.size(1)}, u.a.options())}),
          at::cat({u.b, at::zeros({u.b.size(0), missing}, u.b.options())}, 1)};
}

bool adapts(const LoraConfig& config, int p) {
  return std::find(config.targets.begin(), config.targets.end(), kNames[p]) != config.targets.end();
}

LoraLayer view_layer(const LoraConfig& config, const TransformerConfig& model,
                     const at::Tensor& flat) {
  int64_t offset = 0;
  const auto take = [&](int64_t rows, int64_t columns) {
    offset += rows * columns;
    return flat.narrow(0, offset - rows * columns, rows * columns).view({rows, columns});
  };
  LoraLayer layer;
  for (int p = 0; p < kNumProjections; ++p) {
    if (!adapts(config, p)) continue;
    const Shape s = projection_shape(model, p);
    layer.a[p] = take(config.rank, s.in);
    layer.b[p] = take(s.out, config.rank);
    if (config.use_dora) layer.magnitude[p] = take(s.out, 1).view({s.out});
  }
  return layer;
}

void copy_weight(const SafetensorsReader& file, const std::string& name, const at::Tensor& to,
                 const std::string& dir) {
  if (!file.contains(name)) throw InputError(dir + ": tensor " + name + " is missing");
  const at::Tensor stored = file.tensor(name);
  if (stored.sizes() != to.sizes()) {
    throw InputError(dir + ": tensor " + name + " is for another base model: expected " +
                     c10::str(to.sizes()) + ", got " + c10::str(stored.sizes()));
  }
  if (!all_finite(stored)) {
    throw InputError(dir + ": tensor " + name + " holds values that are not finite");
  }
  to.copy_(stored);
}

}  // namespace

const char* projection_name(Projection p) { return kNames[static_cast<int>(p)]; }

void LoraConfig::validate() const {
  if (rank < 1) throw InputError("lora.rank: expected at least 1, got " + std::to_string(rank));
  if (!(alpha > 0) || !std::isfinite(alpha)) {
    throw InputError("lora.alpha: expected a number > 0, got " + std::to_string(alpha));
  }
  if (targets.empty()) throw InputError("lora.targets: expected at least one, got none");
  for (const std::string& t : targets) {
    if (std::find(std::begin(kNames), std::end(kNames), t) == std::end(kNames)) {
      throw InputError(
          "lora.targets: expected q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj "
          "or down_proj, got \"" +
          t + "\"");
    }
  }
}

void LoraConfig::require_fits(const TransformerConfig& model) const {
  if (rank > model.hidden_size) {
    throw InputError("lora.rank: expected at most the model's hidden size of " +
                     std::to_string(model.hidden_size) + ", got " + std::to_string(rank));
  }
}

struct Lora::Cache {
  struct Entry {
    std::array<LoraUpdate, kNumFusedLinears> updates;
    at::ScalarType dtype = at::kFloat;
    at::Device device = at::kCPU;
    int64_t version = -1;
  };
  std::mutex mutex;
  std::vector<Entry> layers;
};

Lora::Lora(const TransformerConfig& model, const LoraConfig& config)
    : config_(config), model_(model), cache_(std::make_unique<Cache>()) {
  config.validate();
  config.require_fits(model);
  cache_->layers.resize(model.num_layers);
  int64_t total = 0;
  for (int p = 0; p < kNumProjections; ++p) {
    const Shape s = projection_shape(model, p);
    if (!adapts(config, p)) continue;
    total += config.rank * (s.in + s.out) + (config.use_dora ? s.out : 0);
  }
  for (int64_t l = 0; l < model.num_layers; ++l) {
    flats_.push_back(at::zeros({total}, at::kFloat));
    layers_.push_back(view_layer(config, model, flats_.back()));
  }
}

Lora::Lora(const TransformerConfig& model, const LoraConfig& config, Rng& rng)
    : Lora(model, config) {
  for (LoraLayer& layer : layers_) {
    for (at::Tensor& a : layer.a) {
      if (!a.defined()) continue;
      const double bound = 1.0 / std::sqrt(static_cast<double>(a.size(1)));
      float* values = a.data_ptr<float>();
      for (int64_t i = 0; i < a.numel(); ++i) {
        values[i] = static_cast<float>((2 * rng.uniform() - 1) * bound);
      }
    }
  }
}

Lora::~Lora() = default;

std::unique_ptr<Lora> Lora::load(const std::string& dir, const TransformerConfig& model) {
  const LoraConfig config = read_adapter_config((fs::path(dir) / "adapter_config.json").string());
  std::unique_ptr<Lora> lora(new Lora(model, config));
  const SafetensorsReader file((fs::path(dir) / "adapter_model.safetensors").string());
  size_t used = 0;
  const at::NoGradGuard no_grad;
  for (int64_t l = 0; l < lora->num_layers(); ++l) {
    for (int p = 0; p < kNumProjections; ++p) {
      if (!lora->layers_[l].a[p].defined()) continue;
      copy_weight(file, peft_name(l, p, 'A'), lora->layers_[l].a[p], dir);
      copy_weight(file, peft_name(l, p, 'B'), lora->layers_[l].b[p], dir);
      used += 2;
      if (!config.use_dora) continue;
      copy_weight(file, peft_name(l, p, 'm'), lora->layers_[l].magnitude[p], dir);
      ++used;
    }
  }
  if (used != file.names().size()) {
    throw InputError(dir + ": adapter_model.safetensors: expected " + std::to_string(used) +
                     " tensors for this base model, got " + std::to_string(file.names().size()));
  }
  return lora;
}

void Lora::save(const std::string& dir, const std::string& base_model) const {
  NewDirectory directory(dir);
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  for (int64_t l = 0; l < num_layers(); ++l) {
    for (int p = 0; p < kNumProjections; ++p) {
      if (!layers_[l].a[p].defined()) continue;
      tensors.emplace_back(peft_name(l, p, 'A'), layers_[l].a[p]);
      tensors.emplace_back(peft_name(l, p, 'B'), layers_[l].b[p]);
      if (config_.use_dora) tensors.emplace_back(peft_name(l, p, 'm'), layers_[l].magnitude[p]);
    }
  }
  const Json json = {{"peft_type", "LORA"},
                     {"task_type", "CAUSAL_LM"},
                     {"base_model_name_or_path", base_model},
                     {"r", config_.rank},
                     {"lora_alpha", config_.alpha},
                     {"lora_dropout", 0.0},
                     {"bias", "none"},
                     {"fan_in_fan_out", false},
                     {"inference_mode", true},
                     {"init_lora_weights", true},
                     {"use_dora", config_.use_dora},
                     {"use_rslora", config_.use_rslora},
                     {"target_modules", config_.targets}};
  write_file_atomically(directory.temporary() / "adapter_config.json", json.dump(2) + "\n");
  write_safetensors((directory.temporary() / "adapter_model.safetensors").string(), tensors);
  directory.publish();
}

std::vector<NamedParameter> Lora::layer_parameters(int64_t l) {
  std::vector<NamedParameter> named;
  const std::string prefix = "layers." + std::to_string(l) + ".";
  for (int p = 0; p < kNumProjections; ++p) {
    if (!layers_[l].a[p].defined()) continue;
    named.push_back({prefix + kNames[p] + ".lora_A", &layers_[l].a[p]});
    named.push_back({prefix + kNames[p] + ".lora_B", &layers_[l].b[p]});
    if (config_.use_dora) {
      named.push_back({prefix + kNames[p] + ".lora_magnitude_vector", &layers_[l].magnitude[p]});
    }
  }
  return named;
}

double Lora::scale() const {
  const auto rank = static_cast<double>(config_.rank);
  return config_.alpha / (config_.use_rslora ? std::sqrt(rank) : rank);
}

std::vector<NamedParameter> Lora::parameters() {
  std::vector<NamedParameter> all;
  for (int64_t l = 0; l < num_layers(); ++l) {
    for (NamedParameter& p : layer_parameters(l)) all.push_back(std::move(p));
  }
  return all;
}

int64_t Lora::num_parameters() const {
  int64_t n = 0;
  for (const at::Tensor& flat : flats_) n += flat.numel();
  return n;
}

void Lora::to(at::Device device) {
  const at::NoGradGuard no_grad;
  for (int64_t l = 0; l < num_layers(); ++l) {
    flats_[l] = flats_[l].to(device);
    layers_[l] = view_layer(config_, model_, flats_[l]);
  }
  weights_changed();
}

void Lora::set_trainable(bool trainable) {
  for (const NamedParameter& p : parameters()) p.tensor->set_requires_grad(trainable);
}

void Lora::weights_changed() {
  const std::lock_guard lock(cache_->mutex);
  for (Cache::Entry& entry : cache_->layers) entry = {};
}

void Lora::bind(const Transformer& base) {
  if (!config_.use_dora) return;
  if (base.is_rounded()) {
    throw InputError("adapter: use_dora needs the base's weights in bf16 or f32, got int8");
  }
  base_.clear();
  for (int64_t l = 0; l < num_layers(); ++l) {
    const TransformerLayer& w = base.layer(l);
    base_.push_back({Linear{w.qkv, w.qkv_bias}, Linear{w.o, w.o_bias},
                     Linear{w.gate_up, w.gate_up_bias}, Linear{w.down, w.down_bias}});
  }
  weights_changed();
}

void Lora::take_magnitudes(const Transformer& base) {
  const at::NoGradGuard no_grad;
  WEFT_ASSERT(config_.use_dora);
  bind(base);
  for (int64_t l = 0; l < num_layers(); ++l) {
    const LoraLayer& layer = layers_[l];
    for (int i = 0; i < kNumFusedLinears; ++i) {
      int64_t first_row = 0;
      for (const Projection projection : projections_of(static_cast<FusedLinear>(i))) {
        const int p = static_cast<int>(projection);
        const int64_t rows = projection_shape(model_, p).out;
        if (layer.a[p].defined()) {
          layer.magnitude[p].copy_(row_norms(base_[l][i].weight.detach().narrow(0, first_row, rows),
                                             layer.a[p], layer.b[p], scale()));
        }
        first_row += rows;
      }
    }
  }
  weights_changed();
}

void Lora::add_gain(LoraUpdate& update, int64_t l, FusedLinear which) const {
  if (!update.a.defined()) return;
  if (base_.empty()) throw Error("adapter: use_dora was not bound to its base");
  const Linear& base = base_[l][static_cast<size_t>(which)];
  const LoraLayer& layer = layers_[l];
  std::vector<at::Tensor> norms, gains;
  int64_t first_row = 0;
  for (const Projection projection : projections_of(which)) {
    const int p = static_cast<int>(projection);
    const int64_t rows = projection_shape(model_, p).out;
    const at::Tensor part = base.weight.detach().narrow(0, first_row, rows);
    first_row += rows;
    norms.push_back(layer.a[p].defined() ? row_norms(part, layer.a[p], layer.b[p], scale())
                                         : at::ones({rows}, part.options().dtype(at::kFloat)));
    gains.push_back(layer.a[p].defined() ? layer.magnitude[p] / norms.back() : norms.back());
  }
  update.row_norms = at::cat(norms);
  update.gain = at::cat(gains);
  if (base.bias.defined()) update.bias = base.bias.detach();
}

LoraUpdate Lora::update(int64_t l, FusedLinear which, at::ScalarType dtype,
                        at::Device device) const {
  LoraUpdate update = kept_copy(l, which, dtype, device);
  const LoraLayer& w = layers_[l];
  const auto trainable = [](const at::Tensor& t) { return t.defined() && t.requires_grad(); };
  if (!update.a.defined() || !at::GradMode::is_enabled() ||
      !(std::any_of(w.a.begin(), w.a.end(), trainable) ||
        std::any_of(w.b.begin(), w.b.end(), trainable))) {
    return update;
  }
  int64_t first_row = 0;
  for (const Projection projection : projections_of(which)) {
    const int p = static_cast<int>(projection);
    if (w.a[p].defined()) {
      update.factors.push_back({w.a[p], w.b[p], w.magnitude[p], first_row});
    }
    first_row += projection_shape(model_, p).out;
  }
  update.scale = scale();
  return update;
}

LoraUpdate Lora::kept_copy(int64_t l, FusedLinear which, at::ScalarType dtype,
                           at::Device device) const {
  const std::lock_guard lock(cache_->mutex);
  Cache::Entry& entry = cache_->layers[l];
  const int64_t version = flats_[l]._version();
  if (entry.version != version || entry.dtype != dtype || entry.device != device) {
    const at::NoGradGuard no_grad;
    entry = {{}, dtype, device, version};
    for (int i = 0; i < kNumFusedLinears; ++i) {
      const auto linear = static_cast<FusedLinear>(i);
      const LoraUpdate made =
          make_update(layers_[l], model_, linear, scale(), at::TensorOptions(dtype).device(device));
      entry.updates[i] = device.is_cpu() ? made : padded(made);
      if (config_.use_dora) add_gain(entry.updates[i], l, linear);
    }
  }
  return entry.updates[static_cast<int>(which)];
}

}  // namespace weft
