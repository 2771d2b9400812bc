#include "model/transformer/adapter_config.h"

#include <algorithm>
#include <iterator>

#include "base/error.h"
#include "base/json.h"

namespace weft {
namespace {

// What PEFT writes that says nothing about the weights of an adapter on linear layers.
// fan_in_fan_out is of layers whose weights are transposed; for linear ones PEFT takes it for
// false.
constexpr const char* kNeutralFields[] = {"auto_mapping",        "base_model_name_or_path",
                                          "ensure_weight_tying", "eva_config",
                                          "fan_in_fan_out",      "inference_mode",
                                          "lora_dropout",        "megatron_config",
                                          "megatron_core",       "peft_version",
                                          "qalora_group_size",   "revision",
                                          "runtime_config",      "task_type"};
constexpr const char* kReadFields[] = {
    "peft_type",      "r",    "lora_alpha",       "use_rslora", "use_dora",
    "target_modules", "bias", "init_lora_weights"};

bool asks_nothing(const Json& value) {
  return value.is_null() || value == Json(false) || value == Json("") ||
         (value.is_structured() && value.empty());
}

// Initialisations that leave the base's weights alone; others take a part out of them.
bool leaves_base(const Json& init) {
  return init.is_boolean() || init.is_null() || init == "gaussian" || init == "eva" ||
         init == "orthogonal";
}

// Refuses what would change the adapter's meaning, known to this version or not.
void check_adapter_config(const Json& json, const std::string& where) {
  const auto refuse = [&](const std::string& key, const char* expected, const Json& got) {
    throw InputError(where + ": " + key + ": expected " + expected + ", got " + dump_json(got));
  };
  if (!json.is_object()) throw InputError(where + ": expected an object");
  const Json type = get_field_or<Json>(json, "peft_type", "LORA", where);
  if (type != "LORA") refuse("peft_type", "LORA", type);
  const Json bias = get_field_or<Json>(json, "bias", "none", where);
  if (bias != "none") refuse("bias", "none", bias);
  const Json init = get_field_or<Json>(json, "init_lora_weights", true, where);
  if (!leaves_base(init)) refuse("init_lora_weights", "one that leaves the base alone", init);
  for (const auto& [key, value] : json.items()) {
    const auto is_key = [&key = key](const char* known) { return key == known; };
    if (std::any_of(std::begin(kReadFields), std::end(kReadFields), is_key)) continue;
    if (std::any_of(std::begin(kNeutralFields), std::end(kNeutralFields), is_key)) continue;
    if (!asks_nothing(value)) refuse(key, "none", value);
  }
}

}  // namespace

LoraConfig read_adapter_config(const std::string& path) {
  const Json json = read_json_file(path);
  check_adapter_config(json, path);
  LoraConfig config;
  config.rank = get_field<int64_t>(json, "r", path);
  config.alpha = get_field<double>(json, "lora_alpha", path);
  config.use_rslora = get_field_or(json, "use_rslora", false, path);
  config.use_dora = get_field_or(json, "use_dora", false, path);
  config.targets = get_field<std::vector<std::string>>(json, "target_modules", path);
  return config;
}

}  // namespace weft
