/// Answers to questions as words.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace weft {

/// As the scripts of SQuAD, HotpotQA and AFlow normalise an answer: lower case (Python's), without
/// the 32 marks of ASCII's punctuation and the words a, an, the; words one space apart. Invalid
/// UTF-8 counts as U+FFFD.
std::string squad_form(std::string_view text);

/// The text without the words a, an and the, as Python's re finds words: each becomes a space.
std::string without_articles(std::string_view text);

/// Parts between white space, as str.split() of Python.
std::vector<std::string_view> words_of(std::string_view text);

std::vector<std::string_view> split_at(std::string_view text, char separator);

/// F1 of two bags of words, of which one with nothing in common is 0.
double bag_f1(const std::vector<std::string_view>& prediction,
              const std::vector<std::string_view>& gold);

bool is_ascii_punctuation(char c);

}  // namespace weft
