/// How many queries a handful of workflows solves together, against the same number of executions
/// of the best one alone: is coverage by several workflows more than repetition?
#pragma once

#include <cstddef>
#include <vector>

#include "trainer/evaluate/workflow_runs/run_scores.h"

namespace weft {

inline constexpr size_t kCoverageExecutions = 5;  ///< of a query, as in the SCALE paper

/// [execution count - 1][query], expected best score.
struct Coverage {
  /// The k best workflows ran once each; k = 1 .. min(5, workflows).
  std::vector<std::vector<double>> top;
  /// The best workflow ran k times; k = 1 .. min(5, runs). Its first entry is that of `top`.
  std::vector<std::vector<double>> repeated;
  std::vector<double> all;  ///< every workflow ran once
};

/// Which ranking of the workflows says what is best.
enum class Ranking {
  /// Mean over all runs and queries, those that are scored among them: a search's own ranking, as
  /// in
  /// the paper. It favours top-1 and top-k by the luck of these runs.
  kAllQueries,
  /// For each query mean over all runs and the other queries. Without that favour, but where
  /// workflows are nearly equal a query's own score decides against its best one, which errs
  /// downwards.
  kOtherQueries,
};

/// Expected best score of a query over the executions, which for scores of 0 and 1 is the chance
/// that one of them solves it. Exact expectations over which runs are taken: of different workflows
/// one run each, independently, E max = sum over values v of v (F(v) - F(v-)) with F the product of
/// the workflows' distributions; of one workflow k of its R runs without repetition, where the i-th
/// smallest is the greatest of the k in C(i-1, k-1) / C(R, k) of the draws.
///
/// Source: SCALE, arXiv:2601.11147, section 3.1 and table 1, for 0/1 scores; the second expectation
/// is pass@k of Codex, arXiv:2107.03374, eq. 1, for scores in [0, 1]. Deviations: expectations over
/// runs in place of one draw; the best score where scores are fractions (the paper's rule is not
/// known to us).
Coverage estimate_coverage(const RunScores& scores, const std::vector<double>& usd,
                           Ranking ranking);

/// The second expectation for the runs' scores in any order; 1 <= k <= R.
double expected_best_of(std::vector<double> run_scores, size_t k);

}  // namespace weft
