#include "model/remote/answer.h"

#include <algorithm>
#include <cctype>

#include "base/error.h"
#include "base/utf8.h"

namespace weft {
namespace {

constexpr int64_t kBytesPerToken = 4;

/// Member of an object; null stands for one that is missing.
const Json* member(const Json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

[[noreturn]] void throw_form(const std::string& what, const char* expected, const Json& got) {
  throw Error(what + ": expected " + expected + ", got " + one_line(dump_json(got), 120));
}

int64_t count_of(const Json& object, const char* key) {
  const Json* value = member(object, key);
  return value && value->is_number() ? std::max<int64_t>(0, value->get<int64_t>()) : 0;
}

std::vector<int32_t> read_ids(const Json& object, const char* key) {
  const Json* ids = member(object, key);
  if (!ids) return {};
  const bool sound = ids->is_array() && std::all_of(ids->begin(), ids->end(), [](const Json& id) {
                       return id.is_number_integer();
                     });
  if (!sound) throw_form(key, "an array of integers", *ids);
  return ids->get<std::vector<int32_t>>();
}

// Chat: {"content": [{"logprob"}]}; completions: {"token_logprobs": [..]}.
std::vector<float> read_logprobs(const Json& choice) {
  std::vector<float> logprobs;
  const Json* given = member(choice, "logprobs");
  if (!given) return logprobs;
  if (const Json* content = member(*given, "content")) {
    for (const Json& token : *content) logprobs.push_back(token.at("logprob").get<float>());
  } else if (const Json* list = member(*given, "token_logprobs")) {
    for (const Json& logprob : *list) {
      logprobs.push_back(logprob.is_null() ? 0.0f : logprob.get<float>());
    }
  }
  return logprobs;
}

// vLLM's: [null, {"ID": {"logprob"}, ..}, ..], for each id of the prompt those of it and, if asked
// for, of the likeliest.
std::vector<float> read_prompt_logprobs(const Json& choice, const std::vector<int32_t>& prompt) {
  std::vector<float> logprobs;
  const Json* given = member(choice, "prompt_logprobs");
  if (!given) return logprobs;
  if (given->size() != prompt.size()) {
    throw Error("prompt_logprobs: expected " + std::to_string(prompt.size()) + ", got " +
                std::to_string(given->size()));
  }
  for (size_t i = 1; i < prompt.size(); ++i) {
    logprobs.push_back(given->at(i).at(std::to_string(prompt[i])).at("logprob").get<float>());
  }
  return logprobs;
}

// A text, or parts: [{"type": "text", "text": ".."}, {"type": "refusal", "refusal": ".."}, ..].
std::string text_of_content(const Json& content) {
  if (content.is_string()) return content.get<std::string>();
  if (!content.is_array()) throw_form("content", "a text, null or an array of parts", content);
  std::string text;
  for (const Json& part : content) {
    const Json* piece = member(part, "text");
    if (!piece) piece = member(part, "refusal");
    if (!piece || !piece->is_string()) throw_form("content", "parts with a text", part);
    text += piece->get<std::string>();
  }
  return text;
}

std::string text_member(const Json& message, const char* key) {
  const Json* text = member(message, key);
  return text && text->is_string() ? text->get<std::string>() : "";
}

void read_message(const Json& message, Completion& completion) {
  if (!message.is_object()) throw_form("message", "an object", message);
  if (const Json* content = member(message, "content")) {
    completion.text = text_of_content(*content);
  } else {
    completion.text = text_member(message, "refusal");
  }
  // DeepSeek, SGLang, llama.cpp and vLLM: "reasoning_content"; newer vLLM, OpenRouter: "reasoning".
  completion.reasoning = text_member(message, "reasoning_content");
  if (completion.reasoning.empty()) completion.reasoning = text_member(message, "reasoning");
}

FinishReason read_finish(const Json& choice) {
  const std::string word = text_member(choice, "finish_reason");
  if (word == "stop" || word == "eos") return FinishReason::kStop;
  if (word == "length" || word == "max_tokens") return FinishReason::kLength;
  if (word == "content_filter") return FinishReason::kContentFilter;
  if (word == "tool_calls" || word == "function_call") return FinishReason::kToolCalls;
  return FinishReason::kOther;
}

Completion read_choice(const Json& choice) {
  if (!choice.is_object()) throw_form("choice", "an object", choice);
  Completion completion;
  if (const Json* message = member(choice, "message")) {
    read_message(*message, completion);
  } else if (const Json* text = member(choice, "text"); text && text->is_string()) {
    completion.text = text->get<std::string>();
  } else {
    throw_form("choice", "a \"message\" or a \"text\"", choice);
  }
  completion.ids = read_ids(choice, "token_ids");
  completion.logprobs = read_logprobs(choice);
  if (!completion.ids.empty() && completion.ids.size() != completion.logprobs.size()) {
    completion.logprobs.clear();
  }
  completion.finish = read_finish(choice);
  return completion;
}

// Place of each choice: its index where all together are 0..n-1, else the order in which they came.
std::vector<size_t> places_of(const Json& choices) {
  std::vector<size_t> places(choices.size());
  std::vector<bool> taken(choices.size());
  bool sound = true;
  for (size_t i = 0; i < choices.size(); ++i) {
    const Json* index = member(choices[i], "index");
    const int64_t at = index && index->is_number_integer() ? index->get<int64_t>() : -1;
    sound = sound && at >= 0 && at < static_cast<int64_t>(taken.size()) && !taken[at];
    if (!sound) break;
    taken[at] = true;
    places[i] = static_cast<size_t>(at);
  }
  for (size_t i = 0; !sound && i < places.size(); ++i) places[i] = i;
  return places;
}

TextUsage read_usage(const Json& json) {
  TextUsage usage;
  if (const Json* given = member(json, "usage")) {
    usage.prompt_tokens = count_of(*given, "prompt_tokens");
    usage.completion_tokens = count_of(*given, "completion_tokens");
    if (const Json* details = member(*given, "prompt_tokens_details")) {
      usage.cached_tokens = count_of(*details, "cached_tokens");
    }
  }
  usage.estimated = usage.prompt_tokens + usage.completion_tokens == 0;
  return usage;
}

int64_t estimated_tokens(const Completion& choice) {
  if (!choice.ids.empty()) return static_cast<int64_t>(choice.ids.size());
  const auto bytes = static_cast<int64_t>(choice.reasoning.size() + choice.text.size());
  return bytes / kBytesPerToken + 1;
}

void set_price(TextUsage& usage, const RemoteModelOptions& options) {
  usage.usd = 1e-6 * (static_cast<double>(usage.prompt_tokens) * options.usd_per_mtok_in +
                      static_cast<double>(usage.completion_tokens) * options.usd_per_mtok_out);
}

// Throws Error, or what nlohmann::json throws, when the answer is not of the form.
void read_choices(const Json& json, int n, TextResponse& response) {
  const Json* choices = member(json, "choices");
  if (!choices || !choices->is_array()) throw_form("answer", "an object with \"choices\"", json);
  if (choices->empty() || choices->size() > static_cast<size_t>(n)) {
    throw Error("expected " + std::to_string(n) + " choices, got " +
                std::to_string(choices->size()));
  }
  std::vector<Completion> read(choices->size());
  const std::vector<size_t> places = places_of(*choices);
  for (size_t i = 0; i < choices->size(); ++i) read[places[i]] = read_choice((*choices)[i]);
  response.prompt_ids = read_ids(json, "prompt_token_ids");
  if (response.prompt_ids.empty()) {
    response.prompt_ids = read_ids((*choices)[0], "prompt_token_ids");
  }
  response.prompt_logprobs = read_prompt_logprobs((*choices)[0], response.prompt_ids);
  response.choices = std::move(read);
}

// The message inside an error body, or the body itself.
std::string error_text(const Json& json, const std::string& body) {
  const Json* error = member(json, "error");
  if (error && error->is_string()) return error->get<std::string>();
  const std::string message = error ? text_member(*error, "message") : "";
  return message.empty() ? body : message;
}

WireAnswer::Kind kind_of_error(long status) {
  if (status == 408 || status == 425 || status == 429 || status >= 500) {
    return WireAnswer::Kind::kRetry;
  }
  const bool of_request = status == 400 || status == 413 || status == 414 || status == 422;
  return of_request ? WireAnswer::Kind::kRefused : WireAnswer::Kind::kFailed;
}

// The status that an error object names, else the one of HTTP.
long status_of_error(const Json& json, long http_status) {
  const Json* error = member(json, "error");
  const Json* code = error ? member(*error, "code") : nullptr;
  if (!code || !code->is_number_integer()) return http_status;
  const auto named = code->get<int64_t>();
  return named >= 400 && named < 600 ? static_cast<long>(named) : http_status;
}

void estimate_usage(TextResponse& response, const std::string& body) {
  TextUsage& usage = response.usage;
  usage.prompt_tokens = static_cast<int64_t>(response.prompt_ids.size());
  for (const Completion& choice : response.choices) {
    usage.completion_tokens += estimated_tokens(choice);
  }
  if (response.choices.empty()) {
    usage.completion_tokens = static_cast<int64_t>(body.size()) / kBytesPerToken;
  }
}

}  // namespace

std::string one_line(const std::string& text, size_t max_bytes) {
  std::string line;
  for (const char c : text) {
    if (line.size() >= max_bytes) return line + "...";
    const bool space =
        std::isspace(static_cast<unsigned char>(c)) || std::iscntrl(static_cast<unsigned char>(c));
    if (!space) line += c;
    if (space && !line.empty() && line.back() != ' ') line += ' ';
  }
  return line;
}

WireAnswer decode_answer(long http_status, const std::string& body, int n,
                         const RemoteModelOptions& options) {
  WireAnswer answer;
  TextResponse& response = answer.response;
  Json json = Json::parse(body, nullptr, false);
  if (json.is_discarded() && !is_valid_utf8(body)) {
    json = Json::parse(to_valid_utf8(body), nullptr, false);
  }
  const bool is_answer = http_status == 200 || http_status == 201;
  if (!is_answer || member(json, "error")) {
    const long status = status_of_error(json, http_status);
    const std::string said = one_line(error_text(json, body));
    response.error = "HTTP " + std::to_string(status) + (said.empty() ? "" : ": " + said);
    answer.kind = kind_of_error(status);
    if (json.is_object()) response.usage = read_usage(json);
    response.usage.estimated = false;  // an error that reports none has cost none
    set_price(response.usage, options);
    return answer;
  }
  if (json.is_discarded()) {
    response.error = body.empty() ? "empty answer" : "the answer is cut or no JSON";
  } else {
    response.usage = read_usage(json);
    try {
      read_choices(json, n, response);
      answer.kind = WireAnswer::Kind::kAnswer;
    } catch (const std::exception& error) {
      answer.kind = WireAnswer::Kind::kFailed;
      response.error = "unexpected answer: " + one_line(error.what());
    }
  }
  if (response.usage.estimated || json.is_discarded()) {
    response.usage.estimated = !body.empty();
    estimate_usage(response, body);
  }
  set_price(response.usage, options);
  return answer;
}

}  // namespace weft
