#include "serve/request.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <utility>

#include "base/error.h"
#include "serve/api_error.h"

namespace weft {

namespace {

[[noreturn]] void throw_field(const std::string& name, const std::string& expected,
                              const Json& got) {
  std::string text = dump_json(got);
  if (text.size() > 60) text = text.substr(0, 60) + "...";
  throw ApiError(400, fmt::format("{}: expected {}, got {}", name, expected, text), name);
}

const Json* find(const Json& body, const char* key) {
  const auto found = body.find(key);
  return found == body.end() || found->is_null() ? nullptr : &*found;
}

/// Fields whose silent loss would change what the client gets, unless they ask for nothing.
void refuse_unsupported(const Json& body) {
  const std::pair<const char*, Json> neutral[] = {{"tools", Json::array()},
                                                  {"functions", Json::array()},
                                                  {"logit_bias", Json::object()},
                                                  {"frequency_penalty", 0},
                                                  {"presence_penalty", 0},
                                                  {"repetition_penalty", 1},
                                                  {"min_tokens", 0},
                                                  {"best_of", 1},
                                                  {"suffix", ""},
                                                  {"echo", false},
                                                  {"prompt_logprobs", false}};
  for (const auto& [key, asks_nothing] : neutral) {
    const Json* value = find(body, key);
    if (!value || *value == asks_nothing || *value == false) continue;
    throw ApiError(400, fmt::format("{}: this server does not support it", key), key,
                   "unsupported_parameter");
  }
  if (const Json* format = find(body, "response_format")) {
    if (!format->is_object() || format->value("type", Json()) != "text") {
      throw ApiError(400, "response_format: this server supports only {\"type\": \"text\"}",
                     "response_format", "unsupported_parameter");
    }
  }
}

std::vector<std::string> stop_field(const Json& body) {
  const Json* value = find(body, "stop");
  if (!value) return {};
  if (value->is_string()) return {value->get<std::string>()};
  if (!value->is_array()) throw_field("stop", "a string or an array of strings", *value);
  std::vector<std::string> stops;
  for (const Json& item : *value) {
    if (!item.is_string() || item.get<std::string>().empty()) {
      throw_field("stop", "a string or an array of non-empty strings", item);
    }
    stops.push_back(item.get<std::string>());
  }
  if (stops.size() > 16) throw ApiError(400, "stop: expected at most 16 strings", "stop");
  return stops;
}

void read_sampling(const Json& body, GenerationCall& call) {
  SamplingParams& sampling = call.sampling;
  sampling.temperature = number_field(body, "temperature", 1, 0, 2);
  sampling.top_p = number_field(body, "top_p", 1, 0, 1);
  if (sampling.top_p == 0) throw_field("top_p", "a number above 0 and at most 1", body["top_p"]);
  const auto top_k = integer_field(body, "top_k", 0, -1, std::numeric_limits<int32_t>::max());
  sampling.top_k = static_cast<int>(std::max<int64_t>(0, top_k));
  sampling.min_p = number_field(body, "min_p", 0, 0, 1);
  sampling.ignore_eos = bool_field(body, "ignore_eos", false);
  sampling.stop = stop_field(body);
  call.has_seed = find(body, "seed") != nullptr;
  sampling.seed = static_cast<uint64_t>(integer_field(
      body, "seed", 0, std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()));
  constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
  int64_t most = integer_field(body, "max_tokens", 0, 1, kMost);
  most = integer_field(body, "max_completion_tokens", most, 1, kMost);
  sampling.max_tokens = static_cast<int>(most);
}

GenerationCall read_common(const Json& body) {
  refuse_unsupported(body);
  GenerationCall call;
  call.model = string_field(body, "model", "");
  call.n = static_cast<int>(integer_field(body, "n", 1, 1, 1024));
  read_sampling(body, call);
  call.return_token_ids = bool_field(body, "return_token_ids", false);
  call.stream = bool_field(body, "stream", false);
  if (const Json* options = find(body, "stream_options")) {
    if (!options->is_object()) throw_field("stream_options", "an object", *options);
    if (!call.stream) {
      throw ApiError(400, "stream_options: only allowed with \"stream\": true", "stream_options");
    }
    call.include_usage = bool_field(*options, "include_usage", false);
  }
  return call;
}

void check_choices(const GenerationCall& call, const RequestLimits& limits) {
  const size_t wanted = call.prompts.size() * static_cast<size_t>(call.n);
  if (wanted > static_cast<size_t>(limits.max_choices)) {
    throw ApiError(400,
                   fmt::format("n: expected at most {} completions in one request, got {}",
                               limits.max_choices, wanted),
                   "n");
  }
}

/// Whether brackets nest deeper than anything here has use for: values are copied and printed
/// recursively.
bool nests_too_deep(const std::string& text) {
  constexpr int kDeepest = 64;
  int depth = 0;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\') ++i;
      quoted = c != '"';
    } else if (c == '"') {
      quoted = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kDeepest) return true;
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return false;
}

/// Text of a message: a string, or an array of {"type":"text","text"} parts.
std::string content_value(const Json& content) {
  if (content.is_string()) return content.get<std::string>();
  if (content.is_null()) return "";
  if (!content.is_array())
    throw_field("messages", "content that is a string or text parts", content);
  std::string text;
  for (const Json& part : content) {
    if (!part.is_object() || part.value("type", Json()) != "text" || !part.contains("text") ||
        !part["text"].is_string()) {
      throw_field("messages", "content parts {\"type\": \"text\", \"text\": ...}", part);
    }
    text += part["text"].get<std::string>();
  }
  return text;
}

}  // namespace

Json ApiError::body() const {
  const char* type = "invalid_request_error";
  if (status_ == 401) type = "authentication_error";
  if (status_ == 404) type = "not_found_error";
  if (status_ == 429) type = "rate_limit_error";
  if (status_ >= 500) type = status_ == 503 ? "unavailable_error" : "server_error";
  return {{"error",
           {{"message", what()},
            {"type", type},
            {"param", param_.empty() ? Json() : Json(param_)},
            {"code", code_.empty() ? Json() : Json(code_)}}}};
}

Json parse_body(const std::string& text) {
  // The check of the depth knows no comments, so none may pass the parser.
  if (nests_too_deep(text)) throw ApiError(400, "request body: nested too deeply");
  try {
    Json body = parse_json(text, "request body", JsonComments::kRefuse);
    if (!body.is_object()) throw ApiError(400, "request body: expected a JSON object");
    return body;
  } catch (const InputError& error) {
    throw ApiError(400, error.what());
  }
}

std::string string_field(const Json& body, const char* key, const std::string& fallback) {
  const Json* value = find(body, key);
  if (!value) return fallback;
  if (!value->is_string()) throw_field(key, "a string", *value);
  return value->get<std::string>();
}

bool bool_field(const Json& body, const char* key, bool fallback) {
  const Json* value = find(body, key);
  if (!value) return fallback;
  if (!value->is_boolean()) throw_field(key, "true or false", *value);
  return value->get<bool>();
}

int64_t integer_field(const Json& body, const char* key, int64_t fallback, int64_t low,
                      int64_t high) {
  const Json* value = find(body, key);
  if (!value) return fallback;
  const bool too_large = value->is_number_unsigned() &&
                         value->get<uint64_t>() > uint64_t(std::numeric_limits<int64_t>::max());
  if (!value->is_number_integer() || too_large || value->get<int64_t>() < low ||
      value->get<int64_t>() > high) {
    throw_field(key, fmt::format("an integer from {} to {}", low, high), *value);
  }
  return value->get<int64_t>();
}

double number_field(const Json& body, const char* key, double fallback, double low, double high) {
  const Json* value = find(body, key);
  if (!value) return fallback;
  if (!value->is_number() || !(value->get<double>() >= low && value->get<double>() <= high)) {
    throw_field(key, fmt::format("a number from {} to {}", low, high), *value);
  }
  return value->get<double>();
}

std::vector<int32_t> ids_value(const Json& value, const std::string& name) {
  std::vector<int32_t> ids;
  for (const Json& item : value) {
    if (!item.is_number_integer() || item.get<int64_t>() < 0 ||
        item.get<int64_t>() > std::numeric_limits<int32_t>::max()) {
      throw_field(name, "token ids", item);
    }
    ids.push_back(item.get<int32_t>());
  }
  return ids;
}

/// Fields of a message that would be lost: the chat template gets role, content and name alone.
void refuse_tool_fields(const Json& message) {
  for (const char* key : {"tool_calls", "function_call", "tool_call_id"}) {
    const Json* value = find(message, key);
    if (!value || (value->is_array() && value->empty())) continue;
    throw ApiError(400, fmt::format("messages: {}: this server does not support it", key),
                   "messages", "unsupported_parameter");
  }
}

std::vector<ChatMessage> messages_value(const Json& value) {
  if (!value.is_array() || value.empty()) throw_field("messages", "a non-empty array", value);
  std::vector<ChatMessage> messages;
  for (const Json& item : value) {
    if (!item.is_object()) throw_field("messages", "objects with role and content", item);
    std::string role = string_field(item, "role", "");
    if (role == "developer") role = "system";
    if (role != "system" && role != "user" && role != "assistant") {
      throw_field("messages", "role system, user or assistant", item.value("role", Json()));
    }
    refuse_tool_fields(item);
    messages.push_back({role, content_value(item.value("content", Json()))});
  }
  return messages;
}

std::vector<std::string> names_value(const Json& messages) {
  std::vector<std::string> names;
  bool any = false;
  for (const Json& message : messages) {
    names.push_back(string_field(message, "name", ""));
    any = any || !names.back().empty();
  }
  return any ? names : std::vector<std::string>();
}

GenerationCall parse_chat_call(const Json& body, const RequestLimits& limits) {
  GenerationCall call = read_common(body);
  call.chat = true;
  const Json messages = body.value("messages", Json());
  call.prompts.emplace_back(messages_value(messages));
  call.names = names_value(messages);
  call.logprobs = bool_field(body, "logprobs", false);
  integer_field(body, "top_logprobs", 0, 0, 20);
  check_choices(call, limits);
  return call;
}

GenerationCall parse_completion_call(const Json& body, const RequestLimits& limits) {
  GenerationCall call = read_common(body);
  const Json prompt = body.value("prompt", Json());
  const char* expected = "a string, token ids, or an array of those";
  if (prompt.is_string()) {
    call.prompts.emplace_back(prompt.get<std::string>());
  } else if (!prompt.is_array() || prompt.empty()) {
    throw_field("prompt", expected, prompt);
  } else if (prompt[0].is_number()) {
    call.prompts.emplace_back(ids_value(prompt, "prompt"));
  } else {
    for (const Json& item : prompt) {
      if (item.is_string()) {
        call.prompts.emplace_back(item.get<std::string>());
      } else if (item.is_array() && !item.empty()) {
        call.prompts.emplace_back(ids_value(item, "prompt"));
      } else {
        throw_field("prompt", expected, item);
      }
    }
  }
  if (const Json* logprobs = find(body, "logprobs")) {
    call.logprobs = logprobs->is_boolean() ? logprobs->get<bool>() : true;
    if (!logprobs->is_boolean()) integer_field(body, "logprobs", 0, 0, 20);
  }
  check_choices(call, limits);
  return call;
}

}  // namespace weft
