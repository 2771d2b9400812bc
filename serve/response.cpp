#include "serve/response.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <random>

namespace weft {

namespace {

constexpr float kLowestLogprob = -9999.0f;

Json bytes_of(const std::string& text) {
  Json bytes = Json::array();
  for (const char c : text) bytes.push_back(static_cast<int>(static_cast<unsigned char>(c)));
  return bytes;
}

int64_t num_characters(const std::string& text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; });
}

double clamped(float logprob) { return std::max(logprob, kLowestLogprob); }

}  // namespace

Json to_json(const AnswerUsage& usage) {
  return {{"prompt_tokens", usage.prompt_tokens},
          {"completion_tokens", usage.completion_tokens},
          {"total_tokens", usage.prompt_tokens + usage.completion_tokens},
          {"prompt_tokens_details", {{"cached_tokens", usage.cached_tokens}}}};
}

Json AnswerWriter::logprobs(const std::vector<int32_t>& ids, const std::vector<float>& values,
                            int64_t& offset) const {
  if (!call_.logprobs) return Json();
  Json content = Json::array(), tokens = Json::array(), plain = Json::array(), top = Json::array(),
       offsets = Json::array();
  for (size_t i = 0; i < std::min(ids.size(), values.size()); ++i) {
    const std::string bytes = tokenizer_ ? tokenizer_->token_bytes(ids[i]) : "";
    const std::string text = tokenizer_ ? tokenizer_->decode(std::span(&ids[i], 1)) : "";
    const double value = clamped(values[i]);
    if (call_.chat) {
      Json entry = {{"token", text}, {"logprob", value}, {"bytes", bytes_of(bytes)}};
      entry["top_logprobs"] = Json::array({entry});
      content.push_back(std::move(entry));
      continue;
    }
    tokens.push_back(text);
    plain.push_back(value);
    top.push_back({{text, value}});
    offsets.push_back(offset);
    offset += num_characters(text);
  }
  if (call_.chat) return {{"content", std::move(content)}};
  return {{"tokens", std::move(tokens)},
          {"token_logprobs", std::move(plain)},
          {"top_logprobs", std::move(top)},
          {"text_offset", std::move(offsets)}};
}

Json AnswerWriter::choice_of(const Completion& completion, int index,
                             const std::vector<int32_t>& prompt_ids) const {
  Json choice = {{"index", index}};
  if (call_.chat) {
    choice["message"] = {{"role", "assistant"}, {"content", completion.text}};
  } else {
    choice["text"] = completion.text;
  }
  int64_t offset = 0;
  choice["logprobs"] = logprobs(completion.ids, completion.logprobs, offset);
  choice["finish_reason"] = to_string(completion.finish);
  if (call_.return_token_ids) {
    choice["token_ids"] = completion.ids;
    choice["prompt_token_ids"] = prompt_ids;
  }
  return choice;
}

Json AnswerWriter::whole(const std::vector<TextResponse>& responses) const {
  Json choices = Json::array();
  int index = 0;
  for (const TextResponse& response : responses) {
    for (const Completion& completion : response.choices) {
      choices.push_back(choice_of(completion, index++, response.prompt_ids));
    }
  }
  return {{"id", head_.id},
          {"object", call_.chat ? "chat.completion" : "text_completion"},
          {"created", head_.created},
          {"model", head_.model},
          {"choices", std::move(choices)},
          {"usage", to_json(usage_of(responses))}};
}

Json AnswerWriter::chunk(Json choice) const {
  Json json = {{"id", head_.id},
               {"object", call_.chat ? "chat.completion.chunk" : "text_completion"},
               {"created", head_.created},
               {"model", head_.model},
               {"choices", Json::array()}};
  if (!choice.is_null()) json["choices"].push_back(std::move(choice));
  if (call_.include_usage) json["usage"] = nullptr;
  return json;
}

Json AnswerWriter::opening_chunk(int index) const {
  return chunk({{"index", index},
                {"delta", {{"role", "assistant"}, {"content", ""}}},
                {"logprobs", nullptr},
                {"finish_reason", nullptr}});
}

Json AnswerWriter::delta_chunk(int index, const StreamDelta& delta) {
  Json choice = {{"index", index}};
  if (call_.chat) {
    choice["delta"] = {{"content", delta.text}};
  } else {
    choice["text"] = delta.text;
  }
  choice["logprobs"] = logprobs(delta.ids, delta.logprobs, offsets_[index]);
  choice["finish_reason"] = nullptr;
  if (call_.return_token_ids) choice["token_ids"] = delta.ids;
  return chunk(std::move(choice));
}

Json AnswerWriter::closing_chunk(int index, FinishReason finish) const {
  Json choice = {{"index", index}};
  if (call_.chat) {
    choice["delta"] = Json::object();
  } else {
    choice["text"] = "";
  }
  choice["logprobs"] = nullptr;
  choice["finish_reason"] = to_string(finish);
  return chunk(std::move(choice));
}

Json AnswerWriter::usage_chunk(const AnswerUsage& usage) const {
  Json json = chunk(Json());
  json["usage"] = to_json(usage);
  return json;
}

AnswerUsage usage_of(const std::vector<TextResponse>& responses) {
  AnswerUsage usage;
  for (const TextResponse& response : responses) {
    usage.prompt_tokens += response.usage.prompt_tokens;
    usage.cached_tokens += response.usage.cached_tokens;
    usage.completion_tokens += response.usage.completion_tokens;
  }
  return usage;
}

std::string new_id(const std::string& prefix) {
  std::random_device device;
  return fmt::format("{}-{:08x}{:08x}{:08x}", prefix, device(), device(), device());
}

int64_t unix_time() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::string sse_event(const Json& json) { return "data: " + dump_json(json) + "\n\n"; }

}  // namespace weft
