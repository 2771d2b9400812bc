#include "model/checkpoint/model_config.h"

#include <algorithm>

#include "base/error.h"
#include "base/file.h"

namespace weft {
namespace {

std::vector<int32_t> read_ids(const Json& json, const char* key, const std::string& where) {
  if (!json.contains(key) || json[key].is_null()) return {};
  if (json[key].is_array()) {
    const auto wide = get_field<std::vector<int64_t>>(json, key, where);
    return {wide.begin(), wide.end()};
  }
  return {static_cast<int32_t>(get_field<int64_t>(json, key, where))};
}

Architecture read_architecture(const Json& json, const std::string& where) {
  std::string name = get_field_or<std::string>(json, "model_type", "", where);
  if (json.contains("architectures") && json["architectures"].is_array() &&
      !json["architectures"].empty() && json["architectures"][0].is_string()) {
    name = json["architectures"][0].get<std::string>();
  }
  if (name == "LlamaForCausalLM" || name == "llama") return Architecture::kLlama;
  if (name == "Qwen2ForCausalLM" || name == "qwen2") return Architecture::kQwen2;
  if (name == "Qwen3ForCausalLM" || name == "qwen3") return Architecture::kQwen3;
  if (name == "MistralForCausalLM" || name == "mistral") return Architecture::kMistral;
  throw InputError(where +
                   ": architecture: expected LlamaForCausalLM, Qwen2ForCausalLM, Qwen3ForCausalLM "
                   "or MistralForCausalLM, got " +
                   (name.empty() ? "none" : "\"" + name + "\""));
}

void read_rope(const Json& json, const std::string& where, TransformerConfig& config) {
  const bool nested = json.contains("rope_parameters") && json["rope_parameters"].is_object();
  const char* key = nested ? "rope_parameters" : "rope_scaling";
  if (!nested) config.rope_theta = get_field_or(json, "rope_theta", 10000.0, where);
  if (!json.contains(key) || json[key].is_null()) return;
  const Json& rope = json[key];
  const std::string at = where + ": " + key;
  if (nested) config.rope_theta = get_field_or(rope, "rope_theta", 10000.0, at);
  const std::string legacy = get_field_or<std::string>(rope, "type", "default", at);
  const std::string type = get_field_or<std::string>(rope, "rope_type", legacy, at);
  RopeScaling& scaling = config.rope_scaling;
  if (type == "default") return;
  if (type == "linear") {
    scaling.kind = RopeScaling::Kind::kLinear;
  } else if (type == "llama3") {
    scaling.kind = RopeScaling::Kind::kLlama3;
    scaling.low_freq_factor = get_field<double>(rope, "low_freq_factor", at);
    scaling.high_freq_factor = get_field<double>(rope, "high_freq_factor", at);
    scaling.original_max_positions =
        get_field<int64_t>(rope, "original_max_position_embeddings", at);
  } else {
    throw InputError(at + ": rope_type: expected default, linear or llama3, got \"" + type + "\"");
  }
  scaling.factor = get_field<double>(rope, "factor", at);
}

// What transformers takes where a config does not say (MistralConfig, Qwen2Config, Qwen3Config).
constexpr int64_t kUsualWindow = 4096;

// Mistral has a window unless it is null, Qwen one where a switch says so.
void read_window(const Json& json, const std::string& where, TransformerConfig& config) {
  const bool has_window = config.architecture == Architecture::kMistral ||
                          get_field_or(json, "use_sliding_window", false, where);
  if (!has_window || (json.contains("sliding_window") && json["sliding_window"].is_null())) return;
  const int64_t window = get_field_or(json, "sliding_window", kUsualWindow, where);
  config.max_positions = std::min(config.max_positions, window);
}

// Which projections carry a bias: what the architecture always has, or the file says.
void read_biases(const Json& json, const std::string& where, TransformerConfig& config) {
  const bool llama = config.architecture == Architecture::kLlama;
  const bool reads = llama || config.architecture == Architecture::kQwen3;
  const bool attention_bias = reads && get_field_or(json, "attention_bias", false, where);
  config.qkv_bias = attention_bias || config.architecture == Architecture::kQwen2;
  config.o_bias = attention_bias;
  config.mlp_bias = llama && get_field_or(json, "mlp_bias", false, where);
}

void check_positive(int64_t value, const char* key, const std::string& where) {
  if (value > 0 && value < (int64_t{1} << 31)) return;
  throw InputError(where + ": " + key + ": expected a positive number, got " +
                   std::to_string(value));
}

void check_sizes(const TransformerConfig& c, const std::string& where) {
  check_positive(c.vocab_size, "vocab_size", where);
  check_positive(c.hidden_size, "hidden_size", where);
  check_positive(c.intermediate_size, "intermediate_size", where);
  check_positive(c.num_layers, "num_hidden_layers", where);
  check_positive(c.num_heads, "num_attention_heads", where);
  check_positive(c.num_kv_heads, "num_key_value_heads", where);
  check_positive(c.head_dim, "head_dim", where);
  check_positive(c.max_positions, "max_position_embeddings", where);
  if (c.num_heads % c.num_kv_heads != 0) {
    throw InputError(where + ": num_key_value_heads: expected a divisor of num_attention_heads " +
                     std::to_string(c.num_heads) + ", got " + std::to_string(c.num_kv_heads));
  }
  if (c.head_dim % 2 != 0) {
    throw InputError(where + ": head_dim: expected an even number, got " +
                     std::to_string(c.head_dim));
  }
}

}  // namespace

TransformerConfig TransformerConfig::from_json(const Json& json, const std::string& where) {
  TransformerConfig c;
  c.architecture = read_architecture(json, where);
  c.vocab_size = get_field<int64_t>(json, "vocab_size", where);
  c.hidden_size = get_field<int64_t>(json, "hidden_size", where);
  c.intermediate_size = get_field<int64_t>(json, "intermediate_size", where);
  c.num_layers = get_field<int64_t>(json, "num_hidden_layers", where);
  c.num_heads = get_field<int64_t>(json, "num_attention_heads", where);
  check_positive(c.num_heads, "num_attention_heads", where);
  c.num_kv_heads = get_field_or(json, "num_key_value_heads", c.num_heads, where);
  const bool has_head_dim = json.contains("head_dim") && !json["head_dim"].is_null();
  c.head_dim =
      has_head_dim ? get_field<int64_t>(json, "head_dim", where) : c.hidden_size / c.num_heads;
  c.max_positions = get_field<int64_t>(json, "max_position_embeddings", where);
  c.rms_norm_eps = get_field_or(json, "rms_norm_eps", 1e-6, where);
  const auto activation = get_field_or<std::string>(json, "hidden_act", "silu", where);
  if (activation != "silu") {
    throw InputError(where + ": hidden_act: expected silu, got \"" + activation + "\"");
  }
  read_window(json, where, c);
  read_rope(json, where, c);
  c.tie_word_embeddings = get_field_or(json, "tie_word_embeddings", false, where);
  read_biases(json, where, c);
  c.qk_norm = c.architecture == Architecture::kQwen3;
  c.eos_ids = read_ids(json, "eos_token_id", where);
  const auto bos = read_ids(json, "bos_token_id", where);
  if (!bos.empty()) c.bos_id = bos[0];
  const auto dtype = get_field_or<std::string>(json, "torch_dtype", "", where);
  c.stored_dtype = get_field_or(json, "dtype", dtype, where);
  check_sizes(c, where);
  return c;
}

TransformerConfig TransformerConfig::from_directory(const std::string& dir) {
  const fs::path path = fs::path(dir) / "config.json";
  TransformerConfig config = from_json(read_json_file(path), path.string());
  const fs::path generation = fs::path(dir) / "generation_config.json";
  if (fs::exists(generation)) {
    for (int32_t id : read_ids(read_json_file(generation), "eos_token_id", generation.string())) {
      if (std::find(config.eos_ids.begin(), config.eos_ids.end(), id) == config.eos_ids.end()) {
        config.eos_ids.push_back(id);
      }
    }
  }
  return config;
}

int64_t TransformerConfig::num_parameters() const {
  const int64_t h = hidden_size, f = intermediate_size, qkv = q_size() + 2 * kv_size();
  int64_t layer = 2 * h + qkv * h + h * q_size() + 3 * h * f;
  if (qkv_bias) layer += qkv;
  if (o_bias) layer += h;
  if (mlp_bias) layer += 2 * f + h;
  if (qk_norm) layer += 2 * head_dim;
  return vocab_size * h * (tie_word_embeddings ? 1 : 2) + h + num_layers * layer;
}

}  // namespace weft
