/// The headlines of a report: the meta-agent against the strongest of each class of methods. The
/// rule stands here alone; reports, pages and scripts show what it gives.
///
/// Who is compared is fixed before anyone sees a score: the last meta-agent of the list, never the
/// best. Its rival is the member of a class with the highest mean score on the same tasks (the
/// earlier one when two are equal). Choosing the maximum after the fact favours the rival, so a
/// headline errs against the meta-agent.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"
#include "trainer/evaluate/methods.h"
#include "trainer/evaluate/statistics.h"

namespace weft {

/// "single_call" (io and cot, sampled or greedy), "repeated_calls" (cot_sc), "one_workflow" (a
/// file's, the same for every query), "meta_agent" (written or chosen for the query), "other_query"
/// (the shuffled controls), "samples" (completions of others).
std::string method_class(const Method& method);

struct Contender {
  std::string name;
  TaskValues scores;
};

struct Comparison {
  size_t strongest = 0;  ///< among the rivals
  Estimate difference;   ///< subject minus strongest, over the tasks that both have
};

/// None when no rival has a score. Throws as estimate_difference does.
std::optional<Comparison> compare_with_strongest(const TaskValues& subject,
                                                 std::span<const Contender> rivals,
                                                 const BootstrapOptions& options = {},
                                                 Interval bounds = kScoreBounds);

/// The "headlines" array of a report, one for each class but the meta-agents' that has a score:
/// {"method","class","class_words","against","among":[names],"n","diff","ci95","ci_method",
/// "ci_note"?,"reading","tokens_ratio","words"}. tokens_ratio: the method's tokens a query over its
/// rival's; null where either is not known. words: all of it as a sentence. `methods_json` is
/// summarise_methods'. Empty without a meta-agent.
Json summarise_headlines(const std::vector<Method>& methods,
                         const std::vector<std::vector<double>>& scores, const Json& methods_json,
                         const BootstrapOptions& bootstrap);

}  // namespace weft
