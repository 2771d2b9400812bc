#include <algorithm>

#include "data/regex.h"
#include "data/scorers/score.h"

namespace weft {
namespace {

/// A text that may be the answer, and what says so.
struct Candidate {
  std::string text;
  const char* rule;
};

/// What each "$...$", "\(...\)" and "\[...\]" holds. Longer ones than a value are no formulas.
std::vector<std::string> formulas_of(std::string_view text) {
  static const Regex kFormula(
      R"((?|\$\$?([^$]{1,500}+)\$|\\\(([^\n]{1,500}?)\\\)|\\\[((?s).{1,500}?)\\\]))");
  return kFormula.find_groups(text, 1);
}

/// What follows the last "answer is", "answer:" or "answer =", to the end of its sentence.
std::optional<std::string> stated_answer(std::string_view text) {
  static const Regex kStated(
      R"((?i)\banswer(?:\s+is\b|\W{0,4}:|\s*=)[\s:*_]*([^\n]{1,500}?)[\s*_]*(?:\.(?=\s|$)|\n|$))");
  auto all = kStated.find_groups(text, 1);
  if (all.empty()) return std::nullopt;
  return std::move(all.back());
}

std::vector<Candidate> candidates_of(std::string_view text) {
  const Boxed box = last_boxed(text);
  if (box.kind == Boxed::Kind::kCut) return {};
  if (box.kind == Boxed::Kind::kComplete) return {{box.content, "box"}};
  std::vector<Candidate> candidates;
  const auto add = [&](const std::optional<std::string>& found, const char* rule) {
    if (found) candidates.push_back({*found, rule});
  };
  if (const auto stated = stated_answer(text)) {
    const auto formulas = formulas_of(*stated);
    if (!formulas.empty()) add(formulas.front(), "stated formula");
    add(stated, "stated answer");
    if (candidates.size() == 1) add(last_number(*stated), "stated number");
    return candidates;
  }
  if (text.size() <= kMaxMathValueBytes) add(std::string(text), "whole text");
  const auto formulas = formulas_of(text);
  if (!formulas.empty()) {
    add(formulas.back(), "last formula");
  } else {
    add(last_number(text), "last number");
  }
  return candidates;
}

/// The text up to a further question that a model went on to ask itself.
std::string_view before_next_question(std::string_view text) {
  static const Regex kNext(R"(\n\s*(?:\*\*)?(?:Question|Problem|Q)\s*[0-9]{0,4}\s*[:.])");
  const auto next = kNext.match(text);
  return next ? text.substr(0, text.find(next->at(0))) : text;
}

std::optional<std::string> number_of_gsm8k(std::string_view text) {
  constexpr std::string_view kMark = "####";
  const size_t mark = text.find(kMark);
  if (mark != std::string_view::npos) {
    const auto line = text.substr(mark + kMark.size());
    if (auto number = last_number(line.substr(0, line.find('\n')))) return number;
  }
  const Boxed box = last_boxed(text);
  if (box.kind == Boxed::Kind::kCut) return std::nullopt;
  if (box.kind == Boxed::Kind::kComplete) {
    if (same_number(box.content, box.content)) return box.content;
    if (auto number = last_number(box.content)) return number;
  }
  if (const auto stated = stated_answer(text)) {
    if (auto number = last_number(*stated)) return number;
  }
  return last_number(text);
}

}  // namespace

TextScore score_math(std::string_view prediction, std::string_view gold) {
  const Boxed gold_box = last_boxed(gold);
  const std::string wanted =
      gold_box.kind == Boxed::Kind::kComplete ? gold_box.content : std::string(gold);
  const MathValue gold_value = parse_math_value(wanted);
  TextScore score;
  score.rule = "no answer";
  for (const auto& [text, rule] : candidates_of(prediction)) {
    score.rule = rule;
    if (hendrycks_equal(text, wanted)) return {1, {}, rule, {}};
    MathValue value = parse_math_value(text);
    const Equality equal = compare_values(value, gold_value);
    if (equal == Equality::kEqual) return {1, {}, rule, {}};
    if (equal == Equality::kUnknown && text.size() <= kMaxMathValueBytes) {
      score.question = {std::move(value), gold_value};
    }
  }
  return score;
}

TextScore score_gsm8k(std::string_view prediction, std::string_view gold) {
  const auto number = number_of_gsm8k(before_next_question(prediction));
  if (!number) return {0, {}, "no number", {}};
  return {same_number(*number, gold) ? 1.0 : 0.0, {}, "number", {}};
}

}  // namespace weft
