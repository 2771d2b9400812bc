/// From scored episodes to an optimizer step: advantages, minibatches, the loss per token.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/config.h"
#include "data/episode.h"
#include "trainer/learn/grpo/policy_loss.h"
#include "trainer/learn/update/learner.h"

namespace weft {

struct PolicyUpdateOptions {
  AdvantageKind advantage = AdvantageKind::kNormalized;
  bool population_std = false;  ///< kNormalized: deviation over n, not n - 1
  /// Factor on negative advantages, in [0, 1]. Pushing down what a policy of little entropy wrote
  /// spreads its mass over whatever else there is. 1: GRPO; 0: only the better ones of a group
  /// teach (RAFT, arXiv:2504.11343); between, asymmetric REINFORCE (arXiv:2506.20520).
  double negative_weight = 1;
  /// Truncated episodes have no loss. They count in the denominators of `loss.mean` as the others
  /// do, so that masking one does not weigh up the rest (TRL's mask_truncated_completions).
  bool mask_truncated = false;
  int64_t updates_per_batch = 1;  ///< optimizer steps, each over a share of the prompts
  PolicyLossOptions loss;

  template <class V>
  void visit(V& v) {
    v("advantage", advantage, "normalized, centered or leave_one_out");
    v("population_std", population_std, "normalized: deviation over n instead of n - 1");
    v("negative_weight", negative_weight, "factor on negative advantages, 0 to 1");
    v("mask_truncated", mask_truncated, "truncated episodes have no loss, but count in its mean");
    v("updates_per_batch", updates_per_batch, "optimizer steps for each batch of rollouts");
    v("loss", loss, "clipping, mean and KL");
  }
  /// Throws InputError naming the field.
  void validate() const;
};

/// An episode that cannot be learnt from although nothing was lost.
struct BadEpisode {
  size_t index = 0;  ///< in the batch
  std::string reason;
};

/// What a batch's updates saw. Means are over trained tokens; where num_updates is 0, sums,
/// entropy_sum and grad_norm were not measured.
struct PolicyUpdateResult {
  PolicySums sums;           ///< its loss: mean over the updates
  Mismatch mismatch;         ///< of the first update: weights as they were while decoding
  std::optional<double> kl;  ///< mean k3 to the reference before the batch's updates; over all
                             ///< trained tokens with a KL coefficient, else over about one
                             ///< microbatch of them; nothing without a reference
  double entropy_sum = 0;
  double grad_norm = 0;  ///< mean over the updates
  int64_t num_groups = 0;
  int64_t zero_std_groups = 0;
  int64_t dropped_groups = 0;    ///< see lost_groups (data/episode.h)
  int64_t num_tokens = 0;        ///< through the model (a shared prompt once)
  int64_t trained_tokens = 0;    ///< with a loss
  int64_t num_updates = 0;       ///< that changed the weights
  int64_t rewarded_updates = 0;  ///< those of them with an advantage other than 0: not by KL alone
  int64_t skipped_updates = 0;   ///< gradient not finite, or nothing to learn from
  std::vector<BadEpisode> bad;
};

/// Where the reference's logprobs come from.
struct Reference {
  enum class Kind { kNone, kAdapter, kModel };
  Kind kind = Kind::kNone;
  const Lora* lora = nullptr;          ///< kAdapter: over the learner's base; null: the base itself
  const Transformer* model = nullptr;  ///< kModel: a frozen copy, borrowed
};

/// Updates the learner's policy on one batch at rate `lr`.
///
/// A group in which a reward is lost or not finite is left out whole; so are episodes whose
/// advantage is 0 when there is no KL term (their gradient is 0), but their tokens count in the
/// loss's normalisation. Behaviour logprobs are the recorded ones.
///
/// An episode with a recorded or a reference logprob that is not finite has no part in the loss,
/// nor has, where the gradient of an update is not finite, each whose own gradient is not: they are
/// in `bad`, and the update is made of the others. Their rewards stay in the advantages of their
/// group. An update whose gradient still is not finite is skipped and counted. Throws Error naming
/// the tensor when that is because a weight is not finite; Interrupted only before the first of its
/// updates has changed a weight, so that a batch counts whole or not at all.
PolicyUpdateResult update_policy(Learner& learner, const std::vector<Episode>& episodes,
                                 const Reference& reference, double lr,
                                 const PolicyUpdateOptions& options);

}  // namespace weft
