/// Words that somebody may have meant.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

/// Insertions, deletions, substitutions and swaps of neighbours that make one of the other.
size_t edit_distance(std::string_view a, std::string_view b);

/// The known word of which `word` is likely a misspelling: one edit away, two from a word of seven
/// letters or more. Words of fewer than five letters have too many neighbours and are left out, and
/// `word` itself must not be known. Empty where there is none.
std::string near_misspelling(std::string_view word, const std::vector<std::string>& known);

/// " (did you mean \"WORD\"?)" with the near misspelling's word, else empty.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& known);

}  // namespace weft
