/// Can the text of a query alone choose its workflow? An offline router over recorded runs, tried
/// on queries that it has not seen.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/config.h"
#include "trainer/evaluate/workflow_runs/run_scores.h"

namespace weft {

struct QueryRouterOptions {
  int folds = 10;   ///< parts of the queries; each is held out once
  int repeats = 3;  ///< divisions into folds, averaged
  std::vector<double> penalties = {0.1, 0.3, 1, 3, 10};  ///< candidates for lambda
  double least_z = 1.645;  ///< standard errors that the gain within the training folds must have
  uint64_t seed = 0;       ///< of the folds

  template <class V>
  void visit(V& v) {
    v("folds", folds, "parts of the queries, each held out once");
    v("repeats", repeats, "divisions into folds that are averaged");
    v("penalties", penalties, "ridge penalties to choose from within the training folds");
    v("least_z", least_z, "standard errors of gain within the training folds from which it routes");
    v("seed", seed, "seed of the folds");
  }
  void validate() const;  ///< throws InputError
};

/// More take too long: time and memory grow with the cube and the square of the queries.
inline constexpr size_t kMostRoutedQueries = 1000;

/// Per query, averaged over splits of the runs and repeats.
struct QueryRouting {
  std::vector<double> score;         ///< of the workflow that the router took
  std::vector<double> fixed_unseen;  ///< of the best fixed one by the training queries alone
  double abstained = 0;              ///< share of choices that were the best fixed workflow
  double cost_ratio = 0;             ///< its dollars over the best fixed one's; NaN where unknown
};

/// For each split of the runs (run_splits) and each fold: the best fixed workflow f is that of
/// estimate_headroom, by the choosing runs over all queries, since a task-level search hands over
/// one that it has evaluated on all of them. From the choosing runs of the training queries the
/// router learns the gains y(q, w) = a(w, q) - a(f, q) of the workflows that cost no more than f
/// (of all where costs are unknown), by kernel ridge regression without an intercept,
///
///   y(q, .) = k(q)' (K + lambda I)^-1 Y,   k(q, q') = 1 + cos(tfidf(q), tfidf(q'))
///
/// that is ridge regression on a constant and the words (WordVectors of the training queries), with
/// prior mean "no gain". lambda is the one whose leave-one-out predictions in the training queries
/// choose best; where their mean gain is below `least_z` standard errors, all lambdas alike, the
/// router abstains on the whole fold; else it takes the workflow of the highest predicted gain
/// where that is above 0, and f where not. Held-out queries are scored by the scoring runs.
///
/// So score and Headroom::fixed are of the same runs and queries, and differ by the router alone.
/// Source: Saunders, Gammerman and Vovk, ICML 1998 (kernel ridge); leave-one-out in closed form:
/// Allen, Technometrics 16, 125 (1974), as residual_i = [A Y]_i / A_ii with A = (K + lambda I)^-1.
/// Costs are usd_per_query, a proxy: nothing is known of a single query's. Needs two runs, two
/// workflows, at least as many queries as folds and at most kMostRoutedQueries; WEFT_ASSERTs it.
QueryRouting route_queries(const RunScores& scores, const std::vector<std::string>& texts,
                           const std::vector<double>& usd, const QueryRouterOptions& options);

}  // namespace weft
