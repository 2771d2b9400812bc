#include "model/open_model.h"

#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/machine.h"
#include "model/checkpoint/adapter_base.h"
#include "model/device.h"
#include "model/ops/threads.h"
#include "model/transformer/lora.h"

namespace weft {

namespace {

/// An engine that is asked with one of its adapters.
class AdaptedModel : public TextModel {
 public:
  AdaptedModel(OpenedModel opened, std::string name)
      : opened_(std::move(opened)), name_(std::move(name)) {}
  std::string name() const override { return name_; }
  TextPrice price() const override { return opened_.model->price(); }
  void submit(TextRequest request, std::function<void(TextResponse)> done) override {
    request.adapter = opened_.adapter;
    opened_.model->submit(std::move(request), std::move(done));
  }

 private:
  const OpenedModel opened_;
  const std::string name_;
};

}  // namespace

void ModelOptions::validate() const {
  if (!dtype.empty()) resolve_inference_dtype(dtype);
}

void ModelOptions::check_start(const std::string& key, const LocalOptions& local,
                               StartCheck& check) const {
  if (kind == ModelKind::kRemote) return remote.check_start(key + ".remote", check);
  local.check_checkpoint(key + ".model", model, check);
}

void LocalOptions::check_start(StartCheck& check) const {
  check.without_error([this] { resolve_device(device); });
  if (!model.empty()) check.model_folder("model", model);
}

void LocalOptions::check_checkpoint(const std::string& key, const std::string& dir,
                                    StartCheck& check) const {
  if (!dir.empty()) check.checkpoint_folder(key, dir);
  const bool is_adapter = fs::exists(fs::path(dir) / "adapter_config.json");
  if (dir.empty() || is_adapter) check.model_folder("model", model);
}

void LocalOptions::validate() const {
  check_device_name(device);
  resolve_inference_dtype(dtype);
  require_threads("threads", threads);
  engine.validate();
}

std::vector<std::string> clock_reasons(const std::string& dir, bool on_gpu) {
  std::vector<std::string> reasons;
  for (const char* file : {"chat_template.jinja", "tokenizer_config.json"}) {
    const fs::path path = fs::path(dir) / file;
    if (!fs::exists(path) || read_file(path).find("strftime_now") == std::string::npos) continue;
    reasons.push_back("the chat template of " + dir + " writes the date");
    break;
  }
  if (on_gpu) {
    reasons.push_back("products on a GPU add up in an order that depends on the batch");
  }
  return reasons;
}

void add_inputs(RunInputs& inputs, const std::string& name, const ModelOptions& options) {
  if (options.kind == ModelKind::kLocal) inputs.model(name, options.model);
}

OpenModels::OpenModels(LocalOptions options)
    : OpenModels(options, resolve_device(options.device)) {}

OpenModels::OpenModels(LocalOptions options, const ComputeDevice& device)
    : options_(std::move(options)), device_(device) {
  use_threads(options_.threads);
}

void OpenModels::adopt(Engine& engine, bool as_base) {
  note_clock_reasons(options_.model);
  const std::lock_guard lock(mutex_);
  all_.push_back(&engine);
  if (as_base) engines_[{fs::canonical(options_.model).string(), resolved("")}] = &engine;
}

void OpenModels::note_clock_reasons(const std::string& dir) {
  for (auto& reason : weft::clock_reasons(dir, device_.library != nullptr)) {
    clock_reasons_.insert(std::move(reason));
  }
}

TextModel& OpenModels::open(const ModelOptions& options) {
  if (options.kind == ModelKind::kLocal) {
    if (options.model.empty()) return base(options.dtype);
    const OpenedModel opened = open_checkpoint(options.model, options.dtype);
    if (opened.adapter.empty()) return *opened.model;
    opened_.push_back(std::make_unique<AdaptedModel>(opened, options.model));
  } else {
    opened_.push_back(std::make_unique<RemoteModel>(options.remote));
    clock_reasons_.insert("a server answers as " + options.remote.model);
  }
  return *opened_.back();
}

OpenedModel OpenModels::open_checkpoint(const std::string& dir, const std::string& dtype) {
  if (fs::exists(fs::path(dir) / "adapter_config.json")) {
    Engine& engine = base(dtype);
    std::string& name = adapters_[{fs::canonical(dir).string(), resolved(dtype)}];
    if (name.empty()) {
      const std::string fresh = "adapter-" + std::to_string(adapters_.size());
      require_same_base(dir, options_.model);
      engine.set_adapter(fresh, Lora::load(dir, engine.model().config()));
      name = fresh;
    }
    return {&engine, name};
  }
  if (fs::exists(fs::path(dir) / "config.json")) return {&engine(dir, dtype), ""};
  throw InputError(dir + ": expected a checkpoint with config.json or adapter_config.json, got " +
                   (fs::exists(dir) ? "neither" : "no such folder"));
}

Engine& OpenModels::base(const std::string& dtype) {
  if (options_.model.empty()) {
    throw InputError("config: \"model\": expected the base model's directory, got nothing");
  }
  return engine(options_.model, dtype);
}

std::vector<std::string> OpenModels::clock_reasons() const {
  return {clock_reasons_.begin(), clock_reasons_.end()};
}

Json OpenModels::usage() const {
  int64_t decoded = 0, prefilled = 0, cached = 0;
  const std::lock_guard lock(mutex_);
  for (const Engine* engine : all_) {
    const auto stats = engine->stats();
    decoded += stats.decoded_tokens;
    prefilled += stats.prefill_tokens;
    cached += stats.cached_tokens;
  }
  return {{"decoded_tokens", decoded}, {"prefill_tokens", prefilled}, {"cached_tokens", cached}};
}

InferenceDtype OpenModels::resolved(const std::string& dtype) const {
  return resolve_inference_dtype(dtype.empty() ? options_.dtype : dtype);
}

Engine& OpenModels::engine(const std::string& dir, const std::string& dtype) {
  std::error_code error;
  const auto canonical = fs::canonical(dir, error);
  if (error) throw InputError(dir + ": no such model directory");
  const Key key{canonical.string(), resolved(dtype)};
  const auto known = engines_.find(key);
  if (known != engines_.end()) return *known->second;
  note_clock_reasons(dir);
  auto opened =
      Engine::from_directory(dir, dtype.empty() ? options_.dtype : dtype, options_.engine, device_);
  const std::lock_guard lock(mutex_);
  owned_.push_back(std::move(opened));
  all_.push_back(owned_.back().get());
  return *(engines_[key] = all_.back());
}

}  // namespace weft
