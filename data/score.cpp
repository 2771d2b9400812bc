#include "data/score.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

#include "base/error.h"
#include "data/regex.h"

namespace weft {
namespace {

std::string replace_all(std::string text, std::string_view from, std::string_view to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
  return text;
}

/// LaTeX without what does not change the value: spaces, \left, \right, \!, $, degrees, d/tfrac.
std::string normalise_latex(std::string text) {
  static constexpr std::pair<const char*, const char*> kRules[] = {{"\\left", ""},
                                                                   {"\\right", ""},
                                                                   {"\\!", ""},
                                                                   {"\\,", ""},
                                                                   {"\\$", ""},
                                                                   {"$", ""},
                                                                   {"^\\circ", ""},
                                                                   {"^{\\circ}", ""},
                                                                   {"\\tfrac", "\\frac"},
                                                                   {"\\dfrac", "\\frac"},
                                                                   {"\\%", "%"},
                                                                   {" ", ""},
                                                                   {"\n", ""}};
  for (const auto& [from, to] : kRules) text = replace_all(std::move(text), from, to);
  while (!text.empty() && text.back() == '.') text.pop_back();
  return text;
}

/// The value of a text that is a number as a whole: 1,234.5, -3/4, \frac{3}{4}, 12%.
std::optional<double> number_of(std::string text) {
  static const Regex kNumber(
      R"(^([-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)(?:/([0-9]*\.?[0-9]+))?(%?)$)");
  static const Regex kFraction(R"(^([-+]?)\\frac\{([-+]?[0-9.]+)\}\{([-+]?[0-9.]+)\}$)");
  static const Regex kThousands(R"(,(?=[0-9]{3}(?![0-9])))");
  text = kThousands.replace(text, "");
  if (const auto match = kFraction.match(text)) {
    text = match->at(1) + match->at(2) + "/" + match->at(3);
  }
  const auto match = kNumber.match(text);
  if (!match) return std::nullopt;
  double value = std::strtod(match->at(1).c_str(), nullptr);
  if (!match->at(2).empty()) value /= std::strtod(match->at(2).c_str(), nullptr);
  if (!match->at(3).empty()) value /= 100;
  if (!std::isfinite(value)) return std::nullopt;
  return value;
}

std::optional<std::string> last_number(std::string_view text) {
  static const Regex kNumbers(
      R"((?:(?<!\w)[-+])?(?:(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+)(?:/[0-9]+)?%?)");
  const auto all = kNumbers.find_all(text);
  if (all.empty()) return std::nullopt;
  return all.back();
}

/// Whether two answers, each a value as a whole, are equal.
bool values_equal(const std::string& prediction, const std::string& gold) {
  const auto a = normalise_latex(prediction), b = normalise_latex(gold);
  if (a == b) return true;
  const auto x = number_of(a), y = number_of(b);
  if (!x || !y) return false;
  return std::abs(*x - *y) <= std::max(1e-3, 1e-9 * std::max(std::abs(*x), std::abs(*y)));
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == separator) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

std::vector<std::string> qa_tokens(std::string_view text) {
  std::string cleaned;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    const bool decimal_point = c == '.' && i > 0 && i + 1 < text.size() && isdigit(text[i - 1]) &&
                               isdigit(static_cast<unsigned char>(text[i + 1]));
    if (std::ispunct(c) && !decimal_point) continue;
    cleaned += static_cast<char>(std::tolower(c));
  }
  std::vector<std::string> tokens;
  for (const auto& line : split(replace_all(replace_all(cleaned, "\n", " "), "\t", " "), ' ')) {
    if (!line.empty() && line != "a" && line != "an" && line != "the") tokens.push_back(line);
  }
  return tokens;
}

double f1_of_pair(const std::string& prediction, const std::string& gold) {
  const auto predicted = qa_tokens(prediction), wanted = qa_tokens(gold);
  std::map<std::string, int> left;
  for (const auto& token : wanted) ++left[token];
  int common = 0;
  for (const auto& token : predicted) {
    if (left[token]-- > 0) ++common;
  }
  if (common == 0) return 0;
  const double precision = common / static_cast<double>(predicted.size());
  const double recall = common / static_cast<double>(wanted.size());
  return 2 * precision * recall / (precision + recall);
}

}  // namespace

std::optional<std::string> last_boxed(std::string_view text) {
  static constexpr std::string_view kOpen = "\\boxed{";
  for (size_t at = text.rfind(kOpen); at != std::string_view::npos;
       at = at == 0 ? std::string_view::npos : text.rfind(kOpen, at - 1)) {
    int depth = 1;
    const size_t start = at + kOpen.size();
    for (size_t i = start; i < text.size(); ++i) {
      depth += (text[i] == '{') - (text[i] == '}');
      if (depth == 0) return std::string(text.substr(start, i - start));
    }
  }
  return std::nullopt;
}

bool math_equal(std::string_view prediction, std::string_view gold) {
  const std::string wanted = last_boxed(gold).value_or(std::string(gold));
  if (const auto boxed = last_boxed(prediction)) return values_equal(*boxed, wanted);
  if (values_equal(std::string(prediction), wanted)) return true;
  const auto number = last_number(prediction);
  return number && values_equal(*number, wanted);
}

double token_f1(std::string_view prediction, std::string_view gold) {
  double best = 0;
  for (const auto& wanted : split(gold, '|')) {
    for (const auto& predicted : split(prediction, '|')) {
      best = std::max(best, f1_of_pair(predicted, wanted));
    }
  }
  return best;
}

std::optional<char> chosen_letter(std::string_view text) {
  static const Regex kRules[] = {Regex(R"((?i:answer\s+is)\s*:?\s*\**\(?([A-J])\b)"),
                                 Regex(R"((?i:answer)\s*:\s*\**\(?([A-J])\b)"),
                                 Regex(R"(\\boxed\{\(?([A-J])\)?\})"), Regex(R"(^\W*([A-J])\W*$)"),
                                 Regex(R"((?<![\w'])([B-HJ])(?![\w']))")};
  for (const auto& rule : kRules) {
    const auto all = rule.find_groups(text, 1);
    if (!all.empty()) return all.back()[0];
  }
  return std::nullopt;
}

double score_answer(const Task& task, const std::string& answer) {
  switch (task.kind) {
    case TaskKind::kMath:
      return math_equal(answer, task.answer) ? 1 : 0;
    case TaskKind::kQa:
      return token_f1(answer, task.answer);
    case TaskKind::kChoice: {
      const auto chosen = chosen_letter(answer), gold = chosen_letter(task.answer);
      return chosen && chosen == gold ? 1 : 0;
    }
    case TaskKind::kCode:
      break;
  }
  WEFT_ASSERT(!"code tasks are scored by running them");
  return 0;
}

}  // namespace weft
