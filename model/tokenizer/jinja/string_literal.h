/// What a string of a template's source stands for.
#pragma once

#include <string>
#include <string_view>

namespace weft::jinja {

/// The text between the quotes with its escapes resolved, as Python's decoder "unicode-escape" does
/// it for jinja2. Throws InputError for broken escapes, for half a surrogate pair and for \N.
std::string unescaped(std::string_view source);

}  // namespace weft::jinja
