/// The usual baselines, written as workflows of the same contract, so that they run on the same
/// path, with the same worker, budget and accounting as anything else.
#pragma once

#include <string>

#include "data/task.h"

namespace weft {

/// What the code of an answer is: kProgram where a task names no entry point.
enum class CodeForm { kFunction, kProgram };
CodeForm code_form(const Task& task);

/// Of a baseline that is given none. A handicap against methods that may answer greedily: a weak
/// worker's single call is the better for temperature 0, so that both are to be looked at.
constexpr double kBaselineTemperature = 0.7;

/// One call with the plain query. `code` is of code tasks only, here and below; at temperature 0
/// the call is greedy.
std::string io_workflow(TaskKind kind, CodeForm code = CodeForm::kFunction,
                        double temperature = kBaselineTemperature);

/// One call that is asked to reason step by step before it answers.
std::string cot_workflow(TaskKind kind, CodeForm code = CodeForm::kFunction,
                         double temperature = kBaselineTemperature);

/// Self-consistency (arXiv:2203.11171, which samples at 0.5 to 0.7): `samples` chain-of-thought
/// answers, then a majority. Math and choice vote on the last word, qa on the whole answer. For
/// code, where answers are seldom equal, the vote is on the text without white space, the first
/// draft winning ties; no test is used, public or other. Throws InputError unless samples >= 1, and
/// when more than one is to be drawn at temperature 0, where all would be the same.
std::string cot_sc_workflow(TaskKind kind, int samples, CodeForm code = CodeForm::kFunction,
                            double temperature = kBaselineTemperature);

}  // namespace weft
