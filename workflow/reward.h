/// The reward of one executed workflow. FlowReasoner (arXiv:2504.15257) names its three terms
/// (performance, complexity, diversity) and publishes neither form nor weights: the definition here
/// is this project's own.
#pragma once

#include <cstdint>
#include <string>

#include "data/reward_terms.h"
#include "workflow/run_workflow.h"
#include "workflow/workflow.h"

namespace weft {

/// Size of the largest number that a user's own term may be: weighted, summed and squared it is
/// finite.
inline constexpr double kMaxOwnReward = 1e100;

/// Weights lie in [0, 1e6].
struct RewardOptions {
  double w_pass = 1.0;        ///< weight of the pass rate
  double w_complexity = 0.1;  ///< weight of the size penalty
  double w_diversity = 0.1;   ///< weight of the distinctness bonus
  int64_t nodes_low = 40;     ///< AST nodes that cost nothing
  int64_t nodes_high = 200;   ///< AST nodes that cost the whole penalty; > nodes_low
  std::string file;           ///< Python of a further term, see own_reward.h; empty: none
  double file_weight = 1;     ///< of that term

  template <class V>
  void visit(V& v) {
    v("w_pass", w_pass, "weight of the pass rate");
    v("w_complexity", w_complexity, "weight of the size penalty");
    v("w_diversity", w_diversity, "weight of the distinctness bonus");
    v("nodes_low", nodes_low, "AST nodes that cost nothing");
    v("nodes_high", nodes_high, "AST nodes that cost the whole penalty");
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

/// The terms and total = w_pass P - w_complexity C + w_diversity D + file_weight F, which without a
/// file's term lies in [-w_complexity, w_pass + w_diversity]: it is not an accuracy and may be
/// below 0. P, C and D lie in [0, 1].
///
/// P = pass rate (0 unless scored); C = clamp((n - nodes_low) / (nodes_high - nodes_low), 0, 1)
/// with n the AST nodes of the workflow; D = distinct node signatures / n. A workflow that is not
/// valid has P = 0, C = 1, D = 0: the least of these three. F = the outcome's own_reward, whatever
/// the workflow, at most kMaxOwnReward in size and there with RewardOptions::file alone. An
/// infrastructure outcome has no reward: asserts that the caller has dropped it, and that with a
/// file own_reward is there.
RewardTerms reward(const Outcome& outcome, const Workflow& workflow,
                   const RewardOptions& options = {});

/// Options of a runner whose outcomes such a reward is to be taken of.
RunnerOptions with_own_reward(RunnerOptions runner, const RewardOptions& options);

}  // namespace weft
