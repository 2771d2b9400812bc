/// From a set of recorded runs to its entry in report.json (docs/formats.md).
#pragma once

#include "base/json.h"
#include "trainer/evaluate/statistics.h"
#include "trainer/evaluate/workflow_runs/few_shot.h"
#include "trainer/evaluate/workflow_runs/query_router.h"
#include "trainer/evaluate/workflow_runs/run_scores.h"

namespace weft {

struct AnalysisOptions {
  BootstrapOptions bootstrap;
  FewShotOptions few_shot;
  QueryRouterOptions router;

  template <class V>
  void visit(V& v) {
    v("bootstrap", bootstrap, "the intervals, over queries");
    v("few_shot", few_shot, "the surrogate of a full evaluation");
    v("router", router, "the choice of a workflow by a query's text");
  }
};

/// What the SCALE paper reports (arXiv:2601.11147, tables 1 and 3), for showing beside: its own
/// sets, workflows and models, so no target.
Json paper_figures();

/// One entry of "sets". Intervals resample queries and hold the choices of workflows as they are
/// (statistics.h). What the set is too small for is null, with the reason under "missing":
/// best_fixed, by_query, gap, variances and router need two runs and two workflows, the variances
/// two queries, the router as many as it has folds, the surrogate three workflows after the
/// warm-up.
Json analyse_set(const WorkflowRuns& set, const AnalysisOptions& options);

/// {"sets", "pearson", "mae"}: means of the surrogate's over the sets that have both; null of none.
Json surrogate_means(const Json& sets);

}  // namespace weft
