#include "model/tokenizer/jinja/number.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "base/error.h"
#include "base/python_string.h"

namespace weft::jinja {

using namespace python;
namespace {

constexpr Int kExact = Int{1} << 53;

[[noreturn]] void too_large() {
  throw InputError("an integer of more than 127 bits is not known here");
}

Order order_of(double a, double b) {
  if (a < b) return Order::kLess;
  if (a > b) return Order::kGreater;
  return a == b ? Order::kEqual : Order::kNone;
}

Order order_of(Int a, double b) {
  if (std::isnan(b)) return Order::kNone;
  if (b >= 0x1p126) return Order::kLess;
  if (b <= -0x1p126) return Order::kGreater;
  const auto whole = static_cast<Int>(b);
  if (a != whole) return a < whole ? Order::kLess : Order::kGreater;
  return order_of(0.0, b - std::trunc(b));
}

Order reversed(Order order) {
  if (order == Order::kLess) return Order::kGreater;
  return order == Order::kGreater ? Order::kLess : order;
}

// Python's floor division and modulo of floats.
double float_modulo(double a, double b, bool quotient) {
  double rest = std::fmod(a, b);
  double div = (a - rest) / b;
  if (rest != 0) {
    if ((b < 0) != (rest < 0)) {
      rest += b;
      div -= 1;
    }
  } else {
    rest = std::copysign(0.0, b);
  }
  if (!quotient) return rest;
  if (div == 0) return std::copysign(0.0, a / b);
  const double floor = std::floor(div);
  return div - floor > 0.5 ? floor + 1 : floor;
}

Value float_power(double a, double b) {
  if (a == 0 && b < 0) throw InputError("0 to a negative power");
  if (a < 0 && b != std::floor(b)) throw InputError("a complex number is not known here");
  const double result = std::pow(a, b);
  if (std::isinf(result) && std::isfinite(a) && std::isfinite(b)) {
    throw InputError("the result is too large");
  }
  return result;
}

Value int_power(Int a, Int b) {
  if (b < 0) return float_power(static_cast<double>(a), static_cast<double>(b));
  if (a == 0 || a == 1) return b == 0 ? Int{1} : a;
  if (a == -1) return b % 2 == 0 ? Int{1} : a;
  Int result = 1;
  for (Int i = 0; i < b; ++i) {
    if (__builtin_mul_overflow(result, a, &result)) too_large();
  }
  return result;
}

Value int_arithmetic(std::string_view op, Int a, Int b) {
  Int result = 0;
  if (op == "+"   ? __builtin_add_overflow(a, b, &result)
      : op == "-" ? __builtin_sub_overflow(a, b, &result)
                  : op == "*" && __builtin_mul_overflow(a, b, &result)) {
    too_large();
  }
  if (op == "+" || op == "-" || op == "*") return result;
  if (op == "**") return int_power(a, b);
  if (b == -1) {  // the one quotient that overflows
    if (op == "%") return Int{0};
    if (__builtin_sub_overflow(Int{0}, a, &result)) too_large();
    return op == "/" ? Value(static_cast<double>(result)) : Value(result);
  }
  if (op == "/") {
    if (std::max(a, b) > kExact || std::min(a, b) < -kExact) {
      throw InputError("the quotient of integers beyond 2^53 is not known here");
    }
    return static_cast<double>(a) / static_cast<double>(b);
  }
  const Int quotient = a / b - ((a % b != 0 && (a < 0) != (b < 0)) ? 1 : 0);
  return op == "//" ? quotient : a - quotient * b;
}

// The text without white space around it and underscores between digits; nullopt where Python takes
// none.
std::optional<std::string> plain_number(const std::string& text) {
  const std::string_view bare = strip(text, true, true);
  std::string out;
  for (size_t i = 0; i < bare.size(); ++i) {
    const auto digit = [&](size_t at) {
      return at < bare.size() && std::isalnum(static_cast<unsigned char>(bare[at]));
    };
    if (static_cast<unsigned char>(bare[i]) >= 0x80) {
      throw InputError("digits beyond ASCII are not known here");
    }
    if (bare[i] != '_') {
      out += bare[i];
    } else if (i == 0 || !digit(i - 1) || !digit(i + 1)) {
      return std::nullopt;
    }
  }
  if (out.empty()) return std::nullopt;
  return out;
}

}  // namespace

Order order(const Value& a, const Value& b) {
  if (a.is_float() && b.is_float()) return order_of(a.as_float(), b.as_float());
  if (b.is_float()) return order_of(a.as_int(), b.as_float());
  if (a.is_float()) return reversed(order_of(b.as_int(), a.as_float()));
  if (a.as_int() == b.as_int()) return Order::kEqual;
  return a.as_int() < b.as_int() ? Order::kLess : Order::kGreater;
}

std::string number_hash(const Value& value) {
  if (!value.is_float()) return int_text(value.as_int());
  const double number = value.as_float();
  const bool whole = std::abs(number) < 0x1p126 && number == std::trunc(number);
  return whole ? int_text(static_cast<Int>(number)) : float_text(number);
}

Value arithmetic(std::string_view op, const Value& a, const Value& b) {
  if (!a.is_number() || !b.is_number()) {
    throw InputError("no operator " + std::string(op) + " between " + a.type_name() + " and " +
                     b.type_name());
  }
  const bool divides = op == "/" || op == "//" || op == "%";
  if (divides && b.as_float() == 0) throw InputError("division by zero");
  if (!a.is_float() && !b.is_float()) return int_arithmetic(op, a.as_int(), b.as_int());
  const double x = a.as_float(), y = b.as_float();
  if (op == "+") return x + y;
  if (op == "-") return x - y;
  if (op == "*") return x * y;
  if (op == "/") return x / y;
  if (op == "**") return float_power(x, y);
  return float_modulo(x, y, op == "//");
}

Value negated(const Value& value) {
  if (value.is_float()) return -value.as_float();
  if (!value.is_number()) wrong_type("a number", value);
  return int_arithmetic("-", 0, value.as_int());
}

std::string int_text(Int value, int base) {
  const bool negative = value < 0;
  std::string out;
  do {
    const int digit = static_cast<int>(value % base);
    out += "0123456789abcdef"[digit < 0 ? -digit : digit];
    value /= base;
  } while (value != 0);
  if (negative) out += '-';
  std::reverse(out.begin(), out.end());
  return out;
}

std::string float_text(double value) {
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  if (std::isnan(value)) return "nan";
  const double size = std::abs(value);
  const bool plain = size == 0 || (size >= 1e-4 && size < 1e16);
  char buffer[64];
  const auto format = plain ? std::chars_format::fixed : std::chars_format::scientific;
  std::string text(buffer, std::to_chars(buffer, buffer + sizeof buffer, value, format).ptr);
  if (plain && text.find('.') == std::string::npos) text += ".0";
  return text;
}

std::optional<Int> parse_int(std::string_view digits, int base) {
  const bool negative = digits.starts_with('-');
  if (negative || digits.starts_with('+')) digits.remove_prefix(1);
  Int value = 0;
  for (const char c : digits) {
    const int digit = c <= '9' ? c - '0' : (c | 32) - 'a' + 10;
    if (__builtin_mul_overflow(value, Int{base}, &value) ||
        __builtin_sub_overflow(value, Int{digit}, &value)) {
      return std::nullopt;
    }
  }
  if (!negative && __builtin_sub_overflow(Int{0}, value, &value)) return std::nullopt;
  return value;
}

Int truncated(double value) {
  if (std::isinf(value)) throw InputError("an infinity has no integer");
  if (std::abs(value) >= 0x1p126) too_large();
  return static_cast<Int>(value);
}

std::optional<Int> int_of_text(const std::string& text, int base) {
  if (base != 10) throw InputError("the base of int is not known here");
  const auto number = plain_number(text);
  if (!number) return std::nullopt;
  const size_t begin = (*number)[0] == '-' || (*number)[0] == '+' ? 1 : 0;
  if (begin == number->size() ||
      number->find_first_not_of("0123456789", begin) != std::string::npos) {
    return std::nullopt;
  }
  const auto value = parse_int(*number);
  if (!value) too_large();
  return value;
}

std::optional<double> float_of_text(const std::string& text) {
  const auto number = plain_number(text);
  if (!number || number->find_first_of("xXpP(") != std::string::npos) return std::nullopt;
  char* end = nullptr;
  const double value = std::strtod(number->c_str(), &end);
  return *end == '\0' && end != number->c_str() ? std::optional(value) : std::nullopt;
}

double rounded(double value, int digits) {
  if (!std::isfinite(value)) return value;
  return std::strtod(print_float(value, digits, 'f').c_str(), nullptr);
}

std::string print_float(double value, int precision, char conversion) {
  const char format[] = {'%', '.', '*', conversion, '\0'};
  std::string out(400 + static_cast<size_t>(precision), '\0');
  const int size = std::snprintf(out.data(), out.size(), format, precision, value);
  out.resize(static_cast<size_t>(size));
  return out;
}

}  // namespace weft::jinja
