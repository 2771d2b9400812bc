#include "workflow/reward.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>

#include "base/check.h"
#include "base/error.h"
#include "workflow/run_workflow.h"

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
  require_weight("w_calls", w_calls);
  require_weight("w_tokens", w_tokens);
  require_weight("w_usd", w_usd);
  require_at_least("calls_high", calls_high, 1);
  require_at_least("tokens_high", tokens_high, 1);
  require_above("usd_high", usd_high, 0);
  require_weight("file_weight", file_weight);
  if (file.empty() && file_weight != RewardOptions{}.file_weight) {
    throw InputError("file_weight: expected a file beside it, got none");
  }
}

std::string RewardOptions::text() const {
  std::string formula = fmt::format("{:g} P - {:g} C + {:g} D", w_pass, w_complexity, w_diversity);
  std::string words =
      "P share of val tests passed, C size and D distinctness of the code in [0, 1]";
  double least = -w_complexity;
  const auto price = [&](double weight, const char* what, double high) {
    if (weight == 0) return;
    formula += fmt::format(" - {:g} K_{}", weight, what);
    words += fmt::format(", K_{} the worker's over {:g}, at most 1", what, high);
    least -= weight;
  };
  price(w_calls, "calls", static_cast<double>(calls_high));
  price(w_tokens, "tokens", static_cast<double>(tokens_high));
  price(w_usd, "usd", usd_high);
  if (!file.empty()) {
    return fmt::format("{} + {:g} F: {}, F a number of the user's own", formula, file_weight,
                       words);
  }
  return fmt::format("{} in [{:g}, {:g}]: {}", formula, least, w_pass + w_diversity, words);
}

RewardTerms RewardOptions::no_terms() const {
  RewardTerms terms;
  if (w_calls > 0) terms.calls = 0;
  if (w_tokens > 0) terms.tokens = 0;
  if (w_usd > 0) terms.usd = 0;
  if (!file.empty()) terms.file = 0;
  return terms;
}

RewardTerms reward(const Outcome& outcome, const Workflow& workflow, const RewardOptions& options,
                   std::optional<double> own) {
  WEFT_ASSERT(outcome.kind != Outcome::Kind::kInfrastructure);
  RewardTerms terms = options.no_terms();
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
  const auto charge = [&](std::optional<double>& term, double weight, double used, double high) {
    if (!term) return;
    term = workflow.valid ? std::min(used / high, 1.0) : 1.0;
    terms.total -= weight * *term;
  };
  const WorkflowUsage& used = outcome.last_usage;
  charge(terms.calls, options.w_calls, used.calls, static_cast<double>(options.calls_high));
  charge(terms.tokens, options.w_tokens,
         static_cast<double>(used.prompt_tokens + used.completion_tokens),
         static_cast<double>(options.tokens_high));
  charge(terms.usd, options.w_usd, used.usd, options.usd_high);
  if (!options.file.empty()) {
    WEFT_ASSERT(own && std::abs(*own) <= kMaxOwnReward);
    terms.file = own;
    terms.total += options.file_weight * *terms.file;
  }
  return terms;
}

}  // namespace weft
