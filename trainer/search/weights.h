/// The arithmetic of weighted particles, free of any workflow: importance weights in the log
/// domain, effective sample size, resampling, softmax selection.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "base/config.h"
#include "base/rng.h"

namespace weft {

/// log of the look-ahead weight of one prefix, w = (1/K) sum_k exp(beta R_k), from the rewards
/// `rewards` [K] of its completions. -inf when there are none (a dropped particle).
/// Source: arXiv:2601.22305 §4.1 step 2, where beta = 1; beta is our addition.
double look_ahead_log_weight(std::span<const double> rewards, double beta);

/// Probabilities proportional to exp(log_weights) [N]; entries of -inf get 0. When all are -inf the
/// result is all zeros. Throws InputError on NaN or +inf.
std::vector<double> normalize_log_weights(std::span<const double> log_weights);

/// 1 / sum p^2 of probabilities [N]: N when uniform, 1 when one particle holds everything, 0 when
/// there is none.
double effective_sample_size(std::span<const double> probabilities);

/// softmax(values / temperature) [N]. temperature > 0, else InputError.
std::vector<double> softmax(std::span<const double> values, double temperature);

/// All three draw particle i count_i times with E[count_i] = num_draws * p_i.
enum class Resampling {
  kMultinomial,  ///< independent draws, as arXiv:2601.22305 writes it
  kSystematic,   ///< one uniform offset: |count_i - num_draws p_i| < 1
  kResidual,     ///< floor(num_draws p_i) copies, the rest multinomial
};

inline EnumTable<Resampling> enum_table(Resampling) {
  return {{Resampling::kMultinomial, "multinomial"},
          {Resampling::kSystematic, "systematic"},
          {Resampling::kResidual, "residual"}};
}

/// `num_draws` indices into `probabilities` [N] (which sum to 1), in ascending order for
/// kSystematic and kResidual's copies.
std::vector<size_t> resample(std::span<const double> probabilities, size_t num_draws,
                             Resampling method, Rng& rng);

/// Indices of the `count` largest values, largest first; equal ones in order of position.
std::vector<size_t> top_indices(std::span<const double> values, size_t count);

}  // namespace weft
