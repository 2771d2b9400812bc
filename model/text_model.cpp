#include "model/text_model.h"

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
