#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "base/python_string.h"
#include "base/utf8.h"
#include "data/regex.h"
#include "data/scorers/score.h"
#include "data/scorers/words.h"

namespace weft {
namespace {

std::string stripped(std::string_view text) { return std::string(python::strip(text, true, true)); }

std::optional<double> last_number_of_aflow(std::string_view text) {
  static const Regex kNumber(R"([-+]?\d+(?:,\d{3})*+(?:\.\d+)?|\d+\.\d+)");
  auto all = kNumber.find_all(text);
  if (all.empty()) return std::nullopt;
  std::erase(all.back(), ',');
  return std::strtod(all.back().c_str(), nullptr);
}

TextScore score_number(std::string_view prediction, std::string_view gold) {
  const auto given = last_number_of_aflow(prediction), wanted = last_number_of_aflow(gold);
  const bool right = given && wanted && std::abs(*given - *wanted) <= 1e-6;
  return {right ? 1.0 : 0.0, {}, "number", {}};
}

/// Its pattern sees one level of braces within a box: what holds two is read as if it had none.
std::string answer_of_aflow(std::string_view text) {
  static const Regex kBox(R"(\\boxed\{((?:[^{}]|\{[^{}]*+\})*+)\})");
  static const Regex kSentenceEnd(R"((?<!\d)[.!?]\s+)");
  auto boxes = kBox.find_groups(text, 1);
  if (!boxes.empty()) return stripped(boxes.back());
  std::string last = stripped(text);
  const auto ends = kSentenceEnd.find_all(last);
  if (ends.empty()) return last;
  return stripped(std::string_view(last).substr(last.rfind(ends.back()) + ends.back().size()));
}

std::optional<double> digits_of_aflow(std::string_view text) {
  static const Regex kNumber(R"(^\s*[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?\s*$)");
  std::string number(text);
  std::erase(number, ',');
  double scale = 1;
  if (!number.empty() && number.back() == '%') {
    scale = 100;
    number.pop_back();
    if (!number.empty() && number.back() == '\\') number.pop_back();
  }
  if (!kNumber.match(number)) return std::nullopt;
  return std::strtod(number.c_str(), nullptr) / scale;
}

TextScore score_math_of_aflow(std::string_view prediction, std::string_view gold) {
  const std::string given = answer_of_aflow(prediction), wanted = answer_of_aflow(gold);
  if (given == wanted) return {1, {}, "text", {}};
  const auto x = digits_of_aflow(given), y = digits_of_aflow(wanted);
  if (x && y) {
    const double bound = std::max(1e-9 * std::max(std::abs(*x), std::abs(*y)), 1e-3);
    return {std::abs(*x - *y) <= bound ? 1.0 : 0.0, {}, "number", {}};
  }
  TextScore score;
  score.rule = "symbols";
  if (given.size() > kMaxMathValueBytes || wanted.size() > kMaxMathValueBytes) return score;
  score.question.emplace();
  score.question->style = SymbolicQuestion::Style::kAflow;
  score.question->prediction.leaf = given;
  score.question->gold.leaf = wanted;
  return score;
}

TextScore score_words(std::string_view prediction, std::string_view gold) {
  TextScore best;
  best.rule = "F1";
  best.exact_match = 0;
  for (const auto reference : split_at(gold, '|')) {
    const std::string wanted = squad_form(reference);
    for (const auto part : split_at(prediction, '|')) {
      const std::string given = squad_form(part);
      best.score = std::max(best.score, bag_f1(words_of(given), words_of(wanted)));
      if (given == wanted) best.exact_match = 1;
    }
  }
  return best;
}

std::string letter_of_aflow(std::string_view text) {
  static const Regex kLetter(R"(^[(\[]?([a-z])[)\].:]{0,2}$)");
  const std::string lower = python::lower(stripped(to_valid_utf8(text)));
  const auto match = kLetter.match(lower);
  return match ? match->at(1) : lower;
}

}  // namespace

TextScore score_as_aflow(const Task& task, std::string_view answer) {
  switch (task.kind) {
    case TaskKind::kMath:
      return task.dataset == "gsm8k" || task.dataset == "gsm_hard"
                 ? score_number(answer, task.answer)
                 : score_math_of_aflow(answer, task.answer);
    case TaskKind::kQa:
      return score_words(answer, task.answer);
    case TaskKind::kChoice:
      return {
          letter_of_aflow(answer) == letter_of_aflow(task.answer) ? 1.0 : 0.0, {}, "letter", {}};
    case TaskKind::kCode:
      break;
  }
  return {};
}

}  // namespace weft
