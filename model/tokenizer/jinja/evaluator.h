/// Runs a template.
#pragma once

#include <string>

#include "model/tokenizer/jinja/ast.h"
#include "model/tokenizer/jinja/context.h"

namespace weft::jinja {

/// The text of `block` with `variables`, whose keys are strings. Throws InputError with the line of
/// the statement at fault, also when a limit is reached. Nothing of the rendering outlives the
/// call.
std::string render(const Block& block, const Mapping& variables, const Limits& limits = {});

}  // namespace weft::jinja
