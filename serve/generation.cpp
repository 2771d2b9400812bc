#include "serve/generation.h"

#include <fmt/format.h>

#include <limits>
#include <random>
#include <set>
#include <utility>

#include "serve/api_error.h"

namespace weft {

namespace {

constexpr int kDefaultCompletionTokens = 16;  ///< OpenAI's, of /v1/completions
constexpr int kUnknownContextTokens = 1024;   ///< of a chat where the context's length is unknown

/// Sets max_tokens where the request left it out and refuses what cannot fit.
void fit_into_context(const ServedModel& served, const GenerationCall& call, int64_t prompt_tokens,
                      int default_max_tokens, SamplingParams& sampling) {
  const int64_t room = served.max_context - prompt_tokens;
  if (sampling.max_tokens == 0) {
    if (!call.chat) {
      sampling.max_tokens = kDefaultCompletionTokens;
    } else if (default_max_tokens > 0) {
      sampling.max_tokens = default_max_tokens;
    } else {
      sampling.max_tokens = served.max_context > 0 ? static_cast<int>(std::max<int64_t>(1, room))
                                                   : kUnknownContextTokens;
    }
    if (served.max_context > 0 && room >= 1) {
      sampling.max_tokens = static_cast<int>(std::min<int64_t>(sampling.max_tokens, room));
    }
  }
  if (served.max_context > 0 && sampling.max_tokens > room) {
    throw ApiError(
        400,
        fmt::format("This model's maximum context length is {} tokens. However, you requested {} "
                    "tokens ({} in the {}, {} in the completion).",
                    served.max_context, prompt_tokens + sampling.max_tokens, prompt_tokens,
                    call.chat ? "messages" : "prompt", sampling.max_tokens),
        call.chat ? "messages" : "prompt", "context_length_exceeded");
  }
}

void check_ids(const ServedModel& served, const std::vector<int32_t>& ids) {
  if (!served.tokenizer) return;
  for (const int32_t id : ids) {
    if (id < 0 || id >= served.tokenizer->vocab_size()) {
      throw ApiError(400,
                     fmt::format("prompt: expected token ids below {}, got {}",
                                 served.tokenizer->vocab_size(), id),
                     "prompt");
    }
  }
}

[[noreturn]] void refuse_name() {
  throw ApiError(400, "messages: name: the model's chat template leaves it out", "messages",
                 "unsupported_parameter");
}

}  // namespace

const ServedName& find_name(const ServedModel& served, const std::string& model) {
  if (model.empty()) return served.names.front();
  for (const ServedName& name : served.names) {
    if (name.id == model) return name;
  }
  std::string known;
  for (const ServedName& name : served.names) known += (known.empty() ? "" : ", ") + name.id;
  throw ApiError(404, fmt::format("The model '{}' does not exist. Served: {}.", model, known),
                 "model", "model_not_found");
}

std::string render_messages(const ServedModel& served, const std::vector<ChatMessage>& messages,
                            const std::vector<std::string>& names, bool add_generation_prompt) {
  std::string text = served.chat_template->render(messages, add_generation_prompt);
  if (names.empty()) return text;
  Json named = Json::array();
  std::set<std::string> roles;  // that have a name
  for (size_t i = 0; i < messages.size(); ++i) {
    named.push_back({{"role", messages[i].role}, {"content", messages[i].content}});
    if (names[i].empty()) continue;
    named.back()["name"] = names[i];
    roles.insert(messages[i].role);
  }
  text = served.chat_template->render_json(named, add_generation_prompt);
  for (const std::string& role : roles) {
    Json without = named;
    for (Json& message : without) {
      if (message["role"] == role) message.erase("name");
    }
    if (served.chat_template->render_json(without, add_generation_prompt) == text) refuse_name();
  }
  return text;
}

std::string render_messages(const ServedModel& served, const Json& messages,
                            bool add_generation_prompt) {
  return render_messages(served, messages_value(messages), names_value(messages),
                         add_generation_prompt);
}

std::optional<std::vector<int32_t>> encode_prompt(
    const ServedModel& served,
    const std::variant<std::vector<int32_t>, std::string, std::vector<ChatMessage>>& prompt,
    const std::vector<std::string>& names) {
  const bool renders = served.tokenizer && served.chat_template;
  if (!names.empty() && !renders) refuse_name();
  if (const auto* ids = std::get_if<std::vector<int32_t>>(&prompt)) {
    check_ids(served, *ids);
    return *ids;
  }
  if (!served.tokenizer) return std::nullopt;
  if (const auto* text = std::get_if<std::string>(&prompt)) return served.tokenizer->encode(*text);
  if (!served.chat_template) return std::nullopt;
  const auto& messages = std::get<std::vector<ChatMessage>>(prompt);
  return served.tokenizer->encode(render_messages(served, messages, names, true), false);
}

std::shared_ptr<Generation> Generation::start(const ServedModel& served, GenerationCall call,
                                              int default_max_tokens, CancelFlag cancelled) {
  const ServedName& name = find_name(served, call.model);
  std::random_device device;
  std::vector<TextRequest> requests;
  for (const auto& prompt : call.prompts) {
    TextRequest request;
    request.prompt = prompt;
    request.n = call.n;
    request.sampling = call.sampling;
    if (!call.has_seed) request.sampling.seed = uint64_t{device()} << 32 | device();
    request.adapter = name.adapter;
    request.cancelled = cancelled;
    if (auto ids = encode_prompt(served, prompt, call.names)) {
      if (ids->empty()) throw ApiError(400, "prompt: expected at least one token", "prompt");
      fit_into_context(served, call, static_cast<int64_t>(ids->size()), default_max_tokens,
                       request.sampling);
      request.prompt = std::move(*ids);
    } else if (request.sampling.max_tokens == 0) {
      request.sampling.max_tokens = call.chat ? kUnknownContextTokens : kDefaultCompletionTokens;
    }
    requests.push_back(std::move(request));
  }
  const char* prefix = call.chat ? "chatcmpl" : "cmpl";
  std::shared_ptr<Generation> job(new Generation(std::move(call)));
  job->writer_.emplace(job->call_, AnswerHead{new_id(prefix), unix_time(), name.id},
                       served.tokenizer);
  job->pending_ = requests.size();
  job->responses_.resize(requests.size());
  for (size_t i = 0; i < requests.size(); ++i) {
    job->submit(*served.model, i, std::move(requests[i]));
  }
  return job;
}

void Generation::submit(TextModel& model, size_t prompt, TextRequest request) {
  const auto self = shared_from_this();
  if (call_.stream) {
    request.on_delta = [self, prompt](const StreamDelta& delta) {
      self->push({prompt, delta, std::nullopt});
    };
  }
  model.submit(std::move(request), [self, prompt](TextResponse response) {
    self->push({prompt, std::nullopt, std::move(response)});
  });
}

void Generation::push(Event event) {
  const std::lock_guard lock(mutex_);
  events_.push_back(std::move(event));
  wake_.notify_one();
}

Generation::Event Generation::pop() {
  std::unique_lock lock(mutex_);
  wake_.wait(lock, [this] { return !events_.empty(); });
  Event event = std::move(events_.front());
  events_.pop_front();
  return event;
}

void Generation::step() {
  Event event = pop();
  if (event.response) {
    responses_[event.prompt] = std::move(*event.response);
    --pending_;
    return;
  }
  if (first_token_s_ < 0) first_token_s_ = elapsed_s();
  const int choices = static_cast<int>(call_.prompts.size()) * call_.n;
  for (int i = 0; call_.chat && !opened_ && i < choices; ++i) {
    stream_text_ += sse_event(writer_->opening_chunk(i));
  }
  opened_ = true;
  const int index = static_cast<int>(event.prompt) * call_.n + event.delta->choice;
  stream_text_ += sse_event(writer_->delta_chunk(index, *event.delta));
}

void Generation::throw_if_failed() const {
  for (const TextResponse& response : responses_) {
    if (response.status == ResponseStatus::kRefused) throw ApiError(400, response.error);
    if (response.status == ResponseStatus::kCancelled) throw ApiError(499, "request cancelled");
    if (response.status != ResponseStatus::kOk) throw ApiError(502, response.error);
  }
}

void Generation::close_stream() {
  closed_ = true;
  try {
    throw_if_failed();
    int index = 0;
    for (const TextResponse& response : responses_) {
      for (const Completion& choice : response.choices) {
        if (call_.chat && !opened_) stream_text_ += sse_event(writer_->opening_chunk(index));
        stream_text_ += sse_event(writer_->closing_chunk(index++, choice.finish));
      }
    }
    if (call_.include_usage) stream_text_ += sse_event(writer_->usage_chunk(usage_of(responses_)));
  } catch (const ApiError& error) {
    stream_text_ += sse_event(error.body());
  }
  stream_text_ += "data: [DONE]\n\n";
}

std::string Generation::take_stream_text() {
  if (finished() && !closed_) close_stream();
  return std::exchange(stream_text_, {});
}

double Generation::elapsed_s() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - started_).count();
}

}  // namespace weft
