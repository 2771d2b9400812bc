/// What the benchmarks of multiple choice have in common.
#pragma once

#include <string>
#include <vector>

#include "data/benchmarks/benchmark.h"
#include "data/benchmarks/row_fields.h"

namespace weft {

/// Makes the row a question with 2 to 10 options, each on a line behind its letter; `right` is the
/// place of the answer. Refused where that option is there twice: no letter would be the right one.
void set_choices(BenchmarkRow& parsed, RowFields& row, const std::string& question,
                 const std::vector<std::string>& options, size_t right);

}  // namespace weft
