#include "trainer/evaluate/cached_model.h"

#include <utility>

#include "base/error.h"
#include "data/file_digest.h"

namespace weft {

namespace {

Json prompt_json(const TextRequest& request) {
  if (const auto* ids = std::get_if<std::vector<int32_t>>(&request.prompt)) return *ids;
  if (const auto* text = std::get_if<std::string>(&request.prompt)) return *text;
  Json messages = Json::array();
  for (const ChatMessage& message : std::get<std::vector<ChatMessage>>(request.prompt)) {
    messages.push_back({{"role", message.role}, {"content", message.content}});
  }
  return messages;
}

Json sampling_json(const SamplingParams& sampling) {
  return {{"temperature", sampling.temperature},
          {"top_p", sampling.top_p},
          {"top_k", sampling.top_k},
          {"min_p", sampling.min_p},
          {"max_tokens", sampling.max_tokens},
          {"stop", sampling.stop},
          {"seed", sampling.seed},
          {"ignore_eos", sampling.ignore_eos}};
}

/// One completion with what is the same for all of its response.
Json reply_json(const TextResponse& response, const Completion& completion) {
  const auto n = static_cast<double>(response.choices.size());
  Json reply = {{"text", completion.text},
                {"ids", completion.ids},
                {"logprobs", completion.logprobs},
                {"finish", static_cast<int>(completion.finish)},
                {"prompt_ids", response.prompt_ids},
                {"prompt_tokens", response.usage.prompt_tokens},
                {"completion_tokens", response.usage.completion_tokens / n},
                {"usd", response.usage.usd / n},
                {"estimated", response.usage.estimated}};
  if (!completion.reasoning.empty()) reply["reasoning"] = completion.reasoning;
  if (!completion.sampling_logprobs.empty()) {
    reply["sampling_logprobs"] = completion.sampling_logprobs;
  }
  return reply;
}

}  // namespace

CachedModel::CachedModel(TextModel& model, std::shared_ptr<ReplyCache> cache, std::string revision)
    : model_(model), cache_(std::move(cache)), revision_(std::move(revision)) {}

std::vector<std::string> CachedModel::keys_of(const TextRequest& request) const {
  std::vector<std::string> keys;
  if (request.on_delta || request.prompt_logprobs) return keys;
  Json asked = {{"model", model_.name()},
                {"revision", revision_},
                {"adapter", request.adapter},
                {"prompt", prompt_json(request)},
                {"sampling", sampling_json(request.sampling)}};
  for (int i = 0; i < request.n; ++i) {
    asked["index"] = i;
    keys.push_back(sha256(dump_json(asked)));
  }
  return keys;
}

std::optional<TextResponse> CachedModel::kept(const std::vector<std::string>& keys) {
  TextResponse response;
  double completion_tokens = 0;
  for (const std::string& key : keys) {
    const auto reply = cache_->find(key);
    if (!reply) return std::nullopt;
    try {
      Completion completion;
      completion.text = get_field<std::string>(*reply, "text", key);
      completion.ids = reply->at("ids").get<std::vector<int32_t>>();
      completion.logprobs = reply->at("logprobs").get<std::vector<float>>();
      completion.sampling_logprobs =
          reply->value("sampling_logprobs", Json::array()).get<std::vector<float>>();
      completion.reasoning = get_field_or<std::string>(*reply, "reasoning", "", key);
      completion.finish = static_cast<FinishReason>(get_field<int>(*reply, "finish", key));
      response.prompt_ids = reply->at("prompt_ids").get<std::vector<int32_t>>();
      response.usage.prompt_tokens = get_field<int64_t>(*reply, "prompt_tokens", key);
      completion_tokens += get_field<double>(*reply, "completion_tokens", key);
      response.usage.usd += get_field<double>(*reply, "usd", key);
      response.usage.estimated = get_field<bool>(*reply, "estimated", key);
      response.choices.push_back(std::move(completion));
    } catch (const std::exception&) {  // written by another version
      return std::nullopt;
    }
  }
  response.usage.completion_tokens = static_cast<int64_t>(completion_tokens + 0.5);
  const std::lock_guard lock(mutex_);
  use_.replies += static_cast<int64_t>(keys.size());
  use_.prompt_tokens += response.usage.prompt_tokens;
  use_.completion_tokens += response.usage.completion_tokens;
  use_.usd += response.usage.usd;
  return response;
}

std::optional<TextModel::Submission> CachedModel::answer_or_pass_on(
    TextRequest request, std::function<void(TextResponse)> done) {
  auto keys = keys_of(request);
  if (keys.empty()) return Submission{std::move(request), std::move(done)};
  if (auto response = kept(keys)) {
    done(std::move(*response));
    return std::nullopt;
  }
  {
    const std::lock_guard lock(mutex_);
    use_.asked += request.n;
  }
  auto keep = [cache = cache_, keys = std::move(keys),
               done = std::move(done)](TextResponse response) {
    const bool whole = response.status == ResponseStatus::kOk && !response.lowered &&
                       response.choices.size() == keys.size();
    for (size_t i = 0; whole && i < keys.size(); ++i) {
      cache->put(keys[i], reply_json(response, response.choices[i]));
    }
    done(std::move(response));
  };
  return Submission{std::move(request), std::move(keep)};
}

void CachedModel::submit(TextRequest request, std::function<void(TextResponse)> done) {
  auto rest = answer_or_pass_on(std::move(request), std::move(done));
  if (rest) model_.submit(std::move(rest->request), std::move(rest->done));
}

void CachedModel::submit_all(std::vector<Submission> submissions) {
  std::vector<Submission> rest;
  for (Submission& one : submissions) {
    auto left = answer_or_pass_on(std::move(one.request), std::move(one.done));
    if (left) rest.push_back(std::move(*left));
  }
  if (!rest.empty()) model_.submit_all(std::move(rest));
}

CacheUse CachedModel::use() const {
  const std::lock_guard lock(mutex_);
  return use_;
}

}  // namespace weft
