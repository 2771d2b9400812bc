/// How far the trainer's logprobs of the sampled tokens lie from those recorded while decoding, and
/// what a loss can do about it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/config.h"

namespace weft {

/// |training logp - recorded logp| over the tokens of a batch.
struct Mismatch {
  double sum = 0, max = 0;
  double k3_sum = 0;  ///< of exp(d) - d - 1 with d = logp - recorded
  int64_t num_tokens = 0;

  void add(std::span<const float> logp, std::span<const float> recorded);
  double mean() const { return num_tokens > 0 ? sum / static_cast<double>(num_tokens) : 0; }
  double k3() const { return num_tokens > 0 ? k3_sum / static_cast<double>(num_tokens) : 0; }
};

/// Correction for a sampler whose probabilities mu are not the trainer's before the first update of
/// the batch, pi_old: the loss's ratio is then pi / pi_old, and the surrogate is multiplied by a
/// constant weight. Costs a forward pass over each batch. Where the two agree to the bit every
/// weight is 1 and no bit of the update changes.
struct CorrectionOptions {
  /// Truncated importance sampling: the weight of a token is min(pi_old / mu, token_cap). 0: none.
  double token_cap = 0;
  /// A response is left out where exp(mean over its tokens of log(pi_old / mu)) is below reject_low
  /// or above reject_high. 0: no such bound.
  double reject_low = 0;
  double reject_high = 0;

  template <class V>
  void visit(V& v) {
    v("token_cap", token_cap, "weights min(trainer's / sampler's probability, token_cap), 0: none");
    v("reject_low", reject_low,
      "responses whose geometric mean of that ratio is below are left out, 0: none");
    v("reject_high", reject_high, "likewise above, 0: none");
  }
  bool enabled() const { return token_cap > 0 || reject_low > 0 || reject_high > 0; }
  /// Throws InputError naming the field.
  void validate() const;
};

/// Of pi_old / mu over the tokens of a batch.
struct RatioStatistics {
  double sum = 0, squares = 0, max = 0, min = 0;
  int64_t num_tokens = 0, truncated_tokens = 0;
  int64_t num_sequences = 0, rejected_sequences = 0;

  double mean() const;
  /// Effective sample size over the number of tokens, (sum w)^2 / (n sum w^2); in (0, 1].
  double effective_share() const;
};

struct Correction {
  std::vector<float> weights;  ///< [tokens] of the surrogate; 1 without token_cap
  bool rejected = false;
};

/// The weights of one response, and its part of the statistics. Log ratios are held to +-20.
///
/// Source: token_cap is TIS as in verl, open-instruct and OpenRLHF (2 there); the bounds are verl's
/// geometric rejection. Token weights are biased, rejection loses what it rejects.
Correction correct(std::span<const float> old_logp, std::span<const float> recorded,
                   const CorrectionOptions& options, RatioStatistics& statistics);

}  // namespace weft
