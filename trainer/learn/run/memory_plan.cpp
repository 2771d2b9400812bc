#include "trainer/learn/run/memory_plan.h"

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "model/ops/cpu/attention.h"
#include "trainer/learn/update/optimizer.h"

namespace weft {
namespace {

struct ProjectionShape {
  const char* name;
  int64_t in, out;
};

std::vector<ProjectionShape> projections(const TransformerConfig& c) {
  return {{"q_proj", c.hidden_size, c.q_size()},
          {"k_proj", c.hidden_size, c.kv_size()},
          {"v_proj", c.hidden_size, c.kv_size()},
          {"o_proj", c.q_size(), c.hidden_size},
          {"gate_proj", c.hidden_size, c.intermediate_size},
          {"up_proj", c.hidden_size, c.intermediate_size},
          {"down_proj", c.intermediate_size, c.hidden_size}};
}

/// Of a chunk: logits, which become their gradient in place in fp32.
int64_t logit_bytes(const MemoryPlanInput& in) {
  const int64_t rows = std::min(in.learn.loss_chunk_tokens, in.learn.tokens_per_microbatch);
  return rows * in.shape.vocab_size * (4 + (in.weight_bytes == 4 ? 0 : in.weight_bytes));
}

/// Bytes that a microbatch's passes hold, at the end of the forward pass and most of all.
struct PassBytes {
  int64_t kept = 0;  ///< until the backward pass reaches it
  int64_t peak = 0;  ///< with it, logits and gradients on their way
};

/// Sizes in values, of one token or of one matrix.
class PassPlan {
 public:
  explicit PassPlan(const MemoryPlanInput& in)
      : in_(in),
        w_(in.weight_bytes),
        h_(in.shape.hidden_size),
        f_(in.shape.intermediate_size),
        q_(in.shape.q_size()),
        qkv_(q_ + 2 * in.shape.kv_size()),
        tokens_(in.learn.tokens_per_microbatch) {}

  PassBytes bytes() const {
    const LayerwiseOptions layers = in_.learn.layerwise();
    const int64_t count = in_.shape.num_layers, state = tokens_ * h_ * w_;
    PassBytes result;
    result.kept = state;  // the last layer's output
    for (int64_t l = 0; l < count; ++l) {
      const bool keeps = layers.keeps(l, count), held = l > 0 && layers.keeps(l - 1, count);
      const bool offloaded = in_.learn.offload_activations && !keeps && !held;
      const bool stays = keeps && !goes_away(l);
      result.kept += (offloaded ? 0 : state) + (stays ? tokens_ * graph() : 0);
      // Its backward pass, when those above it are done; of two inputs one is on its way, and so
      // is what the layer below saved.
      const int64_t again = (stays ? 0 : tokens_ * graph()) + (offloaded ? 2 * state : 0) +
                            (goes_away(l - 1) ? tokens_ * graph() : 0);
      result.peak = std::max(result.peak, result.kept + again + layer_backward());
    }
    result.peak = std::max(result.peak, result.kept + head());
    return result;
  }

 private:
  /// Whether what a kept layer saves waits on the host.
  bool goes_away(int64_t l) const {
    const int64_t count = in_.shape.num_layers;
    return in_.learn.offload_kept_layers && l >= 0 && l + 1 < count &&
           in_.learn.layerwise().keeps(l, count);
  }

  /// What a layer saves for backward beside its input and output, bytes of a token: both norms'
  /// results, queries, keys and values after the rotation, attention's result, the middle sum,
  /// gate and up, their product.
  int64_t graph() const {
    const auto& c = in_.shape;
    int64_t values = 3 * h_ + qkv_ + q_ + 3 * f_;
    int64_t statistics = 2 + c.num_heads;  // of the norms and of attention
    if (c.qk_norm) {
      values += qkv_ - c.kv_size();
      statistics += c.num_heads + c.num_kv_heads;
    }
    if (!in_.learn.full_weights) {
      values += in_.learn.lora.rank * static_cast<int64_t>(in_.learn.lora.targets.size());
      if (in_.learn.lora.use_dora) values += qkv_ + 2 * h_ + 2 * f_;
    }
    return values * w_ + 4 * statistics;
  }

  /// Most of what the backward pass of a layer holds beside its graph, which it frees as it goes:
  /// gradients of activations, and of the weights until all are known.
  int64_t layer_backward() const {
    const bool full = in_.learn.full_weights;
    const int64_t down = full ? h_ * f_ : 0, gate_up = 2 * down, o = full ? h_ * q_ : 0;
    const kernels::HeadShape heads{in_.shape.num_heads, in_.shape.num_kv_heads, in_.shape.head_dim};
    const int64_t stores = 2 * (heads.heads + heads.kv_heads) * heads.block_size() /
                           kernels::kBlockTokens;  // blocks of keys, values, queries, gradients
    const int64_t at_silu = tokens_ * (h_ + 2 * f_) + down;
    const int64_t at_gate_up = tokens_ * (2 * h_ - f_) + down + gate_up;
    const int64_t at_attention = tokens_ * (q_ + stores + qkv_ - 3 * f_) + down + gate_up + o;
    const int64_t at_end =
        tokens_ * (h_ - 3 * f_ - qkv_ - q_) + down + gate_up + o + (full ? h_ * qkv_ : 0);
    return w_ * std::max({at_silu, at_gate_up, at_attention, at_end});
  }

  /// What the loss holds: rows of hidden states, their norms and gradients, logits and their
  /// gradient, and that of the head.
  int64_t head() const {
    const int64_t rows = std::min(in_.learn.loss_chunk_tokens, tokens_), v = in_.shape.vocab_size;
    const int64_t of_weights = in_.learn.full_weights ? v * h_ * w_ : 0;
    const int64_t chunk =
        3 * tokens_ * h_ * w_ + logit_bytes(in_) + std::max(of_weights, rows * h_ * w_);
    const int64_t sums = tokens_ * h_ * (4 * w_ + 4 + (w_ == 4 ? 0 : 4));
    return std::max(chunk, sums);
  }

  const MemoryPlanInput& in_;
  const int64_t w_, h_, f_, q_, qkv_, tokens_;
};

/// Copies of an adapter that passes use: A of the projections of a fused layer end to end, B as
/// blocks of a diagonal.
int64_t adapter_copies(const MemoryPlanInput& in) {
  const auto& c = in.shape;
  const auto& targets = in.learn.lora.targets;
  const auto all = projections(c);
  int64_t per_layer = 0;
  for (const auto& [first, count] : {std::pair<size_t, size_t>{0, 3}, {3, 1}, {4, 2}, {6, 1}}) {
    int64_t ranks = 0, out = 0;
    for (size_t i = first; i < first + count; ++i) {
      out += all[i].out;
      const bool adapted = std::find(targets.begin(), targets.end(), all[i].name) != targets.end();
      ranks += adapted ? in.learn.lora.rank : 0;
    }
    per_layer += ranks * (all[first].in + out) * in.weight_bytes;
    if (ranks > 0 && in.learn.lora.use_dora) per_layer += 2 * 4 * out;
  }
  return per_layer * c.num_layers;
}

struct TrainedTensor {
  int64_t size;
  bool is_matrix;
};

/// Those of one layer, or (`globals`) of what is outside of layers.
std::vector<TrainedTensor> trained_tensors(const MemoryPlanInput& in, bool globals) {
  const auto& c = in.shape;
  std::vector<TrainedTensor> tensors;
  const auto add = [&](int64_t size, bool is_matrix, bool exists = true) {
    if (exists) tensors.push_back({size, is_matrix});
  };
  const int64_t h = c.hidden_size, f = c.intermediate_size, qkv = c.q_size() + 2 * c.kv_size();
  if (!in.learn.full_weights) {
    const auto& targets = in.learn.lora.targets;
    for (const auto& p : projections(c)) {
      if (globals || std::find(targets.begin(), targets.end(), p.name) == targets.end()) continue;
      add(in.learn.lora.rank * p.in, true);
      add(in.learn.lora.rank * p.out, true);
      add(p.out, false, in.learn.lora.use_dora);
    }
  } else if (globals) {
    add(c.vocab_size * h, true);
    add(h, false);
    add(c.vocab_size * h, true, !c.tie_word_embeddings);
  } else {
    for (const int64_t matrix : {qkv * h, h * c.q_size(), 2 * f * h, h * f}) add(matrix, true);
    for (int i = 0; i < 2; ++i) {
      add(h, false);
      add(c.head_dim, false, c.qk_norm);
    }
    add(qkv, false, c.qkv_bias);
    add(h, false, c.o_bias);
    add(2 * f, false, c.mlp_bias);
    add(h, false, c.mlp_bias);
  }
  return tensors;
}

struct UpdateBytes {
  int64_t gradients = 0, masters = 0, states = 0;
  int64_t temporaries = 0;  ///< of the update, when no activation is held any more
};

/// Of the parameter for which they are the most.
int64_t update_temporaries(const MemoryPlanInput& in, int64_t values, bool by_muon, bool masters) {
  if (by_muon) return 4 * values * (masters ? 5 : 6);
  const StateForm form = state_form(in.learn.optimizer.kind);
  const bool as_is = form == StateForm::kF32 && (masters || in.weight_bytes == 4);
  if (as_is || !in.learn.full_weights) return 0;
  return std::min(kUpdatePart, values) * (form == StateForm::k8bit ? 32 : 16);
}

UpdateBytes update_bytes(const MemoryPlanInput& in) {
  const OptimizerOptions& optimizer = in.learn.optimizer;
  const StateForm form = state_form(optimizer.kind);
  const int64_t unit = store_layout(optimizer).alignment;
  const bool masters = in.learn.full_weights && in.weight_bytes != 4 && optimizer.has_masters();
  UpdateBytes bytes;
  for (const bool globals : {false, true}) {
    const int64_t times = globals ? 1 : in.shape.num_layers;
    int64_t values = 0;
    for (const TrainedTensor& t : trained_tensors(in, globals)) {
      const bool one_state = optimizer.kind == OptimizerKind::kMuon && t.is_matrix && !globals;
      bytes.temporaries =
          std::max(bytes.temporaries, update_temporaries(in, t.size, one_state, masters));
      bytes.states += times * (one_state ? 1 : 2) * state_bytes(form, t.size);
      values += (t.size + unit - 1) / unit * unit;
    }
    bytes.gradients += times * (optimizer.bf16_gradients ? in.weight_bytes : 4) * values;
    if (masters) bytes.masters += times * 4 * values;
  }
  return bytes;
}

}  // namespace

int64_t num_trained_parameters(const TransformerConfig& shape, const LearnOptions& options) {
  if (options.full_weights) return shape.num_parameters();
  int64_t per_layer = 0;
  for (const auto& p : projections(shape)) {
    const auto& targets = options.lora.targets;
    if (std::find(targets.begin(), targets.end(), p.name) != targets.end()) {
      per_layer += options.lora.rank * (p.in + p.out) + (options.lora.use_dora ? p.out : 0);
    }
  }
  return per_layer * shape.num_layers;
}

Json memory_plan(const MemoryPlanInput& in) {
  const bool full = in.learn.full_weights;
  if (!full && in.learn.init_adapter.empty()) in.learn.lora.require_fits(in.shape);
  const int64_t num_parameters = in.shape.num_parameters();
  const int64_t trained = num_trained_parameters(in.shape, in.learn);
  Json plan;
  plan["weights"] = num_parameters * in.weight_bytes;
  plan["frozen_copies"] = in.frozen_copies * num_parameters * in.weight_bytes;
  plan["adapter"] = full ? 0 : 4 * trained + adapter_copies(in);
  const UpdateBytes update = update_bytes(in);
  plan["gradients"] = update.gradients;
  plan["masters"] = update.masters;
  plan["optimizer"] = update.states;
  const PassBytes pass = PassPlan(in).bytes();
  plan["activations"] = pass.kept;
  plan["logits_chunk"] = logit_bytes(in);
  plan["temporaries"] = std::max(pass.peak, update.temporaries) - pass.kept - logit_bytes(in);
  plan["kv_cache"] = in.kv_cache_bytes;
  plan["worker"] = in.worker_bytes;
  int64_t total = 0;
  for (const auto& [name, bytes] : plan.items()) total += bytes.get<int64_t>();
  plan["total"] = total;
  plan["num_parameters"] = num_parameters;
  plan["trained_parameters"] = trained;
  return plan;
}

TransformerConfig plan_shape(const std::string& model, const std::string& model_shape) {
  const std::filesystem::path source = model_shape.empty() ? model : model_shape;
  if (source.empty()) throw InputError("model: expected a model folder, got nothing");
  if (!std::filesystem::is_directory(source)) {
    return TransformerConfig::from_json(read_json_file(source), source);
  }
  return TransformerConfig::from_directory(source);
}

int64_t plan_weight_bytes(const std::string& dtype) {
  if (dtype == "int8") return 1;
  return dtype == "f32" ? 4 : 2;
}

}  // namespace weft
