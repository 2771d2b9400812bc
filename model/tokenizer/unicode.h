/// Unicode as the tokenizers see it: UTF-8 in and out, the classes of their regular expressions
/// (Unicode 16.0, as in Oniguruma 6.9.10, which Hugging Face `tokenizers` uses), NFC.
#pragma once

#include <string>
#include <string_view>

#include "base/utf8.h"

namespace weft {

void append_utf8(std::string& out, char32_t code);

enum class CharClass : unsigned char { kLetter, kNumber, kSpace, kOther };

/// \p{L}, \p{N}, \s (the property White_Space) or none of them.
CharClass char_class(char32_t code);

/// \w: letters, marks, decimal digits, letter numbers, connector punctuation and joiners.
bool is_word_char(char32_t code);

/// Normalisation form C of valid UTF-8, with the canonical order of Unicode 9 as `tokenizers` has
/// it.
std::string to_nfc(std::string_view text);

}  // namespace weft
