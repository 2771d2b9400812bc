#include "model/remote/wire.h"

#include <cctype>

#include "base/error.h"

namespace weft {
namespace {

// No limit for top_k: -1 is refused by llama-cpp-python's server, and what 0 means differs. A
// number beyond any vocabulary needs no agreement.
constexpr int kAllTokens = 1 << 30;

// vLLM refuses more than one choice where all would be the same.
int choices_to_ask(const TextRequest& request, const RemoteModelOptions& options) {
  const bool greedy = request.sampling.temperature == 0;
  return greedy && !options.extra_body.contains("temperature") ? 1 : request.n;
}

Json sampling_fields(const TextRequest& request, const RemoteModelOptions& options, int n,
                     bool chat) {
  const SamplingParams& sampling = request.sampling;
  Json body = {{"model", request.adapter.empty() ? options.model : request.adapter},
               {"n", n},
               {"temperature", sampling.temperature},
               {"top_p", sampling.top_p},
               {"max_tokens", sampling.max_tokens},
               {"seed", sampling.seed & 0x7FFFFFFFFFFFFFFFull},
               {"stream", false}};
  if (!sampling.stop.empty()) body["stop"] = sampling.stop;
  if (!options.strict_openai) {
    body["top_k"] = sampling.top_k > 0 ? sampling.top_k : kAllTokens;
    body["min_p"] = sampling.min_p;
    body["repetition_penalty"] = 1.0;
    body["ignore_eos"] = sampling.ignore_eos;
  }
  if (options.request_ids) body["return_token_ids"] = true;
  if (request.prompt_logprobs) body["prompt_logprobs"] = 0;
  if (options.request_logprobs) body["logprobs"] = chat ? Json(true) : Json(1);
  return body;
}

std::vector<int32_t> read_ids(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_array()) return {};
  return found->get<std::vector<int32_t>>();
}

// Chat: {"content": [{"logprob"}]}; completions: {"token_logprobs": [..]}.
std::vector<float> read_logprobs(const Json& choice) {
  std::vector<float> logprobs;
  const auto found = choice.find("logprobs");
  if (found == choice.end() || !found->is_object()) return logprobs;
  if (const auto content = found->find("content"); content != found->end() && content->is_array()) {
    for (const Json& token : *content) logprobs.push_back(token.at("logprob").get<float>());
  } else if (const auto list = found->find("token_logprobs");
             list != found->end() && list->is_array()) {
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
  const auto found = choice.find("prompt_logprobs");
  if (found == choice.end() || found->is_null()) return logprobs;
  if (found->size() != prompt.size()) {
    throw Error("prompt_logprobs: expected " + std::to_string(prompt.size()) + ", got " +
                std::to_string(found->size()));
  }
  for (size_t i = 1; i < prompt.size(); ++i) {
    logprobs.push_back(found->at(i).at(std::to_string(prompt[i])).at("logprob").get<float>());
  }
  return logprobs;
}

// DeepSeek, SGLang, llama.cpp and vLLM: "reasoning_content"; newer vLLM and OpenRouter:
// "reasoning".
std::string read_reasoning(const Json& message) {
  for (const char* key : {"reasoning_content", "reasoning"}) {
    const auto found = message.find(key);
    if (found != message.end() && found->is_string()) return found->get<std::string>();
  }
  return "";
}

Completion read_choice(const Json& choice) {
  Completion completion;
  const auto message = choice.find("message");
  if (message != choice.end()) {
    const Json& content = message->at("content");
    if (!content.is_null()) completion.text = content.get<std::string>();
    completion.reasoning = read_reasoning(*message);
  } else {
    completion.text = choice.at("text").get<std::string>();
  }
  completion.ids = read_ids(choice, "token_ids");
  completion.logprobs = read_logprobs(choice);
  if (!completion.ids.empty() && completion.ids.size() != completion.logprobs.size()) {
    completion.logprobs.clear();
  }
  const auto reason = choice.find("finish_reason");
  const bool stopped = reason != choice.end() && *reason == "stop";
  completion.finish = stopped ? FinishReason::kStop : FinishReason::kLength;
  return completion;
}

// For a server that reports none: four bytes a token.
TextUsage estimated_usage(const TextResponse& response) {
  TextUsage usage;
  usage.prompt_tokens = static_cast<int64_t>(response.prompt_ids.size());
  for (const Completion& choice : response.choices) {
    const size_t estimate = choice.ids.empty()
                                ? (choice.reasoning.size() + choice.text.size()) / 4 + 1
                                : choice.ids.size();
    usage.completion_tokens += static_cast<int64_t>(estimate);
  }
  return usage;
}

// Throws what nlohmann::json throws when a field is missing or of another type.
TextResponse read_response(const Json& json, int n, const RemoteModelOptions& options) {
  TextResponse response;
  const Json& choices = json.at("choices");
  if (static_cast<int>(choices.size()) != n) {
    throw Error("expected " + std::to_string(n) + " choices, got " +
                std::to_string(choices.size()));
  }
  response.choices.resize(choices.size());
  for (size_t i = 0; i < choices.size(); ++i) {
    const size_t index = choices[i].value("index", i);
    response.choices.at(index) = read_choice(choices[i]);
  }
  response.prompt_ids = read_ids(json, "prompt_token_ids");
  if (response.prompt_ids.empty()) {
    response.prompt_ids = read_ids(choices[0], "prompt_token_ids");
  }
  response.prompt_logprobs = read_prompt_logprobs(choices[0], response.prompt_ids);
  if (const auto usage = json.find("usage"); usage != json.end() && usage->is_object()) {
    response.usage.prompt_tokens = usage->value("prompt_tokens", int64_t{0});
    response.usage.completion_tokens = usage->value("completion_tokens", int64_t{0});
    const auto details = usage->find("prompt_tokens_details");
    if (details != usage->end() && details->is_object()) {
      response.usage.cached_tokens = details->value("cached_tokens", int64_t{0});
    }
  } else {
    response.usage = estimated_usage(response);
  }
  response.usage.usd =
      1e-6 * (static_cast<double>(response.usage.prompt_tokens) * options.usd_per_mtok_in +
              static_cast<double>(response.usage.completion_tokens) * options.usd_per_mtok_out);
  return response;
}

// The message inside an error body, or the body itself.
std::string error_text(const std::string& body) {
  const Json json = Json::parse(body, nullptr, false);
  if (json.is_object() && json.contains("error")) {
    const Json& error = json["error"];
    if (error.is_string()) return error.get<std::string>();
    if (error.is_object() && error.contains("message") && error["message"].is_string()) {
      return error["message"].get<std::string>();
    }
  }
  return body;
}

WireAnswer::Kind kind_of_error(long status) {
  if (status == 408 || status == 425 || status == 429 || status >= 500) {
    return WireAnswer::Kind::kRetry;
  }
  const bool of_request = status == 400 || status == 413 || status == 414 || status == 422;
  return of_request ? WireAnswer::Kind::kRefused : WireAnswer::Kind::kFailed;
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

WireRequest encode_request(const TextRequest& request, const RemoteModelOptions& options) {
  WireRequest wire;
  const auto* messages = std::get_if<std::vector<ChatMessage>>(&request.prompt);
  wire.n = choices_to_ask(request, options);
  wire.path = messages ? "/chat/completions" : "/completions";
  Json body = sampling_fields(request, options, wire.n, messages != nullptr);
  if (messages) {
    body["messages"] = Json::array();
    for (const ChatMessage& message : *messages) {
      body["messages"].push_back({{"role", message.role}, {"content", message.content}});
    }
  } else if (const auto* text = std::get_if<std::string>(&request.prompt)) {
    body["prompt"] = *text;
  } else {
    body["prompt"] = std::get<std::vector<int32_t>>(request.prompt);
  }
  for (const auto& [key, value] : options.extra_body.items()) body[key] = value;
  wire.body = dump_json(body);
  return wire;
}

WireAnswer decode_answer(long http_status, const std::string& body, int n,
                         const RemoteModelOptions& options) {
  WireAnswer answer;
  const auto retry = [&](std::string why) {
    answer.kind = WireAnswer::Kind::kRetry;
    answer.response.error = std::move(why);
    return answer;
  };
  if (http_status != 200) {
    const std::string said = one_line(error_text(body));
    answer.response.error =
        "HTTP " + std::to_string(http_status) + (said.empty() ? "" : ": " + said);
    answer.kind = kind_of_error(http_status);
    return answer;
  }
  if (body.empty()) return retry("empty answer");
  const Json json = Json::parse(body, nullptr, false);
  if (json.is_discarded()) return retry("the answer is cut or no JSON");
  try {
    answer.response = read_response(json, n, options);
    answer.kind = WireAnswer::Kind::kAnswer;
  } catch (const std::exception& error) {
    return retry("unexpected answer: " + one_line(error.what()));
  }
  return answer;
}

}  // namespace weft
