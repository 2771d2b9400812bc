/// The numbers of a report: per-task scores, per-method means, pairs.
#pragma once

#include <limits>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "trainer/evaluate/methods.h"
#include "trainer/evaluate/results.h"
#include "trainer/evaluate/statistics.h"

namespace weft {

/// Mean score over a task's samples, [methods][tasks]; NaN where every sample is missing.
using ScoreTable = std::vector<std::vector<double>>;

ScoreTable score_table(const std::vector<Method>& methods, const std::vector<std::string>& task_ids,
                       const std::vector<ResultRow>& rows);

/// The "methods" array of a report.
Json summarise_methods(const std::vector<Method>& methods, const ScoreTable& scores,
                       const std::vector<ResultRow>& rows, const BootstrapOptions& bootstrap);

/// Adds "pass_at_k" to each method that has samples: {"1": {"score", "ci95", ..}, ..}, means over
/// tasks of the unbiased estimate (trainer/evaluate/samples.h) for k = 1, 10, 100, as far as each
/// of its tasks has k samples. Every score must be 0 or 1.
void add_pass_at_k(Json& methods, const std::vector<ResultRow>& rows,
                   const BootstrapOptions& bootstrap);

/// The "pairs" array: every pair of methods once, the later of the list as a.
Json summarise_pairs(const std::vector<Method>& methods, const ScoreTable& scores,
                     const BootstrapOptions& bootstrap);

}  // namespace weft
