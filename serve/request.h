/// OpenAI's request bodies, read strictly: a field of a wrong type is the client's error (400), a
/// field that is unknown is ignored, one that would change the text and cannot be served is
/// refused.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/json.h"
#include "model/text_model.h"

namespace weft {

/// One /v1/chat/completions or /v1/completions request.
struct GenerationCall {
  bool chat = false;
  std::string model;  ///< empty: the server's first
  /// Chat: one list of messages. Completions: texts or token ids, one or several.
  std::vector<std::variant<std::vector<int32_t>, std::string, std::vector<ChatMessage>>> prompts;
  std::vector<std::string>
      names;  ///< of the messages' authors, in their order; empty: none has one
  int n = 1;
  SamplingParams sampling;  ///< max_tokens 0: not given
  bool has_seed = false;
  bool logprobs = false;  ///< of the sampled tokens; alternatives are not available
  bool return_token_ids = false;
  bool stream = false;
  bool include_usage = false;
};

struct RequestLimits {
  int max_choices = 128;  ///< prompts x n
};

/// Throws ApiError 400 naming the field, what was expected and what came.
GenerationCall parse_chat_call(const Json& body, const RequestLimits& limits);
GenerationCall parse_completion_call(const Json& body, const RequestLimits& limits);

/// Reads an HTTP body as a JSON object. ApiError 400, also where it nests deeper than 64 levels.
Json parse_body(const std::string& text);

/// Field access with ApiError 400 on a wrong type; absent or null gives the fallback.
std::string string_field(const Json& body, const char* key, const std::string& fallback);
bool bool_field(const Json& body, const char* key, bool fallback);
int64_t integer_field(const Json& body, const char* key, int64_t fallback, int64_t low,
                      int64_t high);
double number_field(const Json& body, const char* key, double fallback, double low, double high);
/// A list of token ids.
std::vector<int32_t> ids_value(const Json& value, const std::string& name);
std::vector<ChatMessage> messages_value(const Json& value);
/// `name` of each of these messages; empty where none has one.
std::vector<std::string> names_value(const Json& messages);

}  // namespace weft
