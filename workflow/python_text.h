/// Lexical looks at Python text, for what the parser's facts do not tell.
#pragma once

#include <optional>
#include <string>

namespace weft {

/// The text with comments and the contents of string literals replaced by spaces, newlines and
/// length kept, so that what is left is code. Expressions inside f-strings stay visible: only the
/// rest of an f-string's contents is code-like noise, and it is kept whole.
std::string blank_strings_and_comments(const std::string& code);

/// Whether some method is `def __init__(self, name, llm_config, dataset)`, annotations and
/// defaults aside. Expects blanked text.
bool has_contract_init(const std::string& plain);

/// The first attribute access to a name of the form __x__, other than a call of
/// super().__init__. Expects blanked text.
std::optional<std::string> dunder_attribute(const std::string& plain);

}  // namespace weft
