/// The end of a search: which few workflows are looked at again, and what they give on fresh runs.
#pragma once

#include <vector>

#include "trainer/search/sample_workflows.h"

namespace weft {

/// At most `count` distinct codes, most promising first. Where rows have kinds (scripted origin),
/// kinds are ranked by their mean reward, shrunk by two pseudo-counts towards the overall mean, and
/// the best row of each stands for it: a single row's reward in a per_query search comes from one
/// task, a kind's from many. The rest is filled up by reward. Rows that were not scored are left
/// out: a workflow that only ever raised is no candidate.
std::vector<Trajectory> shortlist(const std::vector<Trajectory>& rows, Objective objective,
                                  size_t count);

/// Runs the shortlist on `tasks` with seeds that no search used. Returns {"candidates": [{"row",
/// "kind","origin","search_reward","search_pass_rate","n"?,"reward"?,"ci95"?,"ci_method"?,
/// "ci_note"?,"pass_rate"?,"repeats"?}...], "best": index, "spent", "reasons"} with intervals over
/// tasks (trainer/evaluate/statistics.h); "best" is null when nothing could be scored. What it uses
/// is added to `budget`, which is looked at before each candidate: those it leaves out have no
/// fresh reward and cannot win, and where it leaves out all, the best is the first of the
/// shortlist.
Json reevaluate(const std::vector<Trajectory>& shortlist, const std::vector<const Task*>& tasks,
                const SampleOptions& options, SearchScorer& scorer, Budget& budget);

}  // namespace weft
