/// Unicode as the tokenizers see it: UTF-8 in and out, the classes of their regular expressions
/// (Unicode 16.0, as in Oniguruma 6.9.10, which Hugging Face `tokenizers` uses), NFC.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/utf8.h"

namespace weft {

enum class CharClass : unsigned char { kLetter, kNumber, kSpace, kOther };

/// \p{L}, \p{N}, \s (the property White_Space) or none of them.
CharClass char_class(char32_t code);

/// \w: letters, marks, decimal digits, letter numbers, connector punctuation and joiners.
bool is_word_char(char32_t code);

/// Normalisation form C of valid UTF-8, with the canonical order of Unicode 9 as `tokenizers` has
/// it.
std::string to_nfc(std::string_view text);

/// Normalisation form KC of valid UTF-8, in the same manner.
std::string to_nfkc(std::string_view text);

/// Each character of valid UTF-8 in lower case, whatever stands around it (Unicode 17, as Rust's
/// char::to_lowercase).
std::string to_lower(std::string_view text);

/// Bytes of white space at the beginning and at the end of valid UTF-8.
size_t leading_space(std::string_view text);
size_t trailing_space(std::string_view text);

/// Where the last character of a text begins that is not empty.
size_t last_char(std::string_view text);

}  // namespace weft
