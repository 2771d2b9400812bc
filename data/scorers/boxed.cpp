#include <algorithm>
#include <cctype>

#include "data/scorers/math_value.h"

namespace weft {
namespace {

Boxed content_of_braces(std::string_view text, size_t start) {
  int depth = 1;
  for (size_t i = start; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;  // \{, \} and \\ are no braces
      continue;
    }
    depth += (text[i] == '{') - (text[i] == '}');
    if (depth == 0) return {Boxed::Kind::kComplete, std::string(text.substr(start, i - start))};
  }
  return {Boxed::Kind::kCut, {}};
}

}  // namespace

Boxed last_boxed(std::string_view text) {
  size_t start = std::string_view::npos;
  for (const std::string_view command : {"\\boxed", "\\fbox"}) {
    for (size_t at = text.rfind(command); at != std::string_view::npos;
         at = at == 0 ? std::string_view::npos : text.rfind(command, at - 1)) {
      const size_t after = at + command.size();
      if (after < text.size() && std::isalpha(static_cast<unsigned char>(text[after])) != 0) {
        continue;  // the beginning of a longer command
      }
      if (start == std::string_view::npos || after > start) start = after;
      break;
    }
  }
  if (start == std::string_view::npos) return {};
  const size_t first = text.find_first_not_of(' ', start);
  if (first == std::string_view::npos) return {Boxed::Kind::kCut, {}};
  if (text[first] == '{') return content_of_braces(text, first + 1);
  const size_t end = std::min(text.find_first_of("$\n", first), text.size());
  return {Boxed::Kind::kComplete, std::string(text.substr(first, end - first))};
}

}  // namespace weft
