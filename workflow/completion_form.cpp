#include "workflow/completion_form.h"

#include <algorithm>
#include <vector>

namespace weft {
namespace {

constexpr std::string_view kThinkEnd = "</think>";
constexpr std::string_view kFence = "```";
constexpr std::string_view kOpenFence = "```python";

struct Line {
  size_t begin, end;  ///< without the newline
};

std::vector<Line> fence_lines(std::string_view text) {
  std::vector<Line> lines;
  for (size_t at = 0; at <= text.size();) {
    size_t end = text.find('\n', at);
    if (end == std::string_view::npos) end = text.size();
    if (text.substr(at, kFence.size()) == kFence) lines.push_back({at, end});
    at = end + 1;
  }
  return lines;
}

}  // namespace

std::string trimmed(std::string_view text) {
  constexpr const char* kBlank = " \t\r\n";
  const size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return "";
  return std::string(text.substr(begin, text.find_last_not_of(kBlank) - begin + 1));
}

CompletionParts split_completion(std::string_view completion, CompletionForm form) {
  CompletionParts parts;
  std::string think;
  const size_t think_end = completion.rfind(kThinkEnd);
  if (think_end != std::string_view::npos) {
    think = trimmed(completion.substr(0, think_end));
    if (think.rfind("<think>", 0) == 0) think = trimmed(std::string_view(think).substr(7));
    completion.remove_prefix(think_end + kThinkEnd.size());
  } else if (trimmed(completion).rfind("<think>", 0) == 0) {
    parts.problem = "the <think> part is not closed";
    return parts;
  }
  const auto fences = fence_lines(completion);
  const auto fail = [&parts](std::string problem) {
    parts.problem = std::move(problem);
    return parts;
  };
  if (fences.empty()) return fail("no ```python block");
  const std::string opening =
      trimmed(completion.substr(fences[0].begin, fences[0].end - fences[0].begin));
  if (opening != kOpenFence) return fail("expected ```python, got " + opening.substr(0, 40));
  if (fences.size() == 1 && !form.cut) return fail("the ```python block is not closed");
  if (fences.size() > 2) return fail("more than one fenced block");
  size_t code_end = completion.size();
  if (fences.size() == 2) {
    code_end = fences[1].begin;
    const std::string closing = trimmed(completion.substr(code_end, fences[1].end - code_end));
    if (closing != kFence || !trimmed(completion.substr(fences[1].end)).empty()) {
      return fail("text after the ```python block");
    }
  }
  parts.reasoning = trimmed(completion.substr(0, fences[0].begin));
  if (!think.empty()) parts.reasoning = trimmed(think + "\n" + parts.reasoning);
  const size_t code_begin = std::min(fences[0].end + 1, code_end);
  parts.code = completion.substr(code_begin, code_end - code_begin);
  if (parts.reasoning.empty() && !form.no_reasoning)
    return fail("no reasoning before the ```python block");
  if (trimmed(parts.code).empty()) return fail("the ```python block is empty");
  return parts;
}

}  // namespace weft
