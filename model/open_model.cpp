#include "model/open_model.h"

#include <filesystem>

#include "base/error.h"
#include "model/device/device.h"
#include "model/transformer/lora.h"

namespace weft {

namespace fs = std::filesystem;

void LocalOptions::validate() const {
  check_device(device);
  engine.validate();
}

OpenModels::OpenModels(LocalOptions options) : options_(std::move(options)) {}

TextModel& OpenModels::open(const ModelOptions& options) {
  if (options.kind == ModelKind::kLocal) {
    return options.model.empty() ? base() : engine(options.model);
  }
  remotes_.push_back(std::make_unique<RemoteModel>(options.remote));
  return *remotes_.back();
}

OpenedModel OpenModels::open_checkpoint(const std::string& dir) {
  if (fs::exists(fs::path(dir) / "adapter_config.json")) {
    const auto [known, is_new] =
        adapters_.try_emplace(dir, "adapter-" + std::to_string(adapters_.size()));
    if (is_new) base().set_adapter(known->second, Lora::load(dir, base().model().config()));
    return {&base(), known->second};
  }
  if (fs::exists(fs::path(dir) / "config.json")) return {&engine(dir), ""};
  throw InputError(dir + ": expected a checkpoint with config.json or adapter_config.json, got " +
                   (fs::exists(dir) ? "neither" : "no such folder"));
}

Engine& OpenModels::base() {
  if (options_.model.empty()) {
    throw InputError("config: \"model\": expected the base model's directory, got nothing");
  }
  return engine(options_.model);
}

Json OpenModels::usage() const {
  int64_t decoded = 0, prefilled = 0;
  for (const auto& [dir, engine] : engines_) {
    const auto stats = engine->stats();
    decoded += stats.decoded_tokens;
    prefilled += stats.prefill_tokens;
  }
  return {{"decoded_tokens", decoded}, {"prefill_tokens", prefilled}};
}

Engine& OpenModels::engine(const std::string& dir) {
  std::error_code error;
  const auto canonical = fs::canonical(dir, error);
  if (error) throw InputError(dir + ": no such model directory");
  auto& engine = engines_[canonical.string()];
  if (!engine) engine = Engine::from_directory(dir, options_.dtype, options_.engine);
  return *engine;
}

}  // namespace weft
