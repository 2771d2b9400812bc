/// A workflow's full evaluation from few executions: SCALE's surrogate without its self-prediction.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/config.h"
#include "base/rng.h"
#include "trainer/evaluate/workflow_runs/run_scores.h"

namespace weft {

struct FewShotOptions {
  double fraction = 0.03;  ///< of the queries that is executed; the paper has 0.01 to 0.03
  int warm_up = 5;         ///< workflows evaluated in full first; unpublished, our choice
  int bins = 5;            ///< of difficulty, equally wide; unpublished, our choice
  int seeds = 200;         ///< draws of queries and runs, averaged
  uint64_t seed = 0;

  template <class V>
  void visit(V& v) {
    v("fraction", fraction, "share of the queries that is executed, in (0, 1]");
    v("warm_up", warm_up, "workflows that are evaluated in full first");
    v("bins", bins, "bins of difficulty, equally wide");
    v("seeds", seeds, "draws of queries and runs that are averaged");
    v("seed", seed, "seed of the draws");
  }
  void validate() const;  ///< throws InputError
};

/// Mean and standard deviation over draws.
struct Spread {
  double mean = 0;  ///< NaN where no draw has a value
  double sd = 0;    ///< n - 1; NaN of fewer than two
  int64_t n = 0;    ///< draws with a value
};

struct FewShotQuality {
  size_t num_queries = 0;    ///< executed of each later workflow
  size_t num_workflows = 0;  ///< later ones: those estimated
  double saved = 0;          ///< share of their executions
  double saved_overall = 0;  ///< the same with the warm-up's executions counted
  Spread pearson;            ///< against the full evaluation; undefined draws are left out
  Spread mae;
  Spread raw_mae;  ///< of S_few as it is
};

/// SCALE's few-shot execution, offline. The first `warm_up` workflows of the file count as
/// evaluated in full (one run); the mean score of a query over them is its difficulty. Queries fall
/// into bins of it, equally wide on [0, 1]; n = max(1, round(fraction Q)) of them are drawn, by
/// bins in proportion to their sizes (allocate_to_bins). For each later workflow w, one run drawn
/// for it,
///
///   S_few(w) = mean of its scores on the drawn queries D
///   S(w)     = clamp(sum_D o_q score(w, q) + mean over all q of d(q) - sum_D o_q d(q))
///
/// with d(q) the difficulty and o_q the size of q's bin over the number drawn from it, scaled to
/// sum to 1: without these weights a small bin that has its one query counts too much. The full
/// evaluation is the mean over all queries and the runs not drawn, so that no score stands on both
/// sides (over the same run where there is one only). Pearson and mean absolute error of S are over
/// the later workflows; raw_mae is that of S_few, as published.
///
/// Source: SCALE, arXiv:2601.11147, section 4.2; difference estimator: Saerndal, Swensson and
/// Wretman 1992, Model Assisted Survey Sampling, section 6.3; weights of bins: Cochran
/// 1977, Sampling Techniques, section 5.3. Deviations: no self-prediction, which takes an optimizer
/// model, and so none of eq. 8 and 9; calibration on the warm-up in its place. Needs three later
/// workflows, WEFT_ASSERTs it.
FewShotQuality evaluate_few_shot(const RunScores& scores, const FewShotOptions& options);

/// How many of n go to each bin: largest remainders of n size / sum, at least 1 for a bin that is
/// not empty where n allows, never more than its size. n is at most the sum of the sizes.
std::vector<size_t> allocate_to_bins(const std::vector<size_t>& sizes, size_t n);

/// Pearson's correlation; NaN where either side has no variance.
double pearson(const std::vector<double>& x, const std::vector<double>& y);

}  // namespace weft
