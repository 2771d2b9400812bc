#include <utf8proc.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <memory>
#include <vector>

#include "base/error.h"
#include "base/python_string.h"
#include "base/utf8.h"
#include "data/scorers/score.h"
#include "data/scorers/words.h"

namespace weft {
namespace {

/// Unicode's canonical caseless form.
std::string folded(std::string_view text) {
  const std::string valid = to_valid_utf8(text);
  utf8proc_uint8_t* mapped = nullptr;
  const auto length = utf8proc_map(
      reinterpret_cast<const utf8proc_uint8_t*>(valid.data()),
      static_cast<utf8proc_ssize_t>(valid.size()), &mapped,
      static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_CASEFOLD));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owned(mapped, &std::free);
  if (length < 0) throw Error(std::string("case folding: ") + utf8proc_errmsg(length));
  return {reinterpret_cast<const char*>(mapped), static_cast<size_t>(length)};
}

/// Whether the point or minus at `at` belongs to a number: 2.5, .5, -5, but not U.S., 1990-1995.
bool is_of_number(std::string_view text, size_t at) {
  const auto is = [&](size_t i, int (*is_class)(int)) {
    return i < text.size() && is_class(static_cast<unsigned char>(text[i])) != 0;
  };
  const auto before = at == 0 ? ' ' : static_cast<unsigned char>(text[at - 1]);
  const bool opens =
      before < 0x80 && std::isalnum(before) == 0 &&
      std::string_view(").]}").find(static_cast<char>(before)) == std::string_view::npos;
  if (text[at] == '.') return is(at + 1, std::isdigit) && (opens || is(at - 1, std::isdigit));
  const bool precedes = is(at + 1, std::isdigit) ||
                        (at + 1 < text.size() && text[at + 1] == '.' && is(at + 2, std::isdigit));
  return text[at] == '-' && precedes && opens;
}

std::vector<std::string> tokens_of(std::string_view text) {
  std::vector<std::string> words(1);
  for (size_t at = 0; at < text.size();) {
    const Utf8Char c = decode_utf8(text, at);
    const bool is_punctuation = c.code < 0x80 && std::ispunct(static_cast<int>(c.code)) != 0;
    if (python::is_space(c.code)) {
      if (!words.back().empty()) words.emplace_back();
    } else if (!is_punctuation || is_of_number(text, at)) {
      words.back() += c.code == 0x2212 ? "-" : text.substr(at, c.length);  // the minus sign
    }
    at += c.length;
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

/// One alternative of an answer to a question.
struct Span {
  explicit Span(std::string_view part) : text(folded(part)), tokens(tokens_of(text)) {
    if (!tokens.empty()) text.clear();
    for (const auto& token : tokens) text += token + ' ';
    std::erase_if(tokens, [](const auto& t) { return t == "a" || t == "an" || t == "the"; });
  }
  std::string text;  ///< with its articles, and with its punctuation where there is nothing else
  std::vector<std::string> tokens;
};

double f1_of_pair(const Span& predicted, const Span& wanted) {
  if (predicted.tokens.empty() && wanted.tokens.empty()) {
    return !wanted.text.empty() && predicted.text == wanted.text ? 1 : 0;
  }
  return bag_f1({predicted.tokens.begin(), predicted.tokens.end()},
                {wanted.tokens.begin(), wanted.tokens.end()});
}

}  // namespace

double token_f1(std::string_view prediction, std::string_view gold) {
  std::vector<Span> predicted;
  for (const auto part : split_at(prediction, '|')) predicted.emplace_back(part);
  double best = 0;
  for (const auto part : split_at(gold, '|')) {
    const Span wanted(part);
    for (const auto& span : predicted) best = std::max(best, f1_of_pair(span, wanted));
  }
  return best;
}

}  // namespace weft
