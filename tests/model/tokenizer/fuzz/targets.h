/// What libFuzzer drives, and what the corpus and its mutations are put through.
#pragma once

#include <string>
#include <string_view>

namespace weft::fuzz {

/// Parses and renders a template by small limits, twice. Aborts when it ends otherwise than in the
/// same text, at most as long as the limit allows, or in the same InputError.
void render_template(std::string_view jinja);

}  // namespace weft::fuzz
