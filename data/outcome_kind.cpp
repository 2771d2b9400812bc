#include "data/outcome_kind.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <vector>

#include "base/check.h"
#include "base/error.h"

namespace weft {

const char* outcome_name(OutcomeKind kind) {
  for (const auto& [value, name] : enum_table(OutcomeKind())) {
    if (value == kind) return name;
  }
  WEFT_ASSERT(!"an outcome without a name");
  return "";
}

OutcomeKind parse_outcome(const std::string& text, const std::string& where) {
  std::vector<const char*> names;
  for (const auto& [value, name] : enum_table(OutcomeKind())) {
    if (text == name) return value;
    names.push_back(name);
  }
  throw InputError(
      fmt::format("{}: expected one of {}, got \"{}\"", where, fmt::join(names, ", "), text));
}

}  // namespace weft
