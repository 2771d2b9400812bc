/// The terms of a workflow's reward. Whatever stores, averages or logs a reward goes over this one
/// list, so that a further term is a field here and its value in workflow/reward.cpp.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/json.h"

namespace weft {

struct Trajectory;

/// Each term unweighted, and their weighted sum; or sums or means of these. What the terms mean,
/// and their ranges: workflow/reward.h.
struct RewardTerms {
  double pass = 0;
  double complexity = 0;
  double diversity = 0;
  std::optional<double> calls, tokens, usd;  ///< the price, each where the run weighs it
  std::optional<double> file;                ///< of the user's own function, where the run has one
  double total = 0;                          ///< the reward; in no list of terms

  /// v("pass", a.pass, b.pass), ...: every term by its name, of one record or of several.
  template <class V, class... Terms>
  static void visit(const V& v, Terms&... terms) {
    v("pass", terms.pass...);
    v("complexity", terms.complexity...);
    v("diversity", terms.diversity...);
    v("calls", terms.calls...);
    v("tokens", terms.tokens...);
    v("usd", terms.usd...);
    v("file", terms.file...);
  }

  /// Sums, also the totals. A term that is in one of them only is there in the sum.
  RewardTerms& operator+=(const RewardTerms& more);
  RewardTerms operator/(double count) const;
};

/// f("reward_pass", value), ...: the terms that are there, under their names in metrics.jsonl and
/// rollouts.jsonl.
void each_term(const RewardTerms& terms,
               const std::function<void(const std::string& field, double value)>& f);

/// The terms of an object that holds them under these names, without their total. One that is
/// missing or not finite is 0, or not there where not every run has it.
RewardTerms read_terms(const Json& json);

/// Into a row of the store: the columns pass_rate, complexity, diversity and reward, and under the
/// names of each_term in `usage` what has no column.
void put_reward(Trajectory& row, const RewardTerms& terms);

/// Inverse of put_reward.
RewardTerms reward_of(const Trajectory& row);

}  // namespace weft
