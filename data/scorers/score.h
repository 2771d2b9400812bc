/// Scores of answers that need no code to be run: math, question answering, multiple choice.
///
/// Every function takes time linear in its texts, and counts invalid UTF-8 as U+FFFD.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "data/scorers/math_value.h"
#include "data/task.h"

namespace weft {

/// Whose rules say what an answer is worth.
enum class Scorer {
  kOfficial,  ///< the benchmark's own script, as docs/formats.md tells for each dataset
  kAflow,     ///< the released code of AFlow (arXiv:2410.10762), with its traps
};

/// "official" or "aflow".
const char* to_string(Scorer scorer);

/// Bytes of an answer that are read: its end, since all rules below take the last of what they look
/// for, from the first word that lies whole in it. A megabyte that a model has run on for costs no
/// more than this; of a longer answer to a qa task, whose F1 is near 0 anyway, what stands before
/// counts neither for nor against it.
constexpr size_t kMaxAnswerBytes = 64 << 10;

/// What text alone says of an answer.
struct TextScore {
  double score = 0;                   ///< in [0, 1]
  std::optional<double> exact_match;  ///< 0 or 1; of qa tasks
  const char* rule = "";              ///< which rule decided, in a word or two
  /// Set where only symbols can tell; `score` is then 0, and 1 where these are equal.
  std::optional<SymbolicQuestion> question;
};

/// Score of an answer to a math (0 or 1), qa (F1) or choice (0 or 1) task. Code tasks are scored by
/// running them; asking here for one is a broken invariant.
TextScore score_answer(const Task& task, const std::string& answer,
                       Scorer scorer = Scorer::kOfficial);

/// Whether an answer is the gold of MATH, MATH-500, AIME or another set of problems with one answer
/// each.
///
/// Gold is what it boxes, else its whole text. Of a prediction what its last \boxed or \fbox holds
/// counts, one that is cut off in it has no answer; else what follows "answer is" or "answer:",
/// else its whole text, else its last formula, else its last number. Two texts are equal when the
/// rules of the benchmark (Hendrycks et al., arXiv:2103.03874, released code) make them the same
/// text, or as values (math_value.h).
TextScore score_math(std::string_view prediction, std::string_view gold);

/// Whether an answer to GSM8K or GSM-Hard has the gold number: the last one of the line behind the
/// first "####", else in the last box, else behind "answer is", else the last of the text. What
/// follows a further "Question:" or "Q:" is not read. Deviation from the released script (first
/// number behind "####", compared as text): see above; numbers are compared as values.
TextScore score_gsm8k(std::string_view prediction, std::string_view gold);

/// HotpotQA's script (hotpot_evaluate_v1): F1 of the bags of words in lower case without ASCII
/// punctuation and articles; yes, no and noanswer are right as a whole or not at all.
TextScore score_hotpotqa(std::string_view prediction, std::string_view gold);

/// DROP's script (Dua et al., arXiv:1903.00161, drop_eval). `gold` holds references separated by
/// '|', of which the best counts, each with its spans on lines of their own. What follows the first
/// "Answer:" counts, to the end of its line, where there is one. Deviation: the script is given a
/// prediction's spans as a list; here lines or ';' separate them, where the reference has several.
TextScore score_drop(std::string_view prediction, std::string_view gold);

/// Token F1 for rows of one's own that are no benchmark: ASCII punctuation and the articles a, an,
/// the removed; alternatives in gold and prediction are separated by '|' and the best pair counts.
/// Unicode's canonical caseless match; the point of a decimal and the sign of a number are kept, so
/// "2.5" is not "25" and "-5" not "5"; where nothing is left of both, equal texts score 1.
double token_f1(std::string_view prediction, std::string_view gold);

/// The chosen letter A-J: "answer is (X)", then "Answer: X", then the last \boxed{X}, then a lone
/// letter; the last match of the first rule that matches (MMLU-Pro's rules, without its random
/// guess). Deviation: the article A and the pronoun I are no letters. "A." and "I)" are, and so are
/// an A that neither opens a sentence nor precedes a name and both before a verb of their own ("A
/// is", "I fits").
std::optional<char> chosen_letter(std::string_view text);

/// The letter of a choice task whose option ("B. text", on a line of its own) says what the answer
/// does, in whatever case and with whatever articles and punctuation; none where two options do.
std::optional<char> option_by_text(std::string_view prompt, std::string_view answer);

/// The rules of AFlow's released code, by task kind and dataset.
TextScore score_as_aflow(const Task& task, std::string_view answer);

}  // namespace weft
