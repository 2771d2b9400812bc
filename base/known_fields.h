/// Which fields an object that somebody wrote may have: a misspelt one is said, and none is passed
/// over in silence. A field called "meta" is the writer's own and is never looked at.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"

namespace weft {

using FieldNames = std::vector<std::string>;

/// Throws InputError, opening with `where`, when `object` is none or has a field that `known`
/// lacks; the message names the field that was likely meant, else those that are known.
void refuse_unknown_fields(const Json& object, const FieldNames& known, const std::string& where);

/// The same of one field of it.
[[noreturn]] void throw_unknown_field(const std::string& name, const FieldNames& known,
                                      const std::string& where);

/// Fields of other people's files that are not read, with the number of objects that have them.
using FieldCounts = std::map<std::string, int64_t>;

/// Counts the fields of `object` that `known` lacks, under `prefix` and their name; a null one is
/// none. Throws InputError, opening with `where`, for one that is likely a misspelling of a known
/// one. `object` must be an object.
void count_further_fields(const Json& object, const FieldNames& known, const std::string& where,
                          FieldCounts& further, const std::string& prefix = "");

/// "rank (2), source (7)"; empty for none.
std::string list_fields(const FieldCounts& counts);

}  // namespace weft
