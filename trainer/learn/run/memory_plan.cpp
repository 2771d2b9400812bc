#include "trainer/learn/run/memory_plan.h"

#include <algorithm>
#include <filesystem>

#include "base/error.h"
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

// What one layer saves for backward, bytes for each token: norms (input and result), q k v before
// and after the rotation, attention's result, gate, up, their product, and with an adapter the
// low-rank activations.
int64_t layer_graph_bytes(const MemoryPlanInput& in) {
  const auto& c = in.shape;
  int64_t values = 6 * c.hidden_size + 2 * (c.q_size() + 2 * c.kv_size()) + 2 * c.q_size() +
                   5 * c.intermediate_size;
  if (!in.learn.full_weights) {
    values += 2 * in.learn.lora.rank * static_cast<int64_t>(in.learn.lora.targets.size());
  }
  return values * in.weight_bytes + 4 * c.num_heads;
}

int64_t activation_bytes(const MemoryPlanInput& in) {
  const auto& c = in.shape;
  const int64_t keep = in.learn.keep_activations_layers;
  const int64_t kept = keep < 0 ? c.num_layers : std::clamp<int64_t>(keep, 1, c.num_layers);
  const int64_t inputs = (c.num_layers + 4) * c.hidden_size * in.weight_bytes;
  return in.learn.tokens_per_microbatch * (inputs + kept * layer_graph_bytes(in));
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
};

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
      per_layer += options.lora.rank * (p.in + p.out);
    }
  }
  return per_layer * shape.num_layers;
}

Json memory_plan(const MemoryPlanInput& in) {
  const bool full = in.learn.full_weights;
  if (!full && in.learn.init_adapter.empty()) in.learn.lora.require_fits(in.shape);
  const int64_t num_parameters = in.shape.num_parameters();
  const int64_t trained = num_trained_parameters(in.shape, in.learn);
  const int64_t logit_rows = std::min(in.learn.loss_chunk_tokens, in.learn.tokens_per_microbatch);
  Json plan;
  plan["weights"] = num_parameters * in.weight_bytes;
  plan["frozen_copies"] = in.frozen_copies * num_parameters * in.weight_bytes;
  plan["adapter"] = full ? 0 : trained * (4 + in.weight_bytes);
  const UpdateBytes update = update_bytes(in);
  plan["gradients"] = update.gradients;
  plan["masters"] = update.masters;
  plan["optimizer"] = update.states;
  plan["activations"] = activation_bytes(in);
  const int64_t logit_bytes = 4 + (in.weight_bytes == 4 ? 0 : in.weight_bytes);
  plan["logits_chunk"] = logit_rows * in.shape.vocab_size * logit_bytes;
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
