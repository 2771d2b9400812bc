#include "trainer/learn/run/policy.h"

#include "base/error.h"
#include "base/rng.h"
#include "model/checkpoint/hf_model.h"
#include "model/device.h"

namespace weft {
namespace {

constexpr uint64_t kAdapterStream = 0x61646170;  // of the run's seed, for the adapter's start

bool has_chat_template(const std::filesystem::path& dir) {
  if (std::filesystem::exists(dir / "chat_template.jinja")) return true;
  const auto config = dir / "tokenizer_config.json";
  return std::filesystem::exists(config) && read_json_file(config).contains("chat_template");
}

}  // namespace

Policy open_policy(const ModelSource& source, const LearnOptions& options, uint64_t seed,
                   const std::optional<std::filesystem::path>& checkpoint) {
  if (source.dir.empty()) throw InputError("model: expected a model folder, got nothing");
  check_device(source.device);
  const bool weights_from_checkpoint = options.full_weights && checkpoint.has_value();
  Policy policy;
  policy.model = load_transformer(weights_from_checkpoint ? checkpoint->string() : source.dir,
                                  resolve_dtype(source.dtype));
  const TransformerConfig& shape = policy.model->config();
  if (!options.full_weights && !options.init_adapter.empty()) {
    policy.lora = Lora::load(options.init_adapter, shape);
  } else if (!options.full_weights) {
    Rng rng(seed, kAdapterStream);
    policy.lora = std::make_shared<Lora>(shape, options.lora, rng);
  }
  policy.tokenizer = Tokenizer::load(source.dir);
  policy.chat_template = find_chat_template(source.dir);
  return policy;
}

std::shared_ptr<const ChatTemplate> find_chat_template(const std::filesystem::path& dir) {
  if (!has_chat_template(dir)) return nullptr;
  return std::make_shared<ChatTemplate>(ChatTemplate::load(dir));
}

}  // namespace weft
