/// When an answer counts as the expected one.
#pragma once

#include <optional>
#include <string>

#include "sandbox/value/value.h"

namespace weft {

/// "exact": Python's `==` between plain values: 1 == 1.0 == True, [1] != (1,), {1} ==
/// frozenset({1}), NaN equals nothing, -0.0 == 0.0, Fraction(1, 2) == 0.5, but Fraction(1, 10) !=
/// 0.1; deques and ranges equal their like only. "lenient_sequences": exact, but lists, tuples and
/// deques of equal items are equal, at any depth. "multiset": the outermost of these, or sets, hold
/// equal items in any order; else exact.
/// {"abs":a,"rel":r}: exact, but numbers x and expected y with |x - y| <= max(a, r |y|) are equal.
struct Comparer {
  bool lenient_sequences = false;
  bool multiset = false;
  struct Tolerance {
    double abs = 0;
    double rel = 0;
  };
  std::optional<Tolerance> tolerance;

  /// From a test's "compare", null for exact. Throws InputError opened by `where`.
  static Comparer from_json(const Json& json, const std::string& where);

  bool equal(const PythonValue& got, const PythonValue& expected) const;
};

/// How standard output is compared.
struct OutputComparer {
  enum class Kind {
    kTokens,  ///< white-space separated
    kLines,   ///< line by line without trailing white space; trailing empty lines ignored
    kExact,   ///< byte by byte
  };
  Kind kind = Kind::kTokens;
  /// Tokens that are both decimal numbers may differ by max(abs, rel |expected|).
  std::optional<Comparer::Tolerance> tolerance;

  /// From a test's "compare", null for tokens. Throws InputError opened by `where`.
  static OutputComparer from_json(const Json& json, const std::string& where);

  bool equal(std::string_view got, std::string_view expected) const;
};

}  // namespace weft
