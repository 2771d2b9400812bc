#include "workflow/python_text.h"

#include <cctype>
#include <string_view>

#include "data/regex.h"

namespace weft {
namespace {

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }

/// Whether the quote at `at` opens an f-string: its prefix letters hold an f.
bool is_format_string(const std::string& code, size_t at) {
  size_t begin = at;
  while (begin > 0 && is_word(code[begin - 1])) --begin;
  const std::string_view prefix(code.data() + begin, at - begin);
  return prefix.size() <= 2 && prefix.find_first_of("fF") != std::string_view::npos &&
         prefix.find_first_not_of("fFrR") == std::string_view::npos;
}

/// End of the literal that opens at `at`, behind its closing quotes or at the end of the text.
size_t literal_end(const std::string& code, size_t at) {
  const char quote = code[at];
  const bool triple = code.compare(at, 3, std::string(3, quote)) == 0;
  const std::string close(triple ? 3 : 1, quote);
  for (size_t i = at + close.size(); i < code.size(); ++i) {
    if (code[i] == '\\') {
      ++i;
    } else if (code.compare(i, close.size(), close) == 0) {
      return i + close.size();
    } else if (code[i] == '\n' && !triple) {
      return i;
    }
  }
  return code.size();
}

void blank(std::string& text, size_t begin, size_t end) {
  for (size_t i = begin; i < end; ++i) {
    if (text[i] != '\n') text[i] = ' ';
  }
}

}  // namespace

std::string blank_strings_and_comments(const std::string& code) {
  std::string plain = code;
  for (size_t at = 0; at < code.size();) {
    if (code[at] == '#') {
      const size_t newline = code.find('\n', at);
      const size_t end = newline == std::string::npos ? code.size() : newline;
      blank(plain, at, end);
      at = end;
    } else if (code[at] == '"' || code[at] == '\'') {
      const size_t end = literal_end(code, at);
      if (!is_format_string(code, at)) blank(plain, at, end);
      at = end;
    } else {
      ++at;
    }
  }
  return plain;
}

bool has_contract_init(const std::string& plain) {
  static const Regex kInit(
      R"(\bdef\s+__init__\s*\(\s*self\s*,\s*name\b[^,()]*,\s*llm_config\b[^,()]*,\s*dataset\b[^,()]*,?\s*\))");
  return kInit.match(plain).has_value();
}

std::optional<std::string> dunder_attribute(const std::string& plain) {
  static const Regex kDunder(R"((?<!super\(\))\.\s*(__\w+__)|\.\s*(__(?!init__)\w+__))");
  const auto match = kDunder.match(plain);
  if (!match) return std::nullopt;
  return match->at(1).empty() ? match->at(2) : match->at(1);
}

}  // namespace weft
