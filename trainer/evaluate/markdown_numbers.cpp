#include "trainer/evaluate/markdown_numbers.h"

#include <fmt/format.h>

#include <cmath>

namespace weft {

std::string format_number(const Json& value, int digits) {
  return value.is_number() ? fmt::format("{:.{}f}", value.get<double>(), digits) : "-";
}

std::string format_score(const Json& value) { return format_number(value, 3); }

std::string format_signed(const Json& value) {
  if (!value.is_number()) return "-";
  const auto number = value.get<double>();
  return fmt::format("{:+.3f}", std::abs(number) < 0.0005 ? 0 : number);
}

std::string format_range(const Json& ci, std::string (*format)(const Json&)) {
  return ci[0].is_number() ? format(ci[0]) + " to " + format(ci[1]) : "-";
}

}  // namespace weft
