#include "model/text_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <latch>
#include <utility>

namespace weft {

void TextModel::submit_all(std::vector<Submission> submissions) {
  for (auto& one : submissions) submit(std::move(one.request), std::move(one.done));
}

const char* to_string(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kLength:
      return "length";
    case FinishReason::kContentFilter:
      return "content_filter";
    case FinishReason::kToolCalls:
      return "tool_calls";
    case FinishReason::kOther:
      break;
  }
  return "other";
}

TextResponse TextResponse::unanswered(ResponseStatus status, std::string error, TextUsage usage) {
  TextResponse response;
  response.status = status;
  response.error = std::move(error);
  response.usage = usage;
  return response;
}

bool TextAllowance::is_unlimited() const {
  return tokens == TextAllowance{}.tokens && usd == TextAllowance{}.usd;
}

double TextPrice::of(int64_t prompt_tokens, int64_t completion_tokens) const {
  return 1e-6 * (static_cast<double>(prompt_tokens) * usd_per_mtok_in +
                 static_cast<double>(completion_tokens) * usd_per_mtok_out);
}

bool fit_to_allowance(TextRequest& request, int64_t prompt_tokens, const TextPrice& price) {
  const TextAllowance& allowance = request.allowance;
  if (allowance.is_unlimited()) return false;
  int64_t left = allowance.tokens - prompt_tokens;
  const double usd_left = allowance.usd - price.of(prompt_tokens, 0);
  const double usd_each = price.of(0, 1);
  if (usd_left < 0) left = 0;
  if (usd_each > 0 && std::isfinite(usd_left)) {
    const double affordable = std::floor(std::max(usd_left, 0.0) / usd_each);
    if (affordable < static_cast<double>(left)) left = static_cast<int64_t>(affordable);
  }
  if (left < 1) {
    throw BudgetError(fmt::format(
        "a prompt of {} tokens leaves nothing of the {} tokens{} that this request may take",
        prompt_tokens, allowance.tokens,
        std::isfinite(allowance.usd) ? fmt::format(" and {:.4f} usd", allowance.usd) : ""));
  }
  const int n = static_cast<int>(std::min<int64_t>(request.n, left));
  const auto each = static_cast<int>(std::min<int64_t>(request.sampling.max_tokens, left / n));
  const bool lowers = n < request.n || each < request.sampling.max_tokens;
  request.n = n;
  request.sampling.max_tokens = each;
  return lowers;
}

int64_t estimated_prompt_tokens(const TextRequest& request) {
  constexpr int64_t kBytesPerToken = 4;
  if (const auto* ids = std::get_if<std::vector<int32_t>>(&request.prompt)) {
    return static_cast<int64_t>(ids->size());
  }
  size_t bytes = 0;
  if (const auto* text = std::get_if<std::string>(&request.prompt)) bytes = text->size();
  if (const auto* messages = std::get_if<std::vector<ChatMessage>>(&request.prompt)) {
    for (const ChatMessage& message : *messages) bytes += message.content.size();
  }
  return static_cast<int64_t>(bytes) / kBytesPerToken;
}

void TextUsage::add(const TextUsage& more) {
  prompt_tokens += more.prompt_tokens;
  completion_tokens += more.completion_tokens;
  usd += more.usd;
  cached_tokens += more.cached_tokens;
  estimated = estimated || more.estimated;
}

std::string Completion::text_with_reasoning() const {
  return reasoning.empty() ? text : "<think>\n" + reasoning + "\n</think>\n\n" + text;
}

TextResponse TextModel::complete(TextRequest request) {
  std::vector<TextRequest> one;
  one.push_back(std::move(request));
  return std::move(complete_all(std::move(one)).front());
}

std::vector<TextResponse> TextModel::complete_all(std::vector<TextRequest> requests) {
  std::vector<TextResponse> responses(requests.size());
  std::latch pending(static_cast<std::ptrdiff_t>(requests.size()));
  std::vector<Submission> submissions;
  for (size_t i = 0; i < requests.size(); ++i) {
    submissions.push_back(
        {std::move(requests[i]), [&responses, &pending, i](TextResponse response) {
           responses[i] = std::move(response);
           pending.count_down();
         }});
  }
  submit_all(std::move(submissions));
  pending.wait();
  return responses;
}

}  // namespace weft
