/// Template text to its syntax tree.
#pragma once

#include <string_view>

#include "model/tokenizer/jinja/ast.h"

namespace weft::jinja {

/// Knows if, for (with if, else, break, continue), set (also as a block, also of an attribute),
/// macro and generation. Throws InputError naming line and construct for anything else.
Block parse(std::string_view source);

}  // namespace weft::jinja
