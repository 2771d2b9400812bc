#include "model/tokenizer/reasoning_form.h"

#include <stdexcept>

namespace weft {
namespace {

constexpr std::string_view kOpen = "<think>", kClose = "</think>";
constexpr std::string_view kBlank = " \t\r\n";

std::string_view without_blanks(std::string_view text) {
  const size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

}  // namespace

AssistantTurn split_reasoning(std::string_view text) {
  const std::string_view body = without_blanks(text);
  const bool opened = body.starts_with(kOpen);
  const size_t close = body.find(kClose);
  if (close == std::string_view::npos) {
    if (opened) throw std::invalid_argument("the <think> part is not closed");
    return {"", std::string(text)};
  }
  const size_t begin = opened ? kOpen.size() : 0;
  return {std::string(without_blanks(body.substr(begin, close - begin))),
          std::string(without_blanks(body.substr(close + kClose.size())))};
}

ReasoningForm::ReasoningForm(const ChatTemplate& chat_template) {
  const std::string reasoning = "WeftReasoning", content = "WeftContent";
  const Json question = {{"role", "user"}, {"content", "Hello"}};
  const std::string prompt = chat_template.render_json(Json::array({question}), true);
  prompt_opens_ = without_blanks(prompt).ends_with(kOpen);
  if (prompt_opens_) between_ = "\n</think>\n\n";
  const Json answer = {
      {"role", "assistant"}, {"content", content}, {"reasoning_content", reasoning}};
  const std::string whole = chat_template.render_json(Json::array({question, answer}), false);
  const size_t at = whole.find(reasoning), end = whole.find(content);
  if (!whole.starts_with(prompt) || at == std::string::npos || end == std::string::npos ||
      end < at) {
    return;
  }
  before_ = whole.substr(prompt.size(), at - prompt.size());
  between_ = whole.substr(at + reasoning.size(), end - at - reasoning.size());
}

std::string ReasoningForm::target(const AssistantTurn& turn) const {
  if (turn.reasoning.empty() && !prompt_opens_) return turn.content;
  return before_ + turn.reasoning + between_ + turn.content;
}

}  // namespace weft
