/// Tests that a benchmark's row has as inputs with their outputs: nothing is to be recorded.
#pragma once

#include <string>
#include <vector>

#include "data/benchmarks/benchmark.h"
#include "data/benchmarks/row_fields.h"

namespace weft {

/// A test of a program that reads standard input.
Json stdio_test(const std::string& input, const std::string& output);

/// A test of a call, of arguments and result as JSON; sequences are compared whatever their type,
/// since JSON has lists only.
Json call_test(Json arguments, Json expected);

/// {"inputs", "outputs", "fn_name"?} as APPS, TACO and others have them. Calls where there is
/// a function, which sets the row's entry point. Where every result of a row is a list of one, the
/// result is what is in it; APPS' own script takes the list as well, which is not done here.
std::vector<Json> input_output_tests(BenchmarkRow& parsed, RowFields& row, const Json& tests);

/// The entry point for a method of a class Solution in `starter_code`, else the plain function.
std::string entry_point_of(const std::string& function, const std::string& starter_code);

}  // namespace weft
