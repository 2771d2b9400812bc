/// What report.json of a search says, and when a search that found nothing is a failed run.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "data/trajectory_store.h"

namespace weft {

/// In all of these `rows` are the store's and `reports` maps a search's id to what run_search
/// returned, or to null.

/// {reason: count} as one line: "80 x no class Workflow, 40 x cut at max_tokens".
std::string listed_reasons(const Json& reasons);

/// By round, means over the searches that reached it: [{"round", "searches", "reward_mean",
/// "reward_best", "ess"}...]. Those of which no workflow was scored in a round have no reward there
/// and are left out of its two means, which are null where none has any.
Json reward_curve(const Json& reports);

/// {"workflows", "distinct", "valid", "workflow_errors", "limits", "infra_errors", "dropped",
/// "name_their_query"}; the last counts workflows that are written for their query alone
/// (workflow/names_query.h).
Json counts_of(const std::vector<Trajectory>& rows, const Json& reports);

/// {"invalid", "failed", "infra", "generator"}, each {reason: count}: workflows that do not pass
/// the static check, that ran and gave no answer, that could not be run, and requests to the
/// generator that failed.
Json reasons_of(const std::vector<Trajectory>& rows, const Json& reports);

/// Whether the budget cut a round of any search short.
bool any_cut(const Json& reports);

/// {"edits_checked", "edits_larger", "edits_unchanged"}: of the workflows that were asked for as
/// one edit of another and whose code parses, those that changed more than is_one_edit allows, and
/// those whose program is that of their parent.
Json edits_of(const std::vector<Trajectory>& rows);

/// Throws Error with the counted reasons of `report` where no workflow was written, none is valid,
/// none could be scored, or no candidate of the final choice could be.
void require_found(const std::vector<Trajectory>& rows, const Json& report);

}  // namespace weft
