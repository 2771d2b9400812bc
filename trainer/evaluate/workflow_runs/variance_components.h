/// How much of the scores' variance is workflow by query, which choosing by query could use, and
/// how much is noise of runs, which it cannot.
#pragma once

#include "trainer/evaluate/statistics.h"
#include "trainer/evaluate/workflow_runs/run_scores.h"

namespace weft {

struct VarianceComponents {
  Estimate interaction;  ///< sigma^2 of workflow x query; may be below 0, as unbiased ones are
  Estimate noise;        ///< sigma^2 of runs of one workflow on one query
};

/// Two-way layout y(w, q, r) = m + a(w) + b(q) + c(w, q) + e(w, q, r) with W workflows, Q queries
/// and R runs; by the mean squares,
///
///   noise        = MS_e = sum (y(w,q,r) - y(w,q,.))^2 / (W Q (R - 1))
///   MS_i         = R sum (y(w,q,.) - y(w,.,.) - y(.,q,.) + y(.,.,.))^2 / ((W - 1)(Q - 1))
///   interaction  = (MS_i - MS_e) / R
///
/// Both are unbiased without assuming a distribution. Both are means over queries of one term each
/// (for the interaction with the factor Q / (Q - 1)), so their intervals are those of a mean over
/// queries (statistics.h); the workflows' means are held fixed there, an effect of order 1 / Q. The
/// usual interval by quantiles of F is not used: it assumes normal scores, and these are mostly 0
/// and 1.
///
/// Source: Searle, Casella and McCulloch 1992, Variance Components, section 4.3 (ANOVA estimators
/// of the two-way crossed classification with interaction). Deviation: the interval, as said. Needs
/// W, Q, R >= 2; WEFT_ASSERTs it.
VarianceComponents estimate_variance_components(const RunScores& scores,
                                                const BootstrapOptions& options = {});

}  // namespace weft
