#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iterator>
#include <utility>

#include "data/regex.h"
#include "data/score.h"

namespace weft {
namespace {

/// LaTeX without what does not change the value: spaces, \left, \right, \!, $, degrees, d/tfrac.
std::string normalise_latex(std::string_view text) {
  static constexpr std::pair<std::string_view, std::string_view> kRules[] = {
      {"\\left", ""},
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
      {"\n", ""},
      {"\xE2\x88\x92", "-"}};  // the last one is the minus sign
  std::string normal;
  for (size_t at = 0; at < text.size();) {
    const auto* const rule = std::find_if(std::begin(kRules), std::end(kRules), [&](const auto& r) {
      return text.compare(at, r.first.size(), r.first) == 0;
    });
    if (rule == std::end(kRules)) {
      normal += text[at++];
    } else {
      normal += rule->second;
      at += rule->first.size();
    }
  }
  while (!normal.empty() && normal.back() == '.') normal.pop_back();
  return normal;
}

/// A text that is a number as a whole: 1,234.5, -3/4, \frac{3}{4}, 1e5, 12%.
struct Number {
  double value = 0;
  std::string integer;  ///< sign and digits of an integer, as long as it is written; else empty
  bool percent = false;
};

/// "-7" for "-007" and "-7.0"; empty for what is no integer.
std::string integer_of(const std::string& sign, const std::string& decimal) {
  const size_t point = decimal.find('.');
  if (point != std::string::npos &&
      decimal.find_first_not_of('0', point + 1) != std::string::npos) {
    return "";
  }
  const std::string digits = decimal.substr(0, point);
  const size_t first = digits.find_first_not_of('0');
  if (first == std::string::npos) return "0";
  return (sign == "-" ? "-" : "") + digits.substr(first);
}

std::optional<Number> number_of(const std::string& normalised) {
  static const Regex kNumber(
      R"(^([-+]?)([0-9]++(?:\.[0-9]*+)?|\.[0-9]++)([eE][-+]?[0-9]++)?(?:/([0-9]++(?:\.[0-9]*+)?|\.[0-9]++))?(%?)$)");
  static const Regex kFraction(R"(^([-+]?)\\frac\{([-+]?[0-9.]++)\}\{([-+]?[0-9.]++)\}$)");
  static const Regex kThousands(R"(,(?=[0-9]{3}(?![0-9])))");
  std::string text = kThousands.replace(normalised, "");
  if (const auto match = kFraction.match(text)) {
    text = match->at(1) + match->at(2) + "/" + match->at(3);
  }
  const auto match = kNumber.match(text);
  if (!match) return std::nullopt;
  Number number;
  const auto& divisor = match->at(4);
  number.value = std::strtod((match->at(1) + match->at(2) + match->at(3)).c_str(), nullptr);
  if (!divisor.empty()) number.value /= std::strtod(divisor.c_str(), nullptr);
  number.percent = !match->at(5).empty();
  if (match->at(3).empty() && divisor.empty()) {
    number.integer = integer_of(match->at(1), match->at(2));
  }
  if (number.integer.empty() && !std::isfinite(number.value)) return std::nullopt;
  return number;
}

bool close(double x, double y) {
  return x == y || std::abs(x - y) <= 1e-12 * std::max(std::abs(x), std::abs(y));
}

bool numbers_equal(const Number& x, const Number& y) {
  if (!x.integer.empty() && !y.integer.empty() ? x.integer == y.integer : close(x.value, y.value)) {
    return true;
  }
  return x.percent != y.percent &&
         close(x.percent ? x.value / 100 : x.value, y.percent ? y.value / 100 : y.value);
}

std::optional<std::string> last_number(std::string_view text) {
  static const Regex kNumbers(
      R"((?:(?<!\w)[-+−])?(?:(?:[0-9]{1,3}(?:,[0-9]{3})++(?![0-9])|[0-9]++)(?:\.[0-9]++)?|\.[0-9]++))"
      R"((?:[eE][-+]?[0-9]++(?!\w))?(?:/[0-9]++(?:\.[0-9]++)?)?(?:\\?%)?)");
  auto all = kNumbers.find_all(text);
  if (all.empty()) return std::nullopt;
  return std::move(all.back());
}

/// Whether two answers, each a value as a whole, are equal.
bool values_equal(std::string_view prediction, std::string_view gold) {
  const auto a = normalise_latex(prediction), b = normalise_latex(gold);
  if (a == b) return true;
  const auto x = number_of(a), y = number_of(b);
  return x && y && numbers_equal(*x, *y);
}

}  // namespace

Boxed last_boxed(std::string_view text) {
  static constexpr std::string_view kOpen = "\\boxed{";
  const size_t at = text.rfind(kOpen);
  if (at == std::string_view::npos) return {};
  const size_t start = at + kOpen.size();
  int depth = 1;
  for (size_t i = start; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;  // \{, \} and \\ are no braces
      continue;
    }
    depth += (text[i] == '{') - (text[i] == '}');
    if (depth == 0) return {Boxed::Kind::kComplete, std::string(text.substr(start, i - start))};
  }
  return {Boxed::Kind::kCut, {}};
}

bool math_equal(std::string_view prediction, std::string_view gold) {
  const Boxed gold_box = last_boxed(gold), box = last_boxed(prediction);
  const std::string wanted =
      gold_box.kind == Boxed::Kind::kComplete ? gold_box.content : std::string(gold);
  if (box.kind == Boxed::Kind::kCut) return false;
  if (box.kind == Boxed::Kind::kComplete) return values_equal(box.content, wanted);
  if (values_equal(prediction, wanted)) return true;
  const auto number = last_number(prediction);
  return number && values_equal(*number, wanted);
}

}  // namespace weft
