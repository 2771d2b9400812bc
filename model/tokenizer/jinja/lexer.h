/// Template text to tokens, with transformers' settings trim_blocks and lstrip_blocks.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace weft::jinja {

enum class TokenKind {
  kText,         ///< printed as it is
  kBlockBegin,   ///< {%
  kBlockEnd,     ///< %}
  kOutputBegin,  ///< {{
  kOutputEnd,    ///< }}
  kName,
  kString,
  kInteger,
  kFloat,
  kOperator,
  kEnd,
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::string text;  ///< strings without quotes, escapes resolved; integers in their own base
  int line = 1;
};

/// Line ends of any kind are read as \n, as jinja2 does; one at the very end is dropped. Throws
/// InputError naming the line, also for text that is no UTF-8.
std::vector<Token> tokenize(std::string_view source);

}  // namespace weft::jinja
