#include "workflow/python_text.h"

#include <algorithm>
#include <string>

namespace weft {
namespace {

/// End of the literal that opens at `at`, behind its closing quotes or at the end of the text.
size_t literal_end(std::string_view code, size_t at) {
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

/// End of the logical line that begins at `at`: behind the newline that no literal, bracket or
/// backslash holds back.
size_t logical_end(std::string_view code, size_t at) {
  int depth = 0;
  while (at < code.size()) {
    const char c = code[at];
    if (c == '"' || c == '\'') {
      at = literal_end(code, at);
      continue;
    }
    if (c == '#') {
      at = std::min(code.find('\n', at), code.size());
      continue;
    }
    if (c == '(' || c == '[' || c == '{') ++depth;
    if (c == ')' || c == ']' || c == '}') depth = std::max(depth - 1, 0);
    at += c == '\\' ? 2 : 1;
    if (c == '\n' && depth == 0) break;
  }
  return std::min(at, code.size());
}

}  // namespace

std::vector<std::string_view> code_lines(std::string_view code) {
  std::vector<std::string_view> lines;
  for (size_t at = 0; at < code.size(); at = logical_end(code, at)) {
    const size_t newline = code.find('\n', at);
    lines.push_back(
        code.substr(at, newline == std::string_view::npos ? newline : newline + 1 - at));
  }
  return lines;
}

}  // namespace weft
