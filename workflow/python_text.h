/// Where lines of Python text begin as code, for what no syntax tree holds: comments.
#pragma once

#include <string_view>
#include <vector>

namespace weft {

/// The lines, with their newlines, that begin outside of string literals and brackets and continue
/// no line before them: each opens with a statement, a part of one, or a comment. Views into
/// `code`, in order. Text that does not parse is read as far as its quotes and brackets go.
std::vector<std::string_view> code_lines(std::string_view code);

}  // namespace weft
