#include "base/check.h"

#include "base/error.h"

namespace weft {

void detail::throw_out_of_range(const char* name, const char* expected, const Json& bound,
                                const Json& got) {
  throw InputError(std::string(name) + ": expected " + expected + " " + dump_json(bound) +
                   ", got " + dump_json(got));
}

void require_share(const char* name, double value) {
  if (value >= 0 && value <= 1) return;
  throw InputError(std::string(name) + ": expected a number from 0 to 1, got " + dump_json(value));
}

}  // namespace weft
