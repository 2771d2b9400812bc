#include "model/checkpoint/model_config.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/file.h"
#include "base/known_fields.h"

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

struct NamedArchitecture {
  Architecture architecture;
  const char* class_name;
  const char* model_type;
};
constexpr NamedArchitecture kArchitectures[] = {
    {Architecture::kLlama, "LlamaForCausalLM", "llama"},
    {Architecture::kQwen2, "Qwen2ForCausalLM", "qwen2"},
    {Architecture::kQwen3, "Qwen3ForCausalLM", "qwen3"},
    {Architecture::kMistral, "MistralForCausalLM", "mistral"}};

Architecture find_architecture(const std::string& name, const std::string& where) {
  for (const auto& known : kArchitectures) {
    if (name == known.class_name || name == known.model_type) return known.architecture;
  }
  throw InputError(where +
                   ": architecture: expected LlamaForCausalLM, Qwen2ForCausalLM, Qwen3ForCausalLM "
                   "or MistralForCausalLM, got " +
                   (name.empty() ? "none" : "\"" + name + "\""));
}

Architecture read_architecture(const Json& json, const std::string& where) {
  const auto type = get_field_or<std::string>(json, "model_type", "", where);
  std::string name = type;
  if (json.contains("architectures") && json["architectures"].is_array() &&
      !json["architectures"].empty() && json["architectures"][0].is_string()) {
    name = json["architectures"][0].get<std::string>();
  }
  const Architecture found = find_architecture(name, where);
  if (!type.empty() && find_architecture(type, where) != found) {
    throw InputError(where + ": architectures and model_type: expected one architecture, got \"" +
                     name + "\" and \"" + type + "\"");
  }
  return found;
}

// The object under a key, or null where there is none or an empty one.
const Json* find_object(const Json& json, const char* key, const std::string& where) {
  const auto found = json.find(key);
  if (found == json.end() || found->is_null()) return nullptr;
  if (!found->is_object()) throw_field_error(where, key, "an object", &*found);
  return found->empty() ? nullptr : &*found;
}

bool has(const Json& json, const char* key) { return json.contains(key) && !json[key].is_null(); }

double positive_field(const Json& json, const char* key, double fallback, const std::string& at) {
  const auto value = get_field_or(json, key, fallback, at);
  if (value > 0 && std::isfinite(value)) return value;
  throw_field_error(at, key, "a positive number", json.contains(key) ? &json[key] : nullptr);
}

// A number that may stand in the rope's object, at the top level, or in both if it is the same.
double number_of_either(const Json& json, const Json& rope, const char* key, double fallback,
                        const std::string& where, const std::string& at) {
  if (has(json, key) && has(rope, key) && json[key] != rope[key]) {
    throw InputError(where + ": " + key + ": expected one value, got " + dump_json(json[key]) +
                     " and, under " + at.substr(where.size() + 2) + ", " + dump_json(rope[key]));
  }
  return has(rope, key) ? positive_field(rope, key, fallback, at)
                        : positive_field(json, key, fallback, where);
}

struct Rope {
  double theta = 10000;
  RopeScaling scaling;
  bool operator==(const Rope&) const = default;
};

std::string rope_type(const Json& rope, const std::string& at) {
  const auto old_name = get_field_or<std::string>(rope, "type", "", at);
  const auto name = get_field_or<std::string>(rope, "rope_type", old_name, at);
  if (!old_name.empty() && name != old_name) {
    throw InputError(at + ": rope_type and type: expected one of them, got \"" + name +
                     "\" and \"" + old_name + "\"");
  }
  return name.empty() ? "default" : name;
}

// 0.1 mscale ln(factor) + 1 (arXiv:2309.00071, section 3.4), as transformers' get_mscale.
double yarn_magnitude(double factor, double mscale) {
  return factor <= 1 ? 1.0 : 0.1 * mscale * std::log(factor) + 1;
}

void read_yarn(const Json& rope, const std::string& at, int64_t max_positions,
               RopeScaling& scaling) {
  scaling.kind = RopeScaling::Kind::kYarn;
  const double ratio =
      static_cast<double>(max_positions) / static_cast<double>(scaling.original_max_positions);
  scaling.factor = positive_field(rope, "factor", ratio, at);
  // transformers takes 0 for the default.
  const auto fast = get_field_or(rope, "beta_fast", 0.0, at);
  const auto slow = get_field_or(rope, "beta_slow", 0.0, at);
  if (fast != 0) scaling.beta_fast = positive_field(rope, "beta_fast", 32, at);
  if (slow != 0) scaling.beta_slow = positive_field(rope, "beta_slow", 1, at);
  scaling.truncate = get_field_or(rope, "truncate", true, at);
  const auto mscale = get_field_or(rope, "mscale", 0.0, at);
  const auto all_dim = get_field_or(rope, "mscale_all_dim", 0.0, at);
  const double usual = mscale != 0 && all_dim != 0 ? yarn_magnitude(scaling.factor, mscale) /
                                                         yarn_magnitude(scaling.factor, all_dim)
                                                   : yarn_magnitude(scaling.factor, 1);
  scaling.attention_factor = positive_field(rope, "attention_factor", usual, at);
}

// What transformers' standardize_rope_params makes of one object beside the top level's fields.
Rope parse_rope(const Json& json, const Json& rope, const std::string& where,
                const std::string& at) {
  static const FieldNames known = {"type",
                                   "rope_type",
                                   "rope_theta",
                                   "factor",
                                   "original_max_position_embeddings",
                                   "beta_fast",
                                   "beta_slow",
                                   "truncate",
                                   "mscale",
                                   "attention_factor",
                                   "finetuned",
                                   "mscale_all_dim",
                                   "low_freq_factor",
                                   "high_freq_factor",
                                   "partial_rotary_factor"};
  refuse_unknown_fields(rope, known, at);
  if (number_of_either(json, rope, "partial_rotary_factor", 1, where, at) != 1) {
    throw InputError(at + ": partial_rotary_factor: expected 1 for this architecture");
  }
  Rope read;
  read.theta = number_of_either(json, rope, "rope_theta", 10000, where, at);
  RopeScaling& scaling = read.scaling;
  const std::string type = rope_type(rope, at);
  if (type == "default") return read;
  const auto max_positions = get_field<int64_t>(json, "max_position_embeddings", where);
  if (type != "linear") {
    scaling.original_max_positions =
        static_cast<int64_t>(number_of_either(json, rope, "original_max_position_embeddings",
                                              static_cast<double>(max_positions), where, at));
  }
  if (type == "yarn") {
    read_yarn(rope, at, max_positions, scaling);
    return read;
  }
  if (type == "linear") {
    scaling.kind = RopeScaling::Kind::kLinear;
  } else if (type == "llama3") {
    scaling.kind = RopeScaling::Kind::kLlama3;
    scaling.low_freq_factor = get_field<double>(rope, "low_freq_factor", at);
    scaling.high_freq_factor = get_field<double>(rope, "high_freq_factor", at);
  } else {
    throw InputError(at + ": rope_type: expected default, linear, llama3 or yarn, got \"" + type +
                     "\"");
  }
  get_field<double>(rope, "factor", at);
  scaling.factor = positive_field(rope, "factor", 1, at);
  return read;
}

void read_rope(const Json& json, const std::string& where, TransformerConfig& config) {
  const Json* old_form = find_object(json, "rope_scaling", where);
  const Json* new_form = find_object(json, "rope_parameters", where);
  const auto parse = [&](const Json* rope, const char* key) {
    return parse_rope(json, rope ? *rope : Json::object(), where, where + ": " + key);
  };
  const Rope rope = new_form ? parse(new_form, "rope_parameters") : parse(old_form, "rope_scaling");
  if (old_form && new_form && !(parse(old_form, "rope_scaling") == rope)) {
    throw InputError(where + ": rope_scaling and rope_parameters say different things: expected " +
                     "one of them");
  }
  config.rope_theta = rope.theta;
  config.rope_scaling = rope.scaling;
  if (rope.scaling.kind != RopeScaling::Kind::kYarn) return;
  const double stretched =
      static_cast<double>(rope.scaling.original_max_positions) * rope.scaling.factor;
  if (stretched < 2e9) {
    config.max_positions = std::max(config.max_positions, static_cast<int64_t>(stretched));
  }
}

// What transformers takes where a config does not say (MistralConfig, Qwen2Config, Qwen3Config).
constexpr int64_t kUsualWindow = 4096;
constexpr int32_t kUsualEos = 2;  // LlamaConfig, MistralConfig

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

// What a config that has no such field means, and one whose field is null: a head for each.
int64_t read_kv_heads(const Json& json, const std::string& where, const TransformerConfig& config) {
  const bool qwen =
      config.architecture == Architecture::kQwen2 || config.architecture == Architecture::kQwen3;
  const int64_t usual = config.architecture == Architecture::kMistral ? 8
                        : qwen                                        ? 32
                                                                      : config.num_heads;
  if (!json.contains("num_key_value_heads")) return usual;
  return get_field_or(json, "num_key_value_heads", config.num_heads, where);
}

int64_t read_head_dim(const Json& json, const std::string& where, const TransformerConfig& config) {
  const bool qwen3 = config.architecture == Architecture::kQwen3;
  return get_field_or<int64_t>(json, "head_dim",
                               qwen3 ? 128 : config.hidden_size / config.num_heads, where);
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
  c.num_kv_heads = read_kv_heads(json, where, c);
  c.head_dim = read_head_dim(json, where, c);
  c.max_positions = get_field<int64_t>(json, "max_position_embeddings", where);
  c.rms_norm_eps = get_field_or(json, "rms_norm_eps", 1e-6, where);
  const auto activation = get_field_or<std::string>(json, "hidden_act", "silu", where);
  if (activation != "silu") {
    throw InputError(where + ": hidden_act: expected silu, got \"" + activation + "\"");
  }
  if (const Json* quantized = find_object(json, "quantization_config", where)) {
    throw_field_error(where, "quantization_config", "none: weights are read as they are",
                      quantized);
  }
  read_rope(json, where, c);
  read_window(json, where, c);
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
  const Json json = read_json_file(path);
  TransformerConfig config = from_json(json, path.string());
  const fs::path generation = fs::path(dir) / "generation_config.json";
  if (fs::exists(generation)) {
    for (int32_t id : read_ids(read_json_file(generation), "eos_token_id", generation.string())) {
      if (std::find(config.eos_ids.begin(), config.eos_ids.end(), id) == config.eos_ids.end()) {
        config.eos_ids.push_back(id);
      }
    }
  }
  const bool llama =
      config.architecture == Architecture::kLlama || config.architecture == Architecture::kMistral;
  if (llama && config.eos_ids.empty() && !json.contains("eos_token_id")) {
    config.eos_ids = {kUsualEos};
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
