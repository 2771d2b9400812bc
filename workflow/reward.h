/// The reward of one executed workflow. FlowReasoner (arXiv:2504.15257) names three terms
/// (performance, complexity, diversity) and publishes neither form nor weights: their definition
/// here is this project's own. Beyond FlowReasoner, and without weight by default, are the price of
/// what the workflow asked of its worker and a term of the user's own. Others take money alone off
/// a score, without a bound (MaAS, arXiv:2502.04180: score - 3 USD in its released code); here
/// calls and tokens have a price too, which local workers have, and each is at most 1, so that no
/// valid workflow earns less than one that is not valid.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "data/reward_terms.h"
#include "workflow/workflow.h"

namespace weft {

struct Outcome;

/// Size of the largest number that a user's own term may be: weighted, summed and squared it is
/// finite.
inline constexpr double kMaxOwnReward = 1e100;

/// Weights lie in [0, 1e6].
struct RewardOptions {
  double w_pass = 1.0;          ///< weight of the pass rate
  double w_complexity = 0.1;    ///< weight of the size penalty
  double w_diversity = 0.1;     ///< weight of the distinctness bonus
  int64_t nodes_low = 40;       ///< AST nodes that cost nothing
  int64_t nodes_high = 200;     ///< AST nodes that cost the whole penalty; > nodes_low
  double w_calls = 0;           ///< weights of the price: of worker calls,
  double w_tokens = 0;          ///< of worker tokens, prompts included,
  double w_usd = 0;             ///< and of money
  int64_t calls_high = 32;      ///< worker calls that cost the whole of their price; > 0
  int64_t tokens_high = 20000;  ///< tokens that do
  double usd_high = 0.1;        ///< US dollars that do
  std::string file;             ///< Python of a further term, see own_reward.h; empty: none
  double file_weight = 1;       ///< of that term

  template <class V>
  void visit(V& v) {
    v("w_pass", w_pass, "weight of the pass rate");
    v("w_complexity", w_complexity, "weight of the size penalty");
    v("w_diversity", w_diversity, "weight of the distinctness bonus");
    v("nodes_low", nodes_low, "AST nodes that cost nothing");
    v("nodes_high", nodes_high, "AST nodes that cost the whole penalty");
    v("w_calls", w_calls, "weight of the price of worker calls");
    v("w_tokens", w_tokens, "weight of the price of worker tokens, prompts included");
    v("w_usd", w_usd, "weight of the price of money");
    v("calls_high", calls_high, "worker calls that cost the whole of their price");
    v("tokens_high", tokens_high, "worker tokens that cost the whole of their price");
    v("usd_high", usd_high, "US dollars that cost the whole of their price");
    v("file", file,
      "Python file of a further term: it defines reward(workflow, outcome, task), which gives a "
      "number; empty: none");
    v("file_weight", file_weight, "weight of the file's term");
  }
  void validate() const;  ///< throws InputError

  /// Zeros of every term that a reward with these options has, to sum them from.
  RewardTerms no_terms() const;

  /// The formula with these weights and its range, for reports.
  std::string text() const;
};

/// The terms and
///
///   total = w_pass P - w_complexity C + w_diversity D
///           - w_calls K_calls - w_tokens K_tokens - w_usd K_usd + file_weight F
///
/// which without a file's term lies in [-w_complexity - w_calls - w_tokens - w_usd, w_pass +
/// w_diversity]: it is not an accuracy and may be below 0. All but F lie in [0, 1].
///
/// P = pass rate (0 unless scored); C = clamp((n - nodes_low) / (nodes_high - nodes_low), 0, 1)
/// with n the AST nodes of the workflow; D = distinct node signatures / n; K_x = min(x / x_high, 1)
/// with x what the outcome's last try used, and there where w_x > 0 alone. A workflow that is not
/// valid has P = 0, C = 1, D = 0, K = 1: the least of all these. F = `own`, what
/// the file gave, at most kMaxOwnReward in size. An infrastructure outcome has no reward: asserts
/// that the caller has dropped it, and that `own` is there with RewardOptions::file.
RewardTerms reward(const Outcome& outcome, const Workflow& workflow,
                   const RewardOptions& options = {}, std::optional<double> own = std::nullopt);

}  // namespace weft
