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

/// MBPP (arXiv:2108.07732), the full file and the sanitized one: asserts in `test_list` and
/// `challenge_test_list`; where `test` defines a check as well, that too.
BenchmarkRow load_mbpp(RowFields& row);

/// MBPP+ (arXiv:2305.01210): MBPP's fields and a program in `test`, or lists of inputs in
/// `base_input` and `plus_input`.
BenchmarkRow load_mbpp_plus(RowFields& row);

/// EvalPlus' lists of inputs as one field of tests of `code`.
ReferenceTask plus_inputs(RowFields& row, const std::string& code, const std::string& entry_point);

}  // namespace weft
