#include <algorithm>

#include "data/scorers/score.h"
#include "data/scorers/words.h"

namespace weft {

TextScore score_hotpotqa(std::string_view prediction, std::string_view gold) {
  const std::string answer = squad_form(prediction), wanted = squad_form(gold);
  TextScore score;
  score.rule = "F1";
  score.exact_match = answer == wanted ? 1 : 0;
  const auto is_closed = [](const std::string& text) {
    return text == "yes" || text == "no" || text == "noanswer";
  };
  if (answer != wanted && (is_closed(answer) || is_closed(wanted))) return score;
  score.score = bag_f1(words_of(answer), words_of(wanted));
  return score;
}

}  // namespace weft
