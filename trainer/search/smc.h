/// Sequential Monte Carlo over step prefixes with look-ahead and an in-loop refiner, as a template
/// over what a prefix and a complete object are; free of LibTorch, models and sandboxes.
///
/// Source: arXiv:2601.22305 (BayesFlow), Algorithms 1 and 2, equation 1 for the target
/// q(s) = p(s) exp(R(s)) / Z, §4.1-4.2 for the weights and the refiner.
///
/// Deviations, each by an option whose default is the published behaviour unless said:
///  - beta (default 1): weights are exp(beta R), the target p(s) exp(beta R(s)).
///  - Weighting::kTelescoping: the published algorithm weighs a prefix by V_t = (1/K) sum exp R at
///    *every* round. For T > 1 its limit (M = 0) is therefore proportional to
///    p(s) V_1(s_1) V_2(s_1:2) ... exp(R(s)), which is sharper than q; Theorem 1 holds for T = 1
///    only. Dividing by the particle's weight of the round before makes the product telescope to
///    exp(R(s)), and the limit is q for any K. Both limits are tested against exact enumeration.
///  - The refiner prefix gets exp(beta R) (published); under kTelescoping divided by the mean
///    weight of the round before, as a refined workflow has no ancestor.
///  - The published generator temperature 0 would make all N extensions of a prefix equal; the
///    generator behind SmcModel must be stochastic.
///  - Resampling may also be systematic or residual (less variance, same expectation).
///  - R: mean validation reward over a batch of tasks, or over one query's val tests (per_query);
///  by
///    default not the paper's accuracy, nor in [0, 1]: see Objective in trainer/search/evaluator.h;
///    a completion without a reward (an infrastructure failure) counts neither as 0 nor as 1: it is
///    left out, and a prefix left with none is dropped.
///  - The paper's loop guard reads t <= T from 0; we do T rounds, as its prose and figures say.
#pragma once

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "trainer/search/weights.h"

namespace weft {

enum class Weighting {
  kPublished,    ///< w = V_t, every round
  kTelescoping,  ///< w = V_t / V_{t-1} of the ancestor
};

inline EnumTable<Weighting> enum_table(Weighting) {
  return {{Weighting::kPublished, "published"}, {Weighting::kTelescoping, "telescoping"}};
}

/// Defaults are those of arXiv:2601.22305 §6. One search costs at most
/// rounds * (particles * completions + refined) complete workflows.
struct SmcOptions {
  int64_t particles = 10;
  int64_t refined = 10;
  int64_t rounds = 5;
  int64_t completions = 1;
  double beta = 1.0;
  Weighting weighting = Weighting::kPublished;
  Resampling resampling = Resampling::kMultinomial;
  int64_t refiner_candidates = 3;
  double refiner_temperature = 0.1;

  template <class V>
  void visit(V& v) {
    v("particles", particles, "N, prefixes kept from round to round");
    v("refined", refined, "M, workflows that the refiner adds each round; 0 turns it off");
    v("rounds", rounds, "T, most steps of a workflow");
    v("completions", completions, "K, look-ahead completions of each prefix");
    v("beta", beta, "inverse temperature of the target p(s) exp(beta R(s))");
    v("weighting", weighting, "published or telescoping (exact target for more than one round)");
    v("resampling", resampling, "multinomial, systematic or residual");
    v("refiner_candidates", refiner_candidates, "C, best workflows that the refiner draws from");
    v("refiner_temperature", refiner_temperature, "of its softmax over their rewards");
  }
  void validate() const;
};

/// A complete object with its reward, or none when nothing could measure it.
template <class Complete>
struct Scored {
  Complete item;
  std::optional<double> reward;
};

/// The prior p and the reward R, in batches so that an implementation may work on all at once. The
/// seeds of what is drawn are the implementation's own, from (round, index).
template <class Prefix, class Complete>
class SmcModel {
 public:
  virtual ~SmcModel() = default;

  /// One more step for each prefix [N] -> [N]; a finished prefix comes back unchanged (the paper's
  /// padding with empty steps).
  virtual std::vector<Prefix> extend(const std::vector<Prefix>& prefixes, int64_t round) = 0;

  /// `num_completions` scored completions of each prefix [N] -> [N][K].
  virtual std::vector<std::vector<Scored<Complete>>> complete(const std::vector<Prefix>& prefixes,
                                                              int64_t num_completions,
                                                              int64_t round) = 0;

  /// One consequential edit of `parent`, scored; none when the budget is spent.
  virtual std::optional<Scored<Complete>> refine(const Scored<Complete>& parent, int64_t round,
                                                 int64_t index) = 0;

  /// The first `num_steps` steps.
  virtual Prefix project(const Complete& item, int64_t num_steps) const = 0;
};

/// What one round hands to the next.
template <class Prefix>
struct SmcState {
  int64_t round = 0;               ///< rounds done
  std::vector<Prefix> prefixes;    ///< [N]
  std::vector<double> log_values;  ///< [N] log V of each prefix in the round before
};

/// What one round did, for the report.
struct SmcRound {
  int64_t round = 0;       ///< from 1
  double ess = 0;          ///< of the N + M weights
  double reward_mean = 0;  ///< over this round's scored workflows; 0 when there are none
  double reward_best = 0;  ///< likewise
  int64_t num_scored = 0;
  int64_t num_dropped = 0;  ///< workflows without a reward
  int64_t num_unique = 0;   ///< distinct entries of the augmented pool that were drawn
};

/// Index of the refiner's next parent: softmax(reward / temperature) over the best
/// `refiner_candidates` of `rewards` (§4.2 and appendix of the paper).
size_t draw_refiner_parent(std::span<const double> rewards, const SmcOptions& options, Rng& rng);

template <class Prefix>
SmcState<Prefix> initial_smc_state(const SmcOptions& options, const Prefix& empty = {}) {
  SmcState<Prefix> state;
  state.prefixes.assign(static_cast<size_t>(options.particles), empty);
  state.log_values.assign(static_cast<size_t>(options.particles), 0.0);
  return state;
}

namespace smc_detail {

template <class Complete>
void summarize(const std::vector<Scored<Complete>>& complete, SmcRound& out) {
  for (const auto& scored : complete) {
    if (!scored.reward) {
      ++out.num_dropped;
      continue;
    }
    out.reward_best =
        out.num_scored == 0 ? *scored.reward : std::max(out.reward_best, *scored.reward);
    out.reward_mean += *scored.reward;
    ++out.num_scored;
  }
  if (out.num_scored > 0) out.reward_mean /= static_cast<double>(out.num_scored);
}

/// Appends up to M refined workflows to `complete`, each drawn with those before it in the pool.
template <class Prefix, class Complete>
void refine_pool(SmcModel<Prefix, Complete>& model, const SmcOptions& options, int64_t round,
                 std::vector<Scored<Complete>>& complete, Rng& rng) {
  for (int64_t m = 0; m < options.refined; ++m) {
    std::vector<double> rewards;
    std::vector<size_t> position;
    for (size_t i = 0; i < complete.size(); ++i) {
      if (!complete[i].reward) continue;
      rewards.push_back(*complete[i].reward);
      position.push_back(i);
    }
    if (rewards.empty()) return;
    const size_t parent = position[draw_refiner_parent(rewards, options, rng)];
    auto refined = model.refine(complete[parent], round, m);
    if (!refined) return;
    complete.push_back(std::move(*refined));
  }
}

}  // namespace smc_detail

/// Algorithm 1: one round. Advances `state` and returns every complete object of the round
/// (N K look-ahead ones in order of prefix, then the refined ones). When no prefix could be scored
/// at all, the prefixes stay as they were. `rng` draws parents and resamples.
template <class Prefix, class Complete>
std::vector<Scored<Complete>> smc_round(SmcModel<Prefix, Complete>& model,
                                        const SmcOptions& options, SmcState<Prefix>& state,
                                        Rng& rng, SmcRound* summary = nullptr) {
  const int64_t round = state.round + 1;
  std::vector<Prefix> pool = model.extend(state.prefixes, round);
  auto rollouts = model.complete(pool, options.completions, round);
  WEFT_ASSERT(pool.size() == state.prefixes.size() && rollouts.size() == pool.size());

  const bool telescoping = options.weighting == Weighting::kTelescoping;
  std::vector<double> log_values, log_weights;
  std::vector<Scored<Complete>> complete;
  for (size_t i = 0; i < rollouts.size(); ++i) {
    std::vector<double> rewards;
    for (auto& rollout : rollouts[i]) {
      if (rollout.reward) rewards.push_back(*rollout.reward);
      complete.push_back(std::move(rollout));
    }
    log_values.push_back(look_ahead_log_weight(rewards, options.beta));
    log_weights.push_back(log_values[i] - (telescoping ? state.log_values[i] : 0.0));
  }

  const double previous_mean = look_ahead_log_weight(state.log_values, 1.0);
  const size_t first_refined = complete.size();
  smc_detail::refine_pool(model, options, round, complete, rng);
  for (size_t i = first_refined; i < complete.size(); ++i) {
    if (!complete[i].reward) continue;
    pool.push_back(model.project(complete[i].item, round));
    log_values.push_back(options.beta * *complete[i].reward);
    log_weights.push_back(log_values.back() - (telescoping ? previous_mean : 0.0));
  }

  const auto probabilities = normalize_log_weights(log_weights);
  SmcRound info{.round = round, .ess = effective_sample_size(probabilities)};
  smc_detail::summarize(complete, info);
  if (info.ess > 0) {
    const auto drawn =
        resample(probabilities, static_cast<size_t>(options.particles), options.resampling, rng);
    SmcState<Prefix> next;
    std::vector<bool> seen(pool.size(), false);
    for (const size_t i : drawn) {
      next.prefixes.push_back(pool[i]);
      next.log_values.push_back(log_values[i]);
      info.num_unique += seen[i] ? 0 : 1;
      seen[i] = true;
    }
    state = std::move(next);
  }
  state.round = round;
  if (summary) *summary = info;
  return complete;
}

}  // namespace weft
