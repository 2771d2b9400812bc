#include "base/known_fields.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"
#include "base/spelling.h"

namespace weft {
namespace {

bool is_known(const std::string& name, const FieldNames& known) {
  return name == "meta" || std::find(known.begin(), known.end(), name) != known.end();
}

}  // namespace

void throw_unknown_field(const std::string& name, const FieldNames& known,
                         const std::string& where) {
  const std::string hint = did_you_mean(name, known);
  throw InputError(
      fmt::format("{}: unknown key \"{}\"{}", where, name,
                  hint.empty() ? fmt::format(", expected {}", fmt::join(known, ", ")) : hint));
}

void refuse_unknown_fields(const Json& object, const FieldNames& known, const std::string& where) {
  if (!object.is_object()) {
    throw InputError(where + ": expected an object, got " + describe_type(object));
  }
  for (const auto& [name, value] : object.items()) {
    if (!is_known(name, known)) throw_unknown_field(name, known, where);
  }
}

void count_further_fields(const Json& object, const FieldNames& known, const std::string& where,
                          FieldCounts& further, const std::string& prefix) {
  for (const auto& [name, value] : object.items()) {
    if (value.is_null() || is_known(name, known)) continue;
    const std::string hint = did_you_mean(name, known);
    if (!hint.empty()) throw InputError(where + ": field \"" + name + "\" is unknown" + hint);
    ++further[prefix + name];
  }
}

std::string list_fields(const FieldCounts& counts) {
  std::string text;
  for (const auto& [name, count] : counts) {
    text += fmt::format("{}{} ({})", text.empty() ? "" : ", ", name, count);
  }
  return text;
}

}  // namespace weft
