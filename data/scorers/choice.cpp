#include "data/regex.h"
#include "data/scorers/score.h"
#include "data/scorers/words.h"

namespace weft {
namespace {

/// A letter ends here: no word, no "A's", no "B-cell", no "U.S.".
constexpr const char* kEnd = R"((?![\w'’]|-\w|\.[A-Z]\b))";

/// What stands between "answer is" or "Answer:" and its letter.
constexpr const char* kBetween = R"([\s:*_"(\[$]*+(?:(?i:option|choice|letter)\s++[*_"(\[$]*+)?)";

/// Verbs that make an I behind "answer:" the pronoun.
constexpr const char* kPronoun =
    R"(I(?!\s++(?:think|believe|would|will|am|have|had|choose|chose|pick|picked|select|say|can|can't|)"
    R"(cannot|could|do|don't|did|was|know|see|should|must|guess|feel|agree|find|found|want|suspect|)"
    R"(suppose|assume|conclude|prefer)\b))";

Regex stated(const std::string& opening) {
  return Regex(opening + kBetween + "([A-HJ]|" + kPronoun + ")" + kEnd);
}

/// A letter on its own. B to H and J are always one. A is the article where a word follows, and I
/// the pronoun, unless that word is one that only a letter can precede.
Regex lone_letter() {
  const std::string verbs =
      "is|because|since|or|seems|fits|matches|makes|gives|has|but|describes|looks|appears|works|"
      "holds|over";
  const auto before_word = [](const std::string& but_for) {
    return R"((?![ \t]++(?!(?:)" + but_for + R"()\b)\w))";
  };
  const std::string a = "A" + before_word(verbs + "|and|as|was|would|should|must|can|could");
  const std::string a_within = R"((?<=[\p{Ll},:] )A(?![ \t]++\p{Lu}\p{Ll}))";
  return Regex(R"((?<![\w'’])(?<!\w\.)([B-HJ]|)" + a + "|" + a_within + "|I" + before_word(verbs) +
               ")" + kEnd);
}

std::optional<char> last_of(const Regex& rule, std::string_view text) {
  const auto all = rule.find_groups(text, 1);
  if (all.empty()) return std::nullopt;
  return all.back().front();
}

}  // namespace

std::optional<char> chosen_letter(std::string_view text) {
  static const Regex kAnswerIs = stated(R"((?i:answer\s++is)\b)");
  static const Regex kAnswer = stated(R"((?i:answer)\W{0,4}:)");
  static const Regex kInBox(R"(^[\s$]*+(?:\\(?:text|textbf|mathrm|mathbf)\{)?\W?([A-J])(?!\w))");
  static const Regex kAlone(R"(^\W*+([A-J])\W*+$)");
  static const Regex kLone = lone_letter();
  if (const auto letter = last_of(kAnswerIs, text)) return letter;
  if (const auto letter = last_of(kAnswer, text)) return letter;
  const Boxed box = last_boxed(text);
  if (box.kind == Boxed::Kind::kCut) return std::nullopt;
  if (box.kind == Boxed::Kind::kComplete) {
    if (const auto letter = last_of(kInBox, box.content)) return letter;
  }
  if (const auto letter = last_of(kAlone, text)) return letter;
  return last_of(kLone, text);
}

std::optional<char> option_by_text(std::string_view prompt, std::string_view answer) {
  static const Regex kOption(R"((?m)^\(?([A-J])[.):]\s+(.+)$)");
  const std::string wanted = squad_form(answer);
  if (wanted.empty()) return std::nullopt;
  const auto letters = kOption.find_groups(prompt, 1), texts = kOption.find_groups(prompt, 2);
  std::optional<char> found;
  for (size_t i = 0; i < letters.size(); ++i) {
    if (squad_form(texts[i]) != wanted) continue;
    if (found && *found != letters[i].front()) return std::nullopt;
    found = letters[i].front();
  }
  return found;
}

}  // namespace weft
