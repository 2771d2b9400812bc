/// A loader for each benchmark. Each sets all of a BenchmarkRow but `unread`.
#pragma once

#include "data/benchmarks/benchmark.h"
#include "data/benchmarks/row_fields.h"

namespace weft {

/// HumanEval (arXiv:2107.03374): the prompt is the head of the function, `test` a check(candidate).
BenchmarkRow load_humaneval(RowFields& row);

/// HumanEval+ (arXiv:2305.01210): HumanEval's fields whose `test` loops over inputs, or lists of
/// inputs in `base_input` and `plus_input`.
BenchmarkRow load_humaneval_plus(RowFields& row);

/// BigCodeBench (arXiv:2406.15877), its completion form: each method of the unittest classes in
/// `test` is one test, which a checker runs in its own process with the answer's function called
/// across: what is patched, or no plain data, does not reach it.
BenchmarkRow load_bigcodebench(RowFields& row);

/// MBPP (arXiv:2108.07732), the full file and the sanitized one: asserts in `test_list` and
/// `challenge_test_list`; where `test` defines a check as well, that too.
BenchmarkRow load_mbpp(RowFields& row);

/// MBPP+ (arXiv:2305.01210): MBPP's fields and a program in `test`, or lists of inputs in
/// `base_input` and `plus_input`.
BenchmarkRow load_mbpp_plus(RowFields& row);

/// LiveCodeBench (arXiv:2403.07974): programs and methods; the private tests as JSON, or pickled,
/// packed and in base64 as published.
BenchmarkRow load_livecodebench(RowFields& row);

/// CodeContests (arXiv:2203.07814), exported from its records to JSON lines.
BenchmarkRow load_codecontests(RowFields& row);

/// APPS (arXiv:2105.09938) and TACO (arXiv:2312.14852): tests in `input_output`, of programs or,
/// where there is a `fn_name`, of calls.
BenchmarkRow load_apps(RowFields& row);
BenchmarkRow load_taco(RowFields& row);

/// GSM8K (arXiv:2110.14168): the number behind "####", or AFlow's plain one.
BenchmarkRow load_gsm8k(RowFields& row);

/// GSM-Hard (arXiv:2211.10435): `target`, a number.
BenchmarkRow load_gsm_hard(RowFields& row);

/// MATH (arXiv:2103.03874): what the solution boxes last; and its subset of 500 (arXiv:2305.20050),
/// which has it in `answer`.
BenchmarkRow load_math(RowFields& row);
BenchmarkRow load_math500(RowFields& row);

/// AIME 2024 and 2025 in the forms that are about: a whole number below 1,000.
BenchmarkRow load_aime(RowFields& row);

/// HotpotQA (arXiv:1809.09600), distractor setting: every paragraph with its title, then the
/// question.
BenchmarkRow load_hotpotqa(RowFields& row);

/// DROP (arXiv:1903.00161) as AFlow and simple-evals have it (`context`, `ref_text`), as exported
/// from parquet (`passage`, `question`, `answers_spans`), or a question of its own file
/// (data/benchmarks/document.h). Answers are separated by "|"; of its own file, one for each
/// reference, whose spans are lines.
BenchmarkRow load_drop(RowFields& row);

/// MMLU (arXiv:2009.03300): `choices` and the place or letter of the right one.
BenchmarkRow load_mmlu(RowFields& row);

/// MMLU-Pro (arXiv:2406.01574): up to ten `options`.
BenchmarkRow load_mmlu_pro(RowFields& row);

/// GPQA (arXiv:2311.12022), its columns as JSON. The options' order is a function of the row's id.
BenchmarkRow load_gpqa(RowFields& row);

/// Rows of your own: `prompt` (or `question`, `problem`) and `answer`; with `options` a choice,
/// else what `kind` says, qa where it says nothing.
BenchmarkRow load_generic(RowFields& row);

/// The imports and helpers of a prompt, which an answer that is only the function takes as given.
std::string before_entry_point(const std::string& prompt, const std::string& entry_point);

/// EvalPlus' lists of inputs as one field of tests of `code`.
ReferenceTask plus_inputs(RowFields& row, const std::string& code, const std::string& entry_point);

}  // namespace weft
