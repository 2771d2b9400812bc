/// What `exec_code` returns to a workflow. Source: arXiv BayesFlow, appendix G, figure 4.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "sandbox/judge/judge.h"
#include "sandbox/value/value.h"

namespace weft {

/// What exec_code asks the judge: the public tests, those with an "input" of the solution as a
/// program. Where a query has none (serving): whether the solution loads to its end and defines the
/// entry point or, without an entry point, whether it compiles.
JudgeRequest exec_request(const std::string& solution, const std::string& entry_point,
                          const std::vector<Json>& tests);

/// "no error" when all tests passed; {"exec_fail_case": text} when some test ended otherwise than
/// by a value; else a list of {"test_case", "error_type", "error_message", "traceback"}, one per
/// wrong value or output. Without tests, loading is what passes or fails.
PythonValue exec_report(const std::string& entry_point, const std::vector<Json>& tests,
                        const Verdict& verdict);

}  // namespace weft
