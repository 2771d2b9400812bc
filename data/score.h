/// Scores of answers that need no code to be run: math, question answering, multiple choice.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "data/task.h"

namespace weft {

/// Score in [0, 1] of an answer to a math (0 or 1), qa (token F1) or choice (0 or 1) task. Code
/// tasks are scored by running them; asking here for one is a broken invariant.
double score_answer(const Task& task, const std::string& answer);

/// Content of the last \boxed{...} by counting braces, so that nested ones are whole; none if there
/// is no complete one.
std::optional<std::string> last_boxed(std::string_view text);

/// Whether a math answer is right. Gold is what it boxes, else its whole text. Of a prediction what
/// it boxes counts, else its whole text or its last number. Two values are equal when they are
/// numbers (fractions a/b and \frac{a}{b} and percentages understood) that differ by at most 1e-3
/// in absolute and 1e-9 in relative terms, or the same text in normalised LaTeX.
bool math_equal(std::string_view prediction, std::string_view gold);

/// Token F1 of HotpotQA and DROP in AFlow's form (arXiv:2410.10762, released code): lower case,
/// punctuation and the articles a, an, the removed; alternatives in gold and prediction are
/// separated by '|' and the best pair counts.
/// Deviation: a decimal point between digits is kept, so "2.5" is not "25".
double token_f1(std::string_view prediction, std::string_view gold);

/// The chosen letter A-J: "answer is (X)", then "Answer: X", then \boxed{X}, then a lone letter;
/// the last match of the first rule that matches (MMLU-Pro's rules, without its random guess).
std::optional<char> chosen_letter(std::string_view text);

}  // namespace weft
