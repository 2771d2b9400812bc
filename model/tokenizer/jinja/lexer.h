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
  std::string text;  ///< strings without quotes, escapes resolved
  int line = 1;
};

/// Throws InputError naming the line.
std::vector<Token> tokenize(std::string_view source);

}  // namespace weft::jinja
