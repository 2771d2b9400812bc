#include "data/score.h"

#include <utf8proc.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <map>
#include <memory>
#include <vector>

#include "base/error.h"
#include "base/utf8.h"

namespace weft {
namespace {

/// The part of an answer that is read: its last kMaxAnswerBytes, from a word's beginning on.
std::string_view answer_end(std::string_view answer) {
  constexpr const char* kBlank = " \t\r\n";
  if (answer.size() <= kMaxAnswerBytes) return answer;
  const size_t blank = answer.find_first_of(kBlank, answer.size() - kMaxAnswerBytes);
  return blank == std::string_view::npos ? std::string_view{} : answer.substr(blank);
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(separator, at), text.size());
    parts.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

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

bool is_space(char32_t code) {
  if (code < 0x80) return std::isspace(static_cast<int>(code)) != 0;
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(code));
  return category == UTF8PROC_CATEGORY_ZS || category == UTF8PROC_CATEGORY_ZL ||
         category == UTF8PROC_CATEGORY_ZP;
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

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words(1);
  for (size_t at = 0; at < text.size();) {
    const Utf8Char c = decode_utf8(text, at);
    const bool is_punctuation = c.code < 0x80 && std::ispunct(static_cast<int>(c.code)) != 0;
    if (is_space(c.code)) {
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
  explicit Span(std::string_view part) : text(folded(part)), tokens(words_of(text)) {
    if (!tokens.empty()) text.clear();
    for (const auto& token : tokens) text += token + ' ';
    std::erase_if(tokens, [](const auto& t) { return t == "a" || t == "an" || t == "the"; });
  }
  std::string text;  ///< with its articles, and with its punctuation where there is nothing else
  std::vector<std::string> tokens;
};

double f1_of_pair(const Span& predicted, const Span& wanted,
                  const std::map<std::string, int>& wanted_counts, double empty_equal) {
  if (predicted.tokens.empty() && wanted.tokens.empty()) {
    return !wanted.text.empty() && predicted.text == wanted.text ? empty_equal : 0;
  }
  std::map<std::string, int> used;
  int common = 0;
  for (const auto& token : predicted.tokens) {
    const auto found = wanted_counts.find(token);
    if (found != wanted_counts.end() && used[token]++ < found->second) ++common;
  }
  if (common == 0) return 0;
  const double precision = common / static_cast<double>(predicted.tokens.size());
  const double recall = common / static_cast<double>(wanted.tokens.size());
  return 2 * precision * recall / (precision + recall);
}

}  // namespace

double token_f1(std::string_view prediction, std::string_view gold, double empty_equal) {
  std::vector<Span> predicted;
  for (const auto part : split(prediction, '|')) predicted.emplace_back(part);
  double best = 0;
  for (const auto part : split(gold, '|')) {
    const Span wanted(part);
    std::map<std::string, int> counts;
    for (const auto& token : wanted.tokens) ++counts[token];
    for (const auto& span : predicted) {
      best = std::max(best, f1_of_pair(span, wanted, counts, empty_equal));
    }
  }
  return best;
}

double score_answer(const Task& task, const std::string& answer) {
  const std::string_view read = answer_end(answer);
  switch (task.kind) {
    case TaskKind::kMath:
      return math_equal(read, task.answer) ? 1 : 0;
    case TaskKind::kQa:
      return token_f1(read, task.answer, task.dataset == "hotpotqa" ? 0 : 1);
    case TaskKind::kChoice: {
      const auto chosen = chosen_letter(read), gold = chosen_letter(task.answer);
      return chosen && chosen == gold ? 1 : 0;
    }
    case TaskKind::kCode:
      break;
  }
  WEFT_ASSERT(!"code tasks are scored by running them");
  return 0;
}

}  // namespace weft
