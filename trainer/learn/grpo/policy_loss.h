/// The policy loss of GRPO and its relatives, as one constant per token. Free of LibTorch: what a
/// microbatch needs of it is a few thousand numbers.
#pragma once

#include <cstdint>
#include <span>

#include "base/config.h"
#include "trainer/learn/grpo/kl.h"

namespace weft {

/// How per-token terms become one number. A modelling choice, not a detail: it decides how strongly
/// a long response is weighed against a short one.
enum class TokenMean {
  kPerSequence,  ///< mean over each response, then over responses (GRPO; arXiv:2402.03300, eq. 3)
  kPerBatch,     ///< one mean over every sampled token of the optimizer batch (DAPO;
                 ///< arXiv:2503.14476, eq. 12)
  kConstant,     ///< sum over all tokens / (responses * one constant length) (Dr.GRPO;
                 ///< arXiv:2503.20783, §3.2); with a length of 1 the sum over tokens, then the
                 ///< mean over responses (RLOO)
};
EnumTable<TokenMean> enum_table(TokenMean);

/// What the ratio of policy and behaviour is taken of.
enum class RatioLevel {
  kToken,     ///< r_t = pi(token t) / mu(token t)
  kSequence,  ///< s = exp(mean over the response's tokens of log r_t), for each of its tokens;
              ///< arXiv:2507.18071, eq. 7
};
EnumTable<RatioLevel> enum_table(RatioLevel);

enum class Surrogate {
  kClip,   ///< -min(r A, clamp(r) A); a token held at a bound has no gradient
  kCispo,  ///< -sg(clamp(r)) A logp, sg the stop of gradients: each token keeps its gradient, with
           ///< a bounded weight; arXiv:2506.13585, eq. 4 and 5
};
EnumTable<Surrogate> enum_table(Surrogate);

struct PolicyLossOptions {
  Surrogate surrogate = Surrogate::kClip;
  RatioLevel ratio = RatioLevel::kToken;
  /// Lower bound of the ratio is 1 - clip_low; in (0, 1), for kCispo in (0, 1] with 1 for none.
  double clip_low = 0.2;
  /// Upper bound of the ratio is 1 + clip_high for each surrogate; > 0. For CISPO this is its
  /// paper's convention, verl's and slime's; TRL's and ScaleRL's epsilon_high is the bound itself,
  /// 1 + clip_high.
  double clip_high = 0.28;
  double dual_clip = 0;  ///< A < 0: the loss is held at -dual_clip A; > 1, or 0 for none
  TokenMean mean = TokenMean::kPerBatch;
  int64_t mean_tokens = 0;    ///< length of kConstant; 0: max_completion_tokens of the run
  double kl_coefficient = 0;  ///< weight of the KL term; >= 0, 0 needs no reference
  KlKind kl = KlKind::kK3Plus;
  KlPlace kl_place = KlPlace::kLoss;
  bool kl_importance = false;  ///< in the loss, times the ratio of the token: see kl_term()

  template <class V>
  void visit(V& v) {
    v("surrogate", surrogate, "clip (PPO, GRPO) or cispo (each token keeps a gradient)");
    v("ratio", ratio, "token, or sequence (GSPO's geometric mean)");
    v("clip_low", clip_low, "lower bound of the ratio is 1 - clip_low; cispo: 1 is none");
    v("clip_high", clip_high,
      "upper bound of the ratio is 1 + clip_high (TRL's epsilon_high of cispo is 1 + clip_high)");
    v("dual_clip", dual_clip, "bound of the loss at a negative advantage, 0: none");
    v("mean", mean, "per_sequence, per_batch, or constant (sum / responses / mean_tokens)");
    v("mean_tokens", mean_tokens, "length of mean=constant, 0: max_completion_tokens");
    v("kl_coefficient", kl_coefficient, "weight of the KL to the reference, 0: not computed");
    v("kl", kl, "k1 (in the reward), k2, k3 or k3+ (value of k3, gradient of k2)");
    v("kl_place", kl_place, "loss, or reward (the sum over a response is taken off its reward)");
    v("kl_importance", kl_importance,
      "in the loss: times policy / behaviour, right off-policy too");
  }
  /// Throws InputError naming the field, also where fields contradict each other.
  void validate() const;
  bool kl_in_loss() const { return kl_coefficient > 0 && kl_place == KlPlace::kLoss; }
  bool kl_in_reward() const { return kl_coefficient > 0 && kl_place == KlPlace::kReward; }
};

/// What the weights of a batch's tokens depend on.
struct BatchSize {
  int64_t num_sequences = 0;  ///< responses of the optimizer batch, over all ranks
  int64_t num_tokens = 0;     ///< their tokens, over all ranks
  int64_t mean_tokens = 0;    ///< the length of kConstant, > 0 there
};

/// Weight of every token of a response of `length` tokens. Those of a batch sum to 1, but for
/// kConstant, where that needs responses of mean_tokens each.
double token_weight(TokenMean mean, int64_t length, const BatchSize& batch);

/// Sampled tokens of packed responses, all arrays [T].
struct PolicyTokens {
  std::span<const float> logp;            ///< nats, training forward
  std::span<const float> behaviour_logp;  ///< nats, of the policy before the batch's updates
  std::span<const float> reference_logp;  ///< nats; empty where the loss has no KL term
  std::span<const float> advantage;       ///< unitless, repeated over each response
  std::span<const float> weight;          ///< token_weight, repeated over each response
  /// sequence_log_ratio of the token's response; empty with RatioLevel::kToken.
  std::span<const float> sequence_log_ratio = {};
  std::span<const float> importance = {};  ///< Correction::weights; empty: all are 1
};

/// Mean over a response's tokens of logp - behaviour_logp; 0 for none. What kSequence needs of the
/// whole response before the first of its coefficients is known.
double sequence_log_ratio(std::span<const float> logp, std::span<const float> behaviour_logp);

/// Sums over tokens, to be added over microbatches.
struct PolicySums {
  double loss = 0;  ///< surrogate and KL term, weighted
  double kl = 0;    ///< unweighted sum of k3
  int64_t num_tokens = 0;
  int64_t clipped_low = 0;  ///< held at 1 - clip_low with A < 0; kCispo: below it
  int64_t clipped_high =
      0;  ///< held at 1 + clip_high with A > 0, or by dual_clip; kCispo: above it
  double ratio_max = 0;

  void add(const PolicySums& other);
};

/// d(loss)/d(logp) of the surrogate, one constant per sampled token, so that the LM head can be
/// differentiated in chunks without keeping logits:
///
///   kClip:   loss = sum_t w_t ( -u_t min(r_t A_t, clamp(r_t, 1 - clip_low, 1 + clip_high) A_t)
///                               + beta k_t )
///   kCispo:  loss = sum_t w_t ( -u_t sg(clamp(r_t, 1 - clip_low, 1 + clip_high)) A_t logp_t
///                               + beta k_t )
///   r_t = exp(logp_t - behaviour_logp_t), or s of the response; u_t = importance; k_t = kl_term()
///
/// `out` [T] is 0 where kClip holds the ratio at a bound (and beta is 0). With kSequence it is the
/// token-gradient form, log s_t = sg(log s) + logp_t - sg(logp_t) (arXiv:2507.18071, eq. 14): as
/// long as w and u are one number throughout a response, that is the gradient of the loss above.
/// `sums` may be null. Log ratios are held to +-20 before exp. What is computed for a token depends
/// on its own entries only, so that a batch may be divided anyhow. Throws std::invalid_argument if
/// sizes differ or a logp is not finite.
///
/// Source: arXiv:2402.03300, eq. 3 (surrogate), arXiv:2503.14476, eq. 10 (separate bounds),
/// arXiv:1912.09729 (dual clip), and as named at the enums.
void policy_coefficients(const PolicyTokens& tokens, const PolicyLossOptions& options,
                         std::span<float> out, PolicySums* sums);

}  // namespace weft
