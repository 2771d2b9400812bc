/// Numbers as answers write them.
#pragma once

#include <optional>
#include <string>

namespace weft {

/// A text that is a number as a whole: 1,234.5, -3/4, \frac{3}{4}, 2\frac{1}{3}, 1.5*10^{3}, 12%.
struct MathNumber {
  double value = 0;
  std::string integer;  ///< sign and digits of an integer, as long as it is written; else empty
  int decimals = -1;    ///< digits behind the point; -1 for a fraction and a power of ten
  bool percent = false;
};

/// `leaf` as parse_math_value makes it.
std::optional<MathNumber> math_number(const std::string& leaf);

/// See compare_values.
bool numbers_equal(const MathNumber& prediction, const MathNumber& gold);

}  // namespace weft
