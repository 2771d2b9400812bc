#include "model/remote/wire.h"

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
               {options.max_tokens_field, sampling.max_tokens},
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

}  // namespace

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

}  // namespace weft
