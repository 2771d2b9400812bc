/// Plain Python data outside of Python: what tests are made of and candidates return.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"

namespace weft {

struct PythonValue {
  enum class Kind {
    kNone,
    kBool,
    kInt,     ///< fits int64: `number`
    kBigInt,  ///< does not: `text`
    kFloat,
    kComplex,
    kStr,
    kBytes,
    kList,
    kTuple,
    kSet,
    kFrozenset,
    kDict,
    kDeque,
    kRange,     ///< `items`: start, stop, step, each a kInt
    kFraction,  ///< exact, of fractions.Fraction and decimal.Decimal; `items`: numerator and
                ///< positive denominator in lowest terms
  };
  Kind kind = Kind::kNone;
  int64_t number = 0;  ///< kInt; kBool as 0 or 1
  double real = 0;     ///< kFloat, kComplex
  double imag = 0;     ///< kComplex
  /// kStr: UTF-8, lone surrogates as three bytes. kBytes: the bytes. kBigInt: two's complement,
  /// little-endian, no redundant last byte.
  std::string text;
  std::vector<PythonValue> items;  ///< of containers; of kDict key, value, key, value, ...

  static PythonValue none() { return {}; }
  static PythonValue boolean(bool value);
  static PythonValue integer(int64_t value);
  static PythonValue real_number(double value);
  static PythonValue str(std::string value);
  static PythonValue list(std::vector<PythonValue> items);
  static PythonValue tuple(std::vector<PythonValue> items);

  bool is_str() const { return kind == Kind::kStr; }
};

/// Digits that an integer of a test may have.
constexpr size_t kMaxIntDigits = 1'000'000;

/// An integer from decimal digits with an optional minus, kMaxIntDigits at most; throws InputError
/// otherwise.
PythonValue python_int(std::string_view digits);

/// A value as docs/formats.md writes it in JSON. Throws InputError, opened by `where`.
PythonValue value_from_json(const Json& json, const std::string& where);

/// The inverse of value_from_json.
Json value_to_json(const PythonValue& value);

/// What Python's repr prints, cut with "..." near `max_bytes`. Sets keep the order received.
std::string python_literal(const PythonValue& value, size_t max_bytes = SIZE_MAX);

/// Whether it is a kInt or kBigInt above 0.
bool is_positive(const PythonValue& value);

/// Decimal digits of a kInt or kBigInt.
std::string int_digits(const PythonValue& value);

}  // namespace weft
