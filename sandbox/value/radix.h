/// Numbers of any size in another base, in less than quadratic time.
#pragma once

#include <cstdint>
#include <vector>

namespace weft {

/// Digits of a number, the least first, without zeros at the end; none for 0.
using Digits = std::vector<uint32_t>;

/// From digits in base 10^9 to digits in base 2^32, and back.
Digits binary_of_decimal(const Digits& decimal);
Digits decimal_of_binary(const Digits& binary);

}  // namespace weft
