#include "trainer/evaluate/model_caches.h"

#include <utility>

namespace weft {

namespace {

/// Fingerprints without the paths that they were taken at.
Json hashes_of(const RunInputs& inputs) {
  Json hashes = Json::object();
  const Json all = inputs.to_json();
  for (const auto& [name, input] : all.items()) hashes[name] = input["hash"];
  return hashes;
}

/// Of a server: when and how often it is asked, and what it costs; every other key may change a
/// reply.
constexpr const char* kNoReply[] = {
    "more_base_urls",          "api_key_env",      "timeout_s",      "connect_timeout_s",
    "max_concurrent",          "max_retries",      "backoff_base_s", "backoff_cap_s",
    "max_requests_per_minute", "backoff_seed",     "record",         "usd_per_mtok_in",
    "usd_per_mtok_out",        "max_total_tokens", "max_total_usd"};

/// What of the config may change a model's replies and is in no fingerprint.
Json settings_of(const Json& config) {
  Json settings = Json::object();
  for (const char* key : {"dtype", "device"}) settings[key] = config.value(key, Json());
  const Json worker = config.value("worker", Json::object());
  for (const char* key : {"kind", "dtype"}) settings["worker"][key] = worker.value(key, Json());
  Json remote = worker.value("remote", Json::object());
  for (const char* key : kNoReply) remote.erase(key);
  settings["worker"]["remote"] = std::move(remote);
  return settings;
}

}  // namespace

ModelCaches::ModelCaches(const std::string& folder, const Json& config, const RunInputs& inputs) {
  if (folder.empty()) return;
  cache_ = std::make_shared<ReplyCache>(folder);
  revision_ = {{"inputs", hashes_of(inputs)}, {"settings", settings_of(config)}};
}

TextModel& ModelCaches::cached(const std::string& name, TextModel& model, Json revision) {
  auto& held = models_[name];
  if (!held) held = std::make_unique<CachedModel>(model, cache_, dump_json(revision));
  return *held;
}

TextModel& ModelCaches::worker(TextModel& model) {
  return cache_ ? cached("", model, revision_) : model;
}

MetaModel ModelCaches::weights(const Method& method, MetaModel model) {
  if (!cache_) return model;
  if (!models_.contains(method.source)) {
    Json revision = revision_;
    revision["meta"] = hashes_of(RunInputs().model("meta", method.source));
    cached(method.source, *model.model, std::move(revision));
  }
  return {models_.at(method.source).get(), model.adapter};
}

Json ModelCaches::use() const {
  CacheUse all;
  for (const auto& [name, model] : models_) {
    const CacheUse use = model->use();
    all.replies += use.replies;
    all.asked += use.asked;
    all.prompt_tokens += use.prompt_tokens;
    all.completion_tokens += use.completion_tokens;
    all.usd += use.usd;
  }
  return {{"replies", all.replies},
          {"asked", all.asked},
          {"prompt_tokens", all.prompt_tokens},
          {"completion_tokens", all.completion_tokens},
          {"usd", all.usd}};
}

}  // namespace weft
