/// Numbers of a report as its Markdown shows them; null is "-".
#pragma once

#include <string>

#include "base/json.h"

namespace weft {

std::string format_number(const Json& value, int digits);
std::string format_score(const Json& value);   ///< three digits
std::string format_signed(const Json& value);  ///< three digits and the sign; 0 is "+0.000"

/// "LOW to HIGH" of [low, high].
std::string format_range(const Json& ci, std::string (*format)(const Json&));

}  // namespace weft
