#include "trainer/learn/run/policy.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/config.h"
#include "base/error.h"
#include "base/rng.h"
#include "model/checkpoint/adapter_base.h"
#include "model/checkpoint/hf_model.h"
#include "model/ops/cuda/cuda_ops.h"
#include "model/ops/tensor_device.h"
#include "model/transformer/adapter_config.h"

namespace weft {
namespace {

constexpr uint64_t kAdapterStream = 0x61646170;  // of the run's seed, for the adapter's start

bool has_chat_template(const std::filesystem::path& dir) {
  if (std::filesystem::exists(dir / "chat_template.jinja")) return true;
  const auto config = dir / "tokenizer_config.json";
  return std::filesystem::exists(config) && read_json_file(config).contains("chat_template");
}

/// Targets in one order.
Json fields_of(LoraConfig config) {
  std::sort(config.targets.begin(), config.targets.end());
  return config_to_json(config);
}

std::shared_ptr<Transformer> load_on_device(const std::string& dir, const ModelSource& source) {
  const bool on_gpu = source.device.library != nullptr;
  const bool is_auto = source.dtype == "auto";
  std::shared_ptr<Transformer> model =
      load_transformer(dir, on_gpu && is_auto ? at::kBFloat16 : resolve_dtype(source.dtype));
  if (!on_gpu) return model;
  const TransformerConfig& shape = model->config();
  ops::check_cuda_shape(shape.hidden_size, shape.intermediate_size, shape.head_dim);
  ops::install_cuda_forms(source.device);
  model->to(tensor_device(source.device));
  return model;
}

}  // namespace

LoraConfig adapter_shape(const LearnOptions& options) {
  const std::filesystem::path file =
      std::filesystem::path(options.init_adapter) / "adapter_config.json";
  if (options.init_adapter.empty() || !std::filesystem::exists(file)) return options.lora;
  const LoraConfig own = read_adapter_config(file.string());
  const Json asked = fields_of(options.lora), has = fields_of(own), unset = fields_of({});
  for (const auto& [field, value] : asked.items()) {
    if (value == unset[field] || value == has[field]) continue;
    throw InputError(fmt::format("learn.lora.{}: expected that of init_adapter, {} in {}, got {}",
                                 field, dump_json(has[field]), file.string(), dump_json(value)));
  }
  return own;
}

std::shared_ptr<Transformer> open_frozen_model(const ModelSource& source) {
  return load_on_device(source.dir, source);
}

Policy open_policy(const ModelSource& source, const LearnOptions& options, uint64_t seed,
                   const std::optional<std::filesystem::path>& checkpoint) {
  if (source.dir.empty()) throw InputError("model: expected a model folder, got nothing");
  const bool weights_from_checkpoint = options.full_weights && checkpoint.has_value();
  Policy policy;
  policy.device = source.device;
  policy.model =
      load_on_device(weights_from_checkpoint ? checkpoint->string() : source.dir, source);
  const TransformerConfig& shape = policy.model->config();
  if (!options.full_weights && !options.init_adapter.empty()) {
    require_same_base(options.init_adapter, source.dir);
    if (!checkpoint) adapter_shape(options);
    policy.lora = Lora::load(options.init_adapter, shape);
  } else if (!options.full_weights) {
    Rng rng(seed, kAdapterStream);
    policy.lora = std::make_shared<Lora>(shape, options.lora, rng);
  }
  if (policy.lora) policy.lora->to(policy.model->device());
  const bool fresh = policy.lora && options.init_adapter.empty();
  if (fresh && options.lora.use_dora) policy.lora->take_magnitudes(*policy.model);
  if (policy.lora) policy.lora->bind(*policy.model);
  policy.tokenizer = Tokenizer::load(source.dir);
  policy.chat_template = find_chat_template(source.dir);
  return policy;
}

std::shared_ptr<const ChatTemplate> find_chat_template(const std::filesystem::path& dir) {
  if (!has_chat_template(dir)) return nullptr;
  return std::make_shared<ChatTemplate>(ChatTemplate::load(dir));
}

}  // namespace weft
