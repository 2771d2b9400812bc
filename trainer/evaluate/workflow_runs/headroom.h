/// What choosing a workflow for each query could give at most over one workflow for all, without
/// the upward bias of a maximum over noisy means: some runs choose, others score.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "trainer/evaluate/statistics.h"
#include "trainer/evaluate/workflow_runs/run_scores.h"

namespace weft {

/// A division of the runs.
struct RunSplit {
  std::vector<size_t> choose, score;
};

/// All divisions into ceil(R / 2) runs that choose and the others that score: of five runs 3 and 2,
/// 10 divisions. Choosing gets the larger part, as one more run there makes choices better, and one
/// fewer in scoring adds noise but no bias. Beyond `most` divisions (R > 10), as many drawn by a
/// fixed seed. Empty for one run.
std::vector<RunSplit> run_splits(size_t num_runs, size_t most = 252);

/// The workflow with the highest of `means` among `candidates`; equal ones: the cheaper, then the
/// earlier. `usd` may hold NaN, which is dearer than all.
size_t best_workflow(std::span<const double> means, std::span<const size_t> candidates,
                     std::span<const double> usd);

/// Means over the queries of each workflow's row.
std::vector<double> workflow_means(const std::vector<std::vector<double>>& query_means);

/// Per query, averaged over all splits.
struct Headroom {
  std::vector<double> fixed;     ///< score of the one workflow with the highest mean in choosing
  std::vector<double> by_query;  ///< score of the workflow that did best on this query in choosing
};

/// Cross-fitted choice: for each split S of the runs, with means a over choosing and b over scoring
/// runs,
///
///   f = argmax_w mean_q a(w, q)          fixed(q)    = mean over S of b(f, q)
///   g(q) = argmax_w a(w, q)              by_query(q) = mean over S of b(g(q), q)
///
/// Of workflows equally good on a query the one with the higher mean over all queries is taken,
/// which is the fixed one where it is among them. by_query has seen the query itself in other runs,
/// so it bounds from above any router over these workflows that sees the query's text alone; its
/// choices still err with noise, so the best workflow of a query known without error is above it.
/// `fixed` was chosen on the queries that score it, which favours it by the luck of these queries.
///
/// Source: sample splitting as in Cox, Biometrika 62, 441 (1975), averaged over all splits.
/// Expected gap without interaction: at most 0; its percentile interval over queries (statistics.h)
/// lies above 0 in 3 % of sets of equal workflows, 2.5 % nominal, as it holds the choice of the
/// fixed one. Needs two runs, WEFT_ASSERTs it.
Headroom estimate_headroom(const RunScores& scores, std::span<const double> usd);

}  // namespace weft
