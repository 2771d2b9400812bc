/// Scores of answers that need no code to be run: math, question answering, multiple choice.
///
/// Every function takes time linear in its texts, and counts invalid UTF-8 as U+FFFD.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "data/task.h"

namespace weft {

/// Bytes of an answer that are read: its end, since all rules below take the last of what they look
/// for, from the first word that lies whole in it. A megabyte that a model has run on for costs no
/// more than this; of a longer answer to a qa task, whose F1 is near 0 anyway, what stands before
/// counts neither for nor against it.
constexpr size_t kMaxAnswerBytes = 64 << 10;

/// Score in [0, 1] of an answer to a math (0 or 1), qa (token F1) or choice (0 or 1) task. Code
/// tasks are scored by running them; asking here for one is a broken invariant.
double score_answer(const Task& task, const std::string& answer);

/// What an answer's last \boxed{ says.
struct Boxed {
  enum class Kind {
    kNone,      ///< there is no \boxed{
    kCut,       ///< the last one is not closed: the answer was cut off in it
    kComplete,  ///< `content` is what its braces hold, counted, \{ and \} left out
  };
  Kind kind = Kind::kNone;
  std::string content;
};
Boxed last_boxed(std::string_view text);

/// Whether a math answer is right. Gold is what it boxes, else its whole text. Of a prediction what
/// it boxes counts, else its whole text or its last number; one that is cut off in its last box
/// has no answer, whatever stands before.
///
/// Two values are equal when they are the same text in normalised LaTeX or the same number: commas
/// of thousands, fractions a/b and \frac{a}{b} and exponents are understood, and a percentage is
/// its number or a hundredth of it. The scripts of GSM8K and MATH compare texts, so there is no
/// tolerance: integers are compared digit by digit, other numbers with the relative 1e-12 that
/// double arithmetic needs. Deviation from AFlow (arXiv:2410.10762, released code), which accepts
/// 1e-3 (MATH) and 1e-6 (GSM8K) in absolute terms, so that 0 is right for 0.0002.
bool math_equal(std::string_view prediction, std::string_view gold);

/// Token F1 of HotpotQA and DROP in AFlow's form (arXiv:2410.10762, released code): ASCII
/// punctuation and the articles a, an, the removed; alternatives in gold and prediction are
/// separated by '|' and the best pair counts.
/// Deviations: Unicode's canonical caseless match in place of lower(); the point of a decimal and
/// the sign of a number are kept, so "2.5" is not "25" and "-5" not "5"; and where nothing is left
/// of gold and prediction ("the"), equal texts score `empty_equal`: 1, as DROP's own script says.
/// HotpotQA's says 0, and score_answer follows it for tasks of the dataset "hotpotqa".
double token_f1(std::string_view prediction, std::string_view gold, double empty_equal = 1);

/// The chosen letter A-J: "answer is (X)", then "Answer: X", then the last \boxed{X}, then a lone
/// letter; the last match of the first rule that matches (MMLU-Pro's rules, without its random
/// guess). Deviation: the article A and the pronoun I are no letters. "A." and "I)" are, and so are
/// an A that neither opens a sentence nor precedes a name and both before a verb of their own ("A
/// is", "I fits").
std::optional<char> chosen_letter(std::string_view text);

}  // namespace weft
