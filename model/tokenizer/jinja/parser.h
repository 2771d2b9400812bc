/// Template text to its syntax tree.
#pragma once

#include <string_view>

#include "model/tokenizer/jinja/ast.h"

namespace weft::jinja {

/// Knows if, for (with if, else, break, continue), set (also as a block, also of an attribute),
/// macro, call, filter, with, raw and generation. Throws InputError naming line and construct for
/// anything else, for templates of more than a million bytes and for nesting deeper than 100 blocks
/// and brackets or 300 operations.
Block parse(std::string_view source);

}  // namespace weft::jinja
