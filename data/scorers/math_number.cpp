#include "data/scorers/math_number.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "data/regex.h"
#include "data/scorers/math_value.h"

namespace weft {
namespace {

double to_double(const std::string& text) { return std::strtod(text.c_str(), nullptr); }

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

/// The sign of one half of a fraction goes before it.
std::string combined_sign(const std::string& a, const std::string& b, const std::string& c) {
  const int minus = (a == "-") + (b == "-") + (c == "-");
  return minus % 2 == 1 ? "-" : "";
}

std::optional<MathNumber> fraction_of(const std::string& leaf) {
  static const Regex kFraction(
      R"(^([-+]?)([0-9]*+)\\frac\{([-+]?)([0-9.]++)\}\{([-+]?)([0-9.]++)\}(%?)$)");
  const auto match = kFraction.match(leaf);
  if (!match) return std::nullopt;
  const double below = to_double(match->at(6));
  MathNumber number;
  number.value = to_double(match->at(4)) / below + to_double("0" + match->at(2));
  if (combined_sign(match->at(1), match->at(3), match->at(5)) == "-") number.value = -number.value;
  number.percent = !match->at(7).empty();
  if (!std::isfinite(number.value)) return std::nullopt;
  return number;
}

bool close(double x, double y) {
  return x == y || std::abs(x - y) <= 1e-12 * std::max(std::abs(x), std::abs(y));
}

}  // namespace

std::optional<MathNumber> math_number(const std::string& leaf) {
  static const Regex kNumber(
      R"(^([-+]?)([0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE]([-+]?[0-9]++)|\*10\^\{?([-+]?[0-9]++)\}?)?)"
      R"((?:/([0-9]++(?:\.[0-9]*+)?|\.[0-9]++))?(%?)$)");
  static const Regex kThousands(R"(,(?=[0-9]{3}(?![0-9])))");
  if (auto fraction = fraction_of(leaf)) return fraction;
  const auto match =
      kNumber.match(leaf.find(',') == std::string::npos ? leaf : kThousands.replace(leaf, ""));
  if (!match) return std::nullopt;
  const std::string power = match->at(3) + match->at(4);
  const std::string& divisor = match->at(5);
  MathNumber number;
  number.value = to_double(match->at(1) + match->at(2) + (power.empty() ? "" : "e" + power));
  if (!divisor.empty()) number.value /= to_double(divisor);
  number.percent = !match->at(6).empty();
  if (power.empty() && divisor.empty()) {
    const size_t point = match->at(2).find('.');
    number.integer = integer_of(match->at(1), match->at(2));
    number.decimals =
        point == std::string::npos ? 0 : static_cast<int>(match->at(2).size() - point - 1);
  }
  if (number.integer.empty() && !std::isfinite(number.value)) return std::nullopt;
  return number;
}

bool numbers_equal(const MathNumber& prediction, const MathNumber& gold) {
  if (!prediction.integer.empty() && !gold.integer.empty() ? prediction.integer == gold.integer
                                                           : close(prediction.value, gold.value)) {
    return true;
  }
  if (prediction.percent != gold.percent) {
    return close(prediction.percent ? prediction.value / 100 : prediction.value,
                 gold.percent ? gold.value / 100 : gold.value);
  }
  if (gold.decimals < 1 || (prediction.decimals >= 0 && prediction.decimals <= gold.decimals)) {
    return false;
  }
  return std::abs(prediction.value - gold.value) <= 0.5 * std::pow(10, -gold.decimals) * (1 + 1e-9);
}

std::optional<std::string> last_number(std::string_view text) {
  static const Regex kNumbers(
      R"((?:(?<!\w)[-+−])?(?:(?:[0-9]{1,3}(?:,[0-9]{3})++(?![0-9])|[0-9]++)(?:\.[0-9]++)?|\.[0-9]++))"
      R"((?:[eE][-+]?[0-9]++(?!\w))?(?:/[0-9]++(?:\.[0-9]++)?)?(?:\\?%)?)");
  auto all = kNumbers.find_all(text);
  if (all.empty()) return std::nullopt;
  return std::move(all.back());
}

bool same_number(std::string_view prediction, std::string_view gold) {
  const MathValue a = parse_math_value(prediction), b = parse_math_value(gold);
  if (a.kind != MathValue::Kind::kLeaf || b.kind != MathValue::Kind::kLeaf) return false;
  const auto x = math_number(a.leaf), y = math_number(b.leaf);
  return x && y && numbers_equal(*x, *y);
}

}  // namespace weft
