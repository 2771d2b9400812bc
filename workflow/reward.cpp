#include "workflow/reward.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"

namespace weft {

void RewardOptions::validate() const {
  if (!(w_pass >= 0 && w_complexity >= 0 && w_diversity >= 0)) {
    throw InputError(fmt::format("w_pass, w_complexity, w_diversity: expected >= 0, got {}, {}, {}",
                                 w_pass, w_complexity, w_diversity));
  }
  if (nodes_low < 0 || nodes_high <= nodes_low) {
    throw InputError(
        fmt::format("expected 0 <= nodes_low < nodes_high, got {} and {}", nodes_low, nodes_high));
  }
}

RewardTerms reward(const Outcome& outcome, const Workflow& workflow, const RewardOptions& options) {
  WEFT_ASSERT(outcome.kind != Outcome::Kind::kInfrastructure);
  RewardTerms terms;
  terms.complexity = 1;
  if (workflow.valid && workflow.facts.num_nodes > 0) {
    const auto nodes = static_cast<double>(workflow.facts.num_nodes);
    const auto low = static_cast<double>(options.nodes_low);
    const auto high = static_cast<double>(options.nodes_high);
    if (outcome.kind == Outcome::Kind::kScored) terms.pass = outcome.pass_rate;
    terms.complexity = std::clamp((nodes - low) / (high - low), 0.0, 1.0);
    terms.diversity = static_cast<double>(workflow.facts.num_distinct_nodes) / nodes;
  }
  terms.total = options.w_pass * terms.pass - options.w_complexity * terms.complexity +
                options.w_diversity * terms.diversity;
  return terms;
}

}  // namespace weft
