/// LaTeX of answers without what only looks.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace weft {

/// The text with its units dropped, \text and the like opened, spacing, \left, \right, dollar signs
/// and degrees removed, and one spelling for what has several (\dfrac, \cdot, ½, ≤). Words and
/// separators keep a space between them.
std::string simplified_latex(std::string_view latex);

/// A text without white space, with braces where \frac12, \sqrt2 and x^{2} leave them out or need
/// none, and 1/2 as it is.
std::string compact_latex(std::string_view text);

/// The parts between the separators that stand outside of brackets, and the whole where there is
/// none. Unbalanced brackets count as none.
std::vector<std::string_view> split_outside_brackets(std::string_view text,
                                                     std::string_view separator);

}  // namespace weft
