/// What Python's str does, on UTF-8. Case and classes are Unicode's, full mappings included (ß
/// becomes SS).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weft::python {

std::vector<std::string_view> characters(std::string_view text);
size_t count_characters(std::string_view text);

/// Byte position of the character `index`; text.size() beyond the end.
size_t byte_of(std::string_view text, size_t index);

/// std::string::find in linear time.
size_t find_text(std::string_view text, std::string_view part, size_t from = 0);

/// str.isspace() of one character.
bool is_space(char32_t code);

/// Without white space at the chosen ends, or, given `chars`, without its characters.
std::string_view strip(std::string_view text, bool left, bool right);
std::string_view strip(std::string_view text, std::string_view chars, bool left, bool right);

enum class Case { kUpper, kLower, kTitle };

std::string upper(std::string_view text);
std::string lower(std::string_view text);
std::string capitalize(std::string_view text);
/// str.title(): words are runs of letters that have a case.
std::string title(std::string_view text);

/// str.isalpha() and so on: whether all characters are of the class, and there is one. Numbers that
/// are no decimal digits (as "½") are refused by an InputError.
enum class TextClass { kAlpha, kDigit, kAlnum, kSpace, kLower, kUpper };
bool is_class(std::string_view text, TextClass text_class);

bool is_printable(char32_t code);

/// str.splitlines().
std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends = false);

/// The mapping of one character where it is more than one character; empty else.
std::string_view special_case(char32_t code, Case to);

}  // namespace weft::python
