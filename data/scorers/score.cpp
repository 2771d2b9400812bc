#include "data/scorers/score.h"

#include <set>

#include "base/error.h"

namespace weft {
namespace {

/// The part of an answer that is read: its last kMaxAnswerBytes, from a word's beginning on.
std::string_view answer_end(std::string_view answer) {
  constexpr const char* kBlank = " \t\r\n";
  if (answer.size() <= kMaxAnswerBytes) return answer;
  const size_t blank = answer.find_first_of(kBlank, answer.size() - kMaxAnswerBytes);
  return blank == std::string_view::npos ? std::string_view{} : answer.substr(blank);
}

TextScore score_choice(const Task& task, std::string_view answer) {
  const auto gold = chosen_letter(task.answer);
  if (const auto chosen = chosen_letter(answer))
    return {chosen == gold ? 1.0 : 0.0, {}, "letter", {}};
  const auto option = option_by_text(task.prompt, answer);
  if (!option) return {0, {}, "no letter", {}};
  return {option == gold ? 1.0 : 0.0, {}, "text of an option", {}};
}

}  // namespace

const char* to_string(Scorer scorer) { return scorer == Scorer::kOfficial ? "official" : "aflow"; }

TextScore score_answer(const Task& task, const std::string& answer, Scorer scorer) {
  const std::string_view read = answer_end(answer);
  if (scorer == Scorer::kAflow && task.kind != TaskKind::kCode) return score_as_aflow(task, read);
  switch (task.kind) {
    case TaskKind::kMath:
      return task.dataset == "gsm8k" || task.dataset == "gsm_hard" ? score_gsm8k(read, task.answer)
                                                                   : score_math(read, task.answer);
    case TaskKind::kQa:
      if (task.dataset == "hotpotqa") return score_hotpotqa(read, task.answer);
      if (task.dataset == "drop") return score_drop(read, task.answer);
      return {token_f1(read, task.answer), {}, "F1", {}};
    case TaskKind::kChoice:
      return score_choice(task, read);
    case TaskKind::kCode:
      break;
  }
  WEFT_ASSERT(!"code tasks are scored by running them");
  return {};
}

}  // namespace weft
