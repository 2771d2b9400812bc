/// The program `collect_traces` without its wiring: a teacher's rounds on each query, with
/// execution feedback, joined into one trace.
///
/// Source: FlowReasoner (arXiv:2504.15257) §3: per query l rounds; each round yields reasoning R
/// and a system S, which is executed, and the feedback enters the next round; the rounds are joined
/// into one reasoning text and one final system. Deviations: the final system is that of the best
/// round (the paper does not say), the rounds after it are left out of the reasoning, and a query
/// whose val tests all pass needs no further round.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "data/task.h"
#include "trainer/search/budget.h"
#include "trainer/search/generator.h"
#include "trainer/search/sample_workflows.h"
#include "trainer/search/scorer.h"

namespace weft {

struct TraceOptions {
  int64_t rounds = 3;
  bool stop_when_solved = true;
  int64_t max_tasks = 0;
  int64_t traces_per_task = 1;
  int64_t concurrent_queries = 8;
  int64_t max_failures = 8;
  BudgetOptions budget;
  uint64_t seed = 0;

  template <class V>
  void visit(V& v) {
    v("rounds", rounds, "l, workflows that the teacher writes for a query, one after the other");
    v("stop_when_solved", stop_when_solved, "no further round once all val tests pass");
    v("max_tasks", max_tasks, "first tasks used; 0: all");
    v("traces_per_task", traces_per_task, "independent traces of each query");
    v("concurrent_queries", concurrent_queries, "queries in work at a time");
    v("max_failures", max_failures, "failures of the teacher in a row that end the run");
    v("budget", budget, "what the run may spend; 0: no limit");
    v("seed", seed, "of every draw");
  }
  void validate() const;
};

/// One round as it enters the joined reasoning.
struct TraceRound {
  std::string reasoning;
  std::string code;
  std::string kind;
  std::string feedback;  ///< what the next round was told
  RewardTerms reward;
  bool valid = false;
};

/// R-hat and the index of the round whose workflow is S-hat: the valid round of the highest reward,
/// the earliest of equals, -1 when none is valid. Each earlier round is told with its result. Code
/// fences and the marks of a reasoning part are taken out, so that the text can stand before the
/// one code block of a completion or in such a part. Empty where none of these rounds has
/// reasoning.
struct JoinedTrace {
  std::string reasoning;
  int64_t chosen = -1;
};
JoinedTrace join_rounds(const std::vector<TraceRound>& rounds);

/// `tools.generator` is the teacher. Collects traces into the store: every round under the origin
/// of the teacher + "/round", every joined trace under the origin itself with usage
/// {"rounds","chosen_round"}. State "trace/ID/N" marks what is done: a later call does the rest,
/// from the round it was at. Writes report.json into `dir` and returns it:
/// {"teacher","worker","queries","done","traces","no_valid_workflow","no_reasoning","failed",
/// "spent","budget_exhausted","clock","failures": {reason: count}, "reasons" as of search_report.h,
/// "edits_checked","edits_larger","edits_unchanged"}.
///
/// The budget and single failures of the teacher end nothing that is in the store: the rest is left
/// out with one warning. Throws Error when the teacher fails max_failures times in a row, or when
/// there is not one trace, with the counted reasons; Interrupted after a stop signal.
Json collect_traces(const TraceOptions& options, const std::vector<Task>& tasks,
                    const SearchTools& tools, const std::filesystem::path& dir);

}  // namespace weft
