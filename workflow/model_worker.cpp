#include "workflow/model_worker.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"
#include "base/machine.h"

namespace weft {
namespace {

bool continues_character(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

/// Keeps the two ends of a text that is too long, at whole characters.
std::string cut_middle(const std::string& text, int64_t max_bytes) {
  const auto limit = static_cast<size_t>(max_bytes);
  if (text.size() <= limit) return text;
  size_t head = limit / 2, tail = text.size() - limit / 2;
  while (head > 0 && continues_character(text[head])) --head;
  while (tail < text.size() && continues_character(text[tail])) ++tail;
  return text.substr(0, head) + "\n[...]\n" + text.substr(tail);
}

WorkerReply reply_of(TextResponse response, int num_responses, bool limited) {
  WorkerReply reply;
  reply.lowered = response.lowered;
  reply.prompt_tokens = response.usage.prompt_tokens;
  reply.completion_tokens = response.usage.completion_tokens;
  reply.usd = response.usage.usd;
  reply.error = std::move(response.error);
  if (response.status == ResponseStatus::kRefused) {
    reply.status = WorkerReply::Status::kRefused;
  } else if (response.status == ResponseStatus::kOutOfBudget && limited) {
    reply.status = WorkerReply::Status::kLimit;
  } else if (response.status != ResponseStatus::kOk) {
    reply.status = WorkerReply::Status::kInfrastructure;
  } else if (response.choices.size() != static_cast<size_t>(num_responses) &&
             !(response.lowered && !response.choices.empty())) {
    reply.status = WorkerReply::Status::kInfrastructure;
    reply.error = fmt::format("worker gave {} responses, expected {}", response.choices.size(),
                              num_responses);
  } else {
    for (auto& choice : response.choices) reply.texts.push_back(std::move(choice.text));
  }
  return reply;
}

}  // namespace

void ModelWorkerOptions::validate() const {
  require_at_least("max_tokens", max_tokens, 1);
  require_room("max_tokens", max_tokens, kTokenBytes);
  require_above("top_p", top_p, 0);
  require_share("top_p", top_p);
  require_at_least("max_temperature", max_temperature, 0);
  require_at_least("max_prompt_bytes", max_prompt_bytes, 64);
  require_room("max_prompt_bytes", max_prompt_bytes, 1);
}

std::vector<ChatMessage> worker_messages(const WorkerRequest& request, int64_t max_prompt_bytes) {
  std::vector<ChatMessage> messages;
  std::string system;
  if (!request.agent_role.empty()) system = "You are a " + request.agent_role + ".";
  if (!request.instructions.empty()) system += (system.empty() ? "" : " ") + request.instructions;
  if (!system.empty()) messages.push_back({"system", cut_middle(system, max_prompt_bytes)});
  std::string user;
  for (const auto& message : request.messages) {
    if (!user.empty()) user += "\n\n";
    user += message;
  }
  messages.push_back({"user", cut_middle(user, max_prompt_bytes)});
  return messages;
}

ModelWorker::ModelWorker(TextModel& model, ModelWorkerOptions options)
    : model_(model), options_(options) {
  options_.validate();
}

Worker::Bound ModelWorker::bound(const WorkerRequest& request) const {
  constexpr int64_t kTemplateTokens = 256;
  int64_t prompt = kTemplateTokens;
  for (const auto& message : worker_messages(request, options_.max_prompt_bytes)) {
    prompt += static_cast<int64_t>(message.content.size());
  }
  const int64_t completion = int64_t{request.num_responses} * options_.max_tokens;
  return {prompt + completion, model_.price().of(prompt, completion)};
}

void ModelWorker::submit(WorkerRequest request, std::function<void(WorkerReply)> done) {
  TextRequest text;
  text.prompt = worker_messages(request, options_.max_prompt_bytes);
  text.n = request.num_responses;
  const double temperature = std::isfinite(request.temperature) ? request.temperature : 0.0;
  text.sampling.temperature = std::clamp(temperature, 0.0, options_.max_temperature);
  text.sampling.top_p = options_.top_p;
  text.sampling.max_tokens = options_.max_tokens;
  text.sampling.seed = request.seed;
  text.cancelled = request.cancelled;
  text.allowance = {request.max_tokens, request.max_usd};
  const int num_responses = request.num_responses;
  const bool limited = !text.allowance.is_unlimited();
  model_.submit(std::move(text),
                [done = std::move(done), num_responses, limited](TextResponse response) {
                  done(reply_of(std::move(response), num_responses, limited));
                });
}

}  // namespace weft
