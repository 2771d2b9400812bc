#include "sandbox/value/compare.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <functional>
#include <unordered_map>

#include "base/error.h"

namespace weft {
namespace {

using Kind = PythonValue::Kind;

bool is_integer(const PythonValue& v) {
  return v.kind == Kind::kBool || v.kind == Kind::kInt || v.kind == Kind::kBigInt;
}
bool is_number(const PythonValue& v) {
  return is_integer(v) || v.kind == Kind::kFloat || v.kind == Kind::kComplex ||
         v.kind == Kind::kFraction;
}
bool is_sequence(const PythonValue& v) {
  return v.kind == Kind::kList || v.kind == Kind::kTuple || v.kind == Kind::kDeque;
}
bool is_set(const PythonValue& v) { return v.kind == Kind::kSet || v.kind == Kind::kFrozenset; }

// A number with an integral value as the integer it equals; else unchanged, but for a complex one
// that is real.
PythonValue canonical(const PythonValue& v) {
  if (v.kind == Kind::kFraction) return v.items[1].number == 1 ? v.items[0] : v;
  if (v.kind == Kind::kBool) return PythonValue::integer(v.number);
  double real = v.real;
  if (v.kind == Kind::kComplex) {
    if (v.imag != 0) return v;
  } else if (v.kind != Kind::kFloat) {
    return v;
  }
  if (!std::isfinite(real) || real != std::floor(real)) return PythonValue::real_number(real);
  if (std::abs(real) < 9.0e18) return PythonValue::integer(static_cast<int64_t>(real));
  char digits[400];
  const auto end = std::to_chars(digits, digits + sizeof digits, real, std::chars_format::fixed);
  return python_int({digits, static_cast<size_t>(end.ptr - digits)});
}

PythonValue power_of_two(int exponent) {
  if (exponent < 63) return PythonValue::integer(int64_t{1} << exponent);
  PythonValue value;
  value.kind = Kind::kBigInt;
  value.text.assign(static_cast<size_t>(exponent) / 8, '\0');
  value.text += static_cast<char>(1 << exponent % 8);
  if (exponent % 8 == 7) value.text += '\0';  // the sign
  return value;
}

// A float that is finite and no integer as the fraction that it is.
PythonValue exact_fraction(double number) {
  constexpr int kMantissaBits = 53;
  int exponent = 0;
  auto mantissa = static_cast<int64_t>(std::ldexp(std::frexp(number, &exponent), kMantissaBits));
  for (exponent -= kMantissaBits; mantissa % 2 == 0; mantissa /= 2) ++exponent;
  PythonValue fraction;
  fraction.kind = Kind::kFraction;
  fraction.items = {PythonValue::integer(mantissa), power_of_two(-exponent)};
  return fraction;
}

bool numbers_equal(const PythonValue& left, const PythonValue& right) {
  if (left.kind == Kind::kInt && right.kind == Kind::kInt) return left.number == right.number;
  PythonValue a = canonical(left), b = canonical(right);
  if (b.kind == Kind::kFraction) std::swap(a, b);
  if (a.kind == Kind::kFraction && b.kind == Kind::kFloat && std::isfinite(b.real)) {
    b = exact_fraction(b.real);
  }
  if (a.kind != b.kind) return false;
  switch (a.kind) {
    case Kind::kInt:
      return a.number == b.number;
    case Kind::kBigInt:
      return a.text == b.text;
    case Kind::kFraction:
      return numbers_equal(a.items[0], b.items[0]) && numbers_equal(a.items[1], b.items[1]);
    default:
      return a.real == b.real && a.imag == b.imag;
  }
}

// Sequences of integers, as Python compares ranges: (how many, the first, the step), where they
// matter.
std::array<int64_t, 3> members_of_range(const PythonValue& range) {
  const int64_t start = range.items[0].number, stop = range.items[1].number;
  const int64_t step = range.items[2].number;
  const auto distance = step > 0 ? static_cast<uint64_t>(stop) - static_cast<uint64_t>(start)
                                 : static_cast<uint64_t>(start) - static_cast<uint64_t>(stop);
  const auto stride = step > 0 ? static_cast<uint64_t>(step) : -static_cast<uint64_t>(step);
  if (step > 0 ? stop <= start : stop >= start) return {0, 0, 0};
  const auto count = static_cast<int64_t>((distance - 1) / stride + 1);
  return {count, start, count == 1 ? 0 : step};
}

// The number as mantissa x 2^exponent, the mantissa below 1 or not finite.
double split_number(const PythonValue& v, int& exponent) {
  exponent = 0;
  if (v.kind != Kind::kBigInt) return std::frexp(static_cast<double>(v.number), &exponent);
  double mantissa = (v.text.back() & 0x80) ? -1 : 0;
  const size_t least = v.text.size() - std::min<size_t>(v.text.size(), 16);
  for (size_t i = v.text.size(); i-- > least;) {
    mantissa = mantissa * 256 + static_cast<uint8_t>(v.text[i]);
  }
  mantissa = std::frexp(mantissa, &exponent);
  exponent += 8 * static_cast<int>(least);
  return mantissa;
}

double to_double(const PythonValue& v) {
  if (v.kind == Kind::kFloat) return v.real;
  if (v.kind != Kind::kFraction) {
    int exponent = 0;
    const double mantissa = split_number(v, exponent);
    return std::ldexp(mantissa, exponent);
  }
  int above = 0, below = 0;
  const double numerator = split_number(v.items[0], above);
  const double denominator = split_number(v.items[1], below);
  return std::ldexp(numerator / denominator, above - below);
}

size_t mix(size_t seed, size_t value) {
  return seed ^ (value + 0x9e3779b97f4a7c15ULL + (seed << 6) + (seed >> 2));
}

// Equal values have equal hashes under every comparer that has no tolerance.
size_t hash_value(const PythonValue& value) {
  if (is_number(value)) {
    const PythonValue c = canonical(value);
    if (c.kind == Kind::kInt) return std::hash<int64_t>{}(c.number);
    if (c.kind == Kind::kBigInt) return std::hash<std::string>{}(c.text);
    const double real = c.kind == Kind::kFraction ? to_double(c) : c.real;
    return mix(std::hash<double>{}(real), std::hash<double>{}(c.imag));
  }
  if (value.kind == Kind::kRange) {
    const auto members = members_of_range(value);
    return mix(static_cast<size_t>(members[0]), static_cast<size_t>(members[1]));
  }
  size_t hash = std::hash<std::string>{}(value.text);
  if (is_sequence(value)) {
    for (const auto& item : value.items) hash = mix(hash, hash_value(item));
  } else if (is_set(value)) {
    for (const auto& item : value.items) hash += hash_value(item);
  } else if (value.kind == Kind::kDict) {
    for (size_t i = 0; i < value.items.size(); i += 2) {
      hash += mix(hash_value(value.items[i]), hash_value(value.items[i + 1]));
    }
  }
  return hash;
}

bool close(double got, double expected, const Comparer::Tolerance& tolerance) {
  if (got == expected) return true;
  if (!std::isfinite(got) || !std::isfinite(expected)) return false;
  return std::abs(got - expected) <= std::max(tolerance.abs, tolerance.rel * std::abs(expected));
}

class Matcher {
 public:
  explicit Matcher(const Comparer& comparer) : comparer_(comparer) {}

  bool equal(const PythonValue& got, const PythonValue& expected) const;

  // Items of `width` values each (1, or 2 for dicts), matched by the first in any order.
  bool any_order(const PythonValue& got, const PythonValue& expected, size_t width) const;

 private:
  bool in_order(const PythonValue& got, const PythonValue& expected) const;

  const Comparer& comparer_;
};

bool Matcher::in_order(const PythonValue& got, const PythonValue& expected) const {
  return std::equal(got.items.begin(), got.items.end(), expected.items.begin(),
                    expected.items.end(),
                    [&](const auto& a, const auto& b) { return equal(a, b); });
}

bool Matcher::any_order(const PythonValue& got, const PythonValue& expected, size_t width) const {
  if (got.items.size() != expected.items.size()) return false;
  const bool exact_keys = !comparer_.tolerance || width == 2;
  const Comparer exact{comparer_.lenient_sequences, false, std::nullopt};
  const Matcher key_matcher(exact_keys ? exact : comparer_);
  const auto bucket = [&](const PythonValue& v) { return exact_keys ? hash_value(v) : 0; };
  std::unordered_multimap<size_t, const PythonValue*> open;
  for (size_t i = 0; i < expected.items.size(); i += width) {
    open.emplace(bucket(expected.items[i]), &expected.items[i]);
  }
  for (size_t i = 0; i < got.items.size(); i += width) {
    auto [at, end] = open.equal_range(bucket(got.items[i]));
    while (at != end && !key_matcher.equal(got.items[i], *at->second)) ++at;
    if (at == end) return false;
    if (width == 2 && !equal(got.items[i + 1], at->second[1])) return false;
    open.erase(at);
  }
  return true;
}

bool Matcher::equal(const PythonValue& got, const PythonValue& expected) const {
  if (is_number(got) && is_number(expected)) {
    if (numbers_equal(got, expected)) return true;
    if (!comparer_.tolerance) return false;
    if (got.kind == Kind::kComplex || expected.kind == Kind::kComplex) {
      return close(got.kind == Kind::kComplex ? got.real : to_double(got),
                   expected.kind == Kind::kComplex ? expected.real : to_double(expected),
                   *comparer_.tolerance) &&
             close(got.imag, expected.imag, *comparer_.tolerance);
    }
    return close(to_double(got), to_double(expected), *comparer_.tolerance);
  }
  if (is_sequence(got) && is_sequence(expected)) {
    return (got.kind == expected.kind || comparer_.lenient_sequences) && in_order(got, expected);
  }
  if (is_set(got) && is_set(expected)) return any_order(got, expected, 1);
  if (got.kind != expected.kind) return false;
  if (got.kind == Kind::kDict) return any_order(got, expected, 2);
  if (got.kind == Kind::kRange) return members_of_range(got) == members_of_range(expected);
  return got.text == expected.text;
}

std::optional<Comparer::Tolerance> tolerance_from(const Json& json, const std::string& where) {
  for (const auto& [key, value] : json.items()) {
    if (key != "abs" && key != "rel") {
      throw InputError(where + ": compare knows \"abs\" and \"rel\", got \"" + key + "\"");
    }
  }
  Comparer::Tolerance tolerance;
  tolerance.abs = get_field_or<double>(json, "abs", 0, where);
  tolerance.rel = get_field_or<double>(json, "rel", 0, where);
  if (!(tolerance.abs >= 0 && tolerance.rel >= 0)) {
    throw InputError(where + ": compare expects abs >= 0 and rel >= 0");
  }
  return tolerance;
}

std::vector<std::string_view> split(std::string_view text, const char* separators,
                                    bool keep_empty) {
  std::vector<std::string_view> parts;
  size_t start = 0;
  while (start <= text.size()) {
    const size_t end = std::min(text.find_first_of(separators, start), text.size());
    if (keep_empty || end > start) parts.push_back(text.substr(start, end - start));
    start = end + 1;
  }
  return parts;
}

std::vector<std::string_view> lines_of(std::string_view text) {
  auto lines = split(text, "\n", true);
  for (auto& line : lines) {
    const size_t last = line.find_last_not_of(" \t\r\f\v");
    line = line.substr(0, last == std::string_view::npos ? 0 : last + 1);
  }
  while (!lines.empty() && lines.back().empty()) lines.pop_back();
  return lines;
}

bool tokens_close(std::string_view got, std::string_view expected,
                  const Comparer::Tolerance& tolerance) {
  double a = 0, b = 0;
  const auto x = std::from_chars(got.data(), got.data() + got.size(), a);
  const auto y = std::from_chars(expected.data(), expected.data() + expected.size(), b);
  return x.ec == std::errc{} && y.ec == std::errc{} && x.ptr == got.data() + got.size() &&
         y.ptr == expected.data() + expected.size() && close(a, b, tolerance);
}

}  // namespace

Comparer Comparer::from_json(const Json& json, const std::string& where) {
  Comparer comparer;
  if (json.is_object()) {
    comparer.tolerance = tolerance_from(json, where);
  } else if (json == "lenient_sequences") {
    comparer.lenient_sequences = true;
  } else if (json == "multiset") {
    comparer.multiset = true;
  } else if (!json.is_null() && json != "exact") {
    throw InputError(where +
                     ": compare expects \"exact\", \"lenient_sequences\", \"multiset\" or "
                     "{\"abs\",\"rel\"}, got " +
                     dump_json(json));
  }
  return comparer;
}

bool Comparer::equal(const PythonValue& got, const PythonValue& expected) const {
  const Matcher matcher(*this);
  const auto is_collection = [](const PythonValue& v) { return is_sequence(v) || is_set(v); };
  if (multiset && is_collection(got) && is_collection(expected)) {
    return matcher.any_order(got, expected, 1);
  }
  return matcher.equal(got, expected);
}

OutputComparer OutputComparer::from_json(const Json& json, const std::string& where) {
  OutputComparer comparer;
  if (json.is_object()) {
    comparer.tolerance = tolerance_from(json, where);
  } else if (json == "lines") {
    comparer.kind = Kind::kLines;
  } else if (json == "exact") {
    comparer.kind = Kind::kExact;
  } else if (!json.is_null() && json != "tokens") {
    throw InputError(
        where + ": compare expects \"tokens\", \"lines\", \"exact\" or {\"abs\",\"rel\"}, got " +
        dump_json(json));
  }
  return comparer;
}

bool OutputComparer::equal(std::string_view got, std::string_view expected) const {
  if (kind == Kind::kExact) return got == expected;
  if (kind == Kind::kLines) return lines_of(got) == lines_of(expected);
  const auto a = split(got, " \t\r\n\f\v", false), b = split(expected, " \t\r\n\f\v", false);
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](auto x, auto y) {
    return x == y || (tolerance && tokens_close(x, y, *tolerance));
  });
}

}  // namespace weft
