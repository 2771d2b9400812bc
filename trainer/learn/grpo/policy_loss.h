/// Group advantages and the policy loss of GRPO and its relatives, as one constant per token.
/// Free of LibTorch: what a microbatch needs of it is a few thousand numbers.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/config.h"

namespace weft {

/// What a reward is compared with. Named for the formula, not for a method: GRPO, Dr.GRPO and RLOO
/// are each an advantage together with a way to sum over tokens.
enum class AdvantageKind {
  kNormalized,   ///< (R - mean) / (std + 1e-6) over the group, GRPO's; arXiv:2402.03300, §4.1.2
  kCentered,     ///< R - mean, Dr.GRPO's; arXiv:2503.20783
  kLeaveOneOut,  ///< R - mean of the others in the group, RLOO's; arXiv:2402.14740
};
EnumTable<AdvantageKind> enum_table(AdvantageKind);

/// How per-token terms become one number. A modelling choice, not a detail: it decides how strongly
/// a long response is weighed against a short one.
enum class TokenMean {
  kPerSequence,  ///< mean over each response, then over responses (GRPO)
  kPerBatch,     ///< one mean over every sampled token of the optimizer batch (DAPO)
};
EnumTable<TokenMean> enum_table(TokenMean);

/// Estimators of KL(policy || reference) on tokens of the policy, with a = logp - reference_logp.
enum class KlKind {
  kK3,      ///< value and gradient of exp(-a) + a - 1: the gradient is that of the *forward* KL
  kK3Plus,  ///< value of k3, gradient of a^2 / 2: that of the reverse KL (verl's "k3+")
};
EnumTable<KlKind> enum_table(KlKind);

struct Advantages {
  std::vector<double> values;  ///< one for each reward; 0 throughout a group of equal rewards
  int64_t num_groups = 0;
  int64_t zero_std_groups = 0;  ///< groups whose rewards are all equal, groups of one included
};

/// Advantages within explicit groups. `group[i]` is any id; samples of a group need not be
/// adjacent.
///
/// kNormalized divides by the sample deviation (n - 1), or with `population_std` by the one over n.
/// A group of one gets 0 (verl would give it R). Throws std::invalid_argument if sizes differ or a
/// reward is not finite.
Advantages group_advantages(std::span<const double> rewards, std::span<const uint64_t> group,
                            AdvantageKind kind, bool population_std = false);

struct PolicyLossOptions {
  double clip_low = 0.2;    ///< lower bound of the ratio is 1 - clip_low; in (0, 1)
  double clip_high = 0.28;  ///< upper bound of the ratio is 1 + clip_high; > 0
  double dual_clip = 0;     ///< A < 0: the loss is held at -dual_clip A; > 1, or 0 for none
  TokenMean mean = TokenMean::kPerBatch;
  double kl_coefficient = 0;  ///< weight of the KL term; >= 0, 0 needs no reference
  KlKind kl = KlKind::kK3Plus;

  template <class V>
  void visit(V& v) {
    v("clip_low", clip_low, "lower bound of the ratio is 1 - clip_low");
    v("clip_high", clip_high, "upper bound of the ratio is 1 + clip_high");
    v("dual_clip", dual_clip, "bound of the loss at a negative advantage, 0: none");
    v("mean", mean, "per_sequence or per_batch");
    v("kl_coefficient", kl_coefficient, "weight of the KL to the reference, 0: not computed");
    v("kl", kl, "k3 or k3+");
  }
  /// Throws InputError naming the field.
  void validate() const;
};

/// Weight of every token of a response of `length` tokens, such that the weights of a batch of
/// `num_sequences` responses with `num_tokens` tokens in all (over all ranks) sum to 1.
double token_weight(TokenMean mean, int64_t length, int64_t num_sequences, int64_t num_tokens);

/// Sampled tokens of packed responses, all arrays [T].
struct PolicyTokens {
  std::span<const float> logp;            ///< nats, training forward
  std::span<const float> behaviour_logp;  ///< nats, recorded when the token was sampled
  std::span<const float> reference_logp;  ///< nats; empty where kl_coefficient is 0
  std::span<const float> advantage;       ///< unitless, repeated over each response
  std::span<const float> weight;          ///< token_weight, repeated over each response
};

/// Sums over tokens, to be added over microbatches.
struct PolicySums {
  double loss = 0;  ///< surrogate and KL term, weighted
  double kl = 0;    ///< unweighted sum of k3
  int64_t num_tokens = 0;
  int64_t clipped_low = 0;   ///< held at 1 - clip_low with A < 0
  int64_t clipped_high = 0;  ///< held at 1 + clip_high with A > 0, or by dual_clip
  double ratio_max = 0;

  void add(const PolicySums& other);
};

/// d(loss)/d(logp) of the clipped surrogate, one constant per sampled token, so that the LM head
/// can be differentiated in chunks without keeping logits:
///
///   loss = sum_t w_t ( -min(r_t A_t, clamp(r_t, 1 - clip_low, 1 + clip_high) A_t) + beta k3_t )
///   r_t  = exp(logp_t - behaviour_logp_t)
///
/// `out` [T] is 0 where the ratio is held at a bound (and beta is 0). `sums` may be null. Log
/// ratios are clamped to +-20 before exp. Throws std::invalid_argument if sizes differ or a logp is
/// not finite.
///
/// Source: arXiv:2402.03300 (surrogate), arXiv:2503.14476 (separate bounds, token mean),
/// arXiv:1912.09729 (dual clip).
void policy_coefficients(const PolicyTokens& tokens, const PolicyLossOptions& options,
                         std::span<float> out, PolicySums* sums);

/// |training logp - recorded logp| over the tokens of a batch.
struct Mismatch {
  double sum = 0, max = 0;
  double k3_sum = 0;  ///< of exp(d) - d - 1 with d = logp - recorded
  int64_t num_tokens = 0;

  void add(std::span<const float> logp, std::span<const float> recorded);
  double mean() const { return num_tokens > 0 ? sum / static_cast<double>(num_tokens) : 0; }
  double k3() const { return num_tokens > 0 ? k3_sum / static_cast<double>(num_tokens) : 0; }
};

}  // namespace weft
