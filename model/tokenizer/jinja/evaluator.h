/// Runs a parsed template.
#pragma once

#include <string>

#include "model/tokenizer/jinja/ast.h"

namespace weft::jinja {

/// The text that the template prints with these variables. Throws InputError naming line or
/// construct for what a template does wrong or what is unknown here, raise_exception included.
std::string render(const Block& block, const Dict& variables);

}  // namespace weft::jinja
