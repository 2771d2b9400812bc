/// Python's numbers.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "model/tokenizer/jinja/value.h"

namespace weft::jinja {

enum class Order { kLess, kEqual, kGreater, kNone };

/// Exact between integers and floats; kNone with a nan.
Order order(const Value& a, const Value& b);

/// The same text for equal numbers.
std::string number_hash(const Value& value);

/// +, -, *, /, //, % or ** of two numbers. Throws InputError on division by zero, on integers
/// beyond 127 bits and on quotients that a double does not hold exactly enough.
Value arithmetic(std::string_view op, const Value& a, const Value& b);

Value negated(const Value& value);

std::string int_text(Int value, int base = 10);

/// repr() of a float.
std::string float_text(double value);

/// Decimal digits with a sign; nullopt beyond 127 bits.
std::optional<Int> parse_int(std::string_view digits, int base = 10);

/// Python's int() of a float: towards zero. Throws InputError for infinities and beyond 127 bits.
Int truncated(double value);

/// Python's int(text) and float(text): white space around, underscores between digits. nullopt for
/// other texts.
std::optional<Int> int_of_text(const std::string& text, int base);
std::optional<double> float_of_text(const std::string& text);

/// Python's round(value, digits) for digits >= 0.
double rounded(double value, int digits);

/// printf's `%.{precision}{conversion}` of a double.
std::string print_float(double value, int precision, char conversion);

}  // namespace weft::jinja
