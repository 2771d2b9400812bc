/// UTF-8 as a sequence of characters, invalid bytes included.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace weft {

/// U+FFFD, which stands for bytes that are no character.
inline constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";

struct Utf8Char {
  char32_t code = 0;  ///< U+FFFD when invalid
  int length = 1;     ///< bytes; of an invalid sequence its maximal valid beginning, at least 1
  bool valid = true;
};

/// The character at `position` < text.size().
Utf8Char decode_utf8(std::string_view text, size_t position);

/// `code` is a scalar value of Unicode.
void append_utf8(std::string& out, char32_t code);

bool is_valid_utf8(std::string_view text);

/// Each maximal invalid sequence becomes one U+FFFD (as Rust's from_utf8_lossy and browsers do).
std::string to_valid_utf8(std::string_view text);

/// Number of bytes at the end that begin a character and may still be completed: 0 to 3.
size_t incomplete_utf8_suffix(std::string_view text);

/// The beginning of at most so many bytes, which cuts no character in two.
std::string utf8_prefix(std::string_view text, size_t most_bytes);

}  // namespace weft
