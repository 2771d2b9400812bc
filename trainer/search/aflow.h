/// AFlow's two rules as pure functions: which earlier workflow to edit next, and when to stop.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/config.h"

namespace weft {

/// Defaults are those of AFlow's code (arXiv:2410.10762; FoundationAgents/AFlow 364399e); its paper
/// prints alpha 0.4 and lambda 0.2 in equation 3 and no scale. The scale decides: with 1 the
/// distribution is uniform to two digits. Its validation rounds, repeated evaluations of each
/// workflow, are EvaluatorOptions::repeats.
struct AflowOptions {
  int64_t rounds = 20;
  int64_t sample = 4;
  double alpha = 0.2;
  double lambda = 0.3;
  double score_scale = 100;
  bool check_convergence = true;
  double convergence_z = 0;
  int64_t convergence_rounds = 5;
  int64_t convergence_top = 3;

  template <class V>
  void visit(V& v) {
    v("rounds", rounds, "most rounds after the first, one new workflow each");
    v("sample", sample, "candidates that a parent is drawn from: round 1 and the best others");
    v("alpha", alpha, "sharpness of the softmax over scores");
    v("lambda", lambda, "share of the uniform distribution");
    v("score_scale", score_scale, "factor on rewards before the softmax");
    v("check_convergence", check_convergence, "stop when the best workflows no longer change");
    v("convergence_z", convergence_z, "standard deviations that count as no change");
    v("convergence_rounds", convergence_rounds, "rounds without change until it stops");
    v("convergence_top", convergence_top, "best rounds whose mean is watched");
  }
  void validate() const;
};

/// P(i) = lambda / n + (1 - lambda) softmax_i(alpha score_scale s_i), for mean rewards `scores`
/// [n]. AFlow equation 3 with the code's scale; its scores are in [0, 1], rewards need not be.
std::vector<double> aflow_selection_probabilities(std::span<const double> scores,
                                                  const AflowOptions& options = {});

/// The rounds a parent is drawn from: round 0 of `means` [R] first, then by descending mean, at
/// most `sample` in all.
std::vector<size_t> aflow_candidates(std::span<const double> means, int64_t sample);

/// Rewards of every evaluation of one round.
struct RoundScores {
  double mean = 0;
  double standard_deviation = 0;  ///< population; 0 for one evaluation
};

/// With Y_i the mean of the best `convergence_top` round means among rounds <= i, and sigma_i =
/// sqrt(sum sd^2 / top^2): true when |Y_i - Y_{i-1}| <= z sqrt(sigma_i^2 + sigma_{i-1}^2) held for
/// the last `convergence_rounds` rounds. As in AFlow's code; its z is 0, literally unchanged.
bool aflow_converged(std::span<const RoundScores> rounds, const AflowOptions& options = {});

}  // namespace weft
