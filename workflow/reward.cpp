#include "workflow/reward.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "base/error.h"

namespace weft {
namespace {

constexpr double kMaxWeight = 1e6;

void require_weight(const char* name, double weight) {
  require_at_least(name, weight, 0);
  if (weight <= kMaxWeight) return;
  throw InputError(
      fmt::format("{}: expected a weight from 0 to {:g}, got {:g}", name, kMaxWeight, weight));
}

}  // namespace

void RewardOptions::validate() const {
  require_weight("w_pass", w_pass);
  require_weight("w_complexity", w_complexity);
  require_weight("w_diversity", w_diversity);
  require_at_least("nodes_low", nodes_low, 0);
  require_above("nodes_high", nodes_high, nodes_low);
  require_weight("file_weight", file_weight);
  if (file.empty() && file_weight != RewardOptions{}.file_weight) {
    throw InputError("file_weight: expected a file beside it, got none");
  }
}

std::string RewardOptions::text() const {
  if (!file.empty()) {
    return fmt::format(
        "{0:g} P - {1:g} C + {2:g} D + {3:g} F: P share of val tests passed, C size and D "
        "distinctness of the code in [0, 1], F a number of the user's own",
        w_pass, w_complexity, w_diversity, file_weight);
  }
  return fmt::format(
      "{0:g} P - {1:g} C + {2:g} D in [{3:g}, {4:g}]: P share of val tests passed, C size and D "
      "distinctness of the code in [0, 1]",
      w_pass, w_complexity, w_diversity, -w_complexity, w_pass + w_diversity);
}

RewardTerms RewardOptions::no_terms() const {
  RewardTerms terms;
  if (!file.empty()) terms.file = 0;
  return terms;
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
  if (!options.file.empty()) {
    WEFT_ASSERT(outcome.own_reward && std::abs(*outcome.own_reward) <= kMaxOwnReward);
    terms.file = outcome.own_reward;
    terms.total += options.file_weight * *terms.file;
  }
  return terms;
}

RunnerOptions with_own_reward(RunnerOptions runner, const RewardOptions& options) {
  runner.reward_file = options.file;
  return runner;
}

}  // namespace weft
