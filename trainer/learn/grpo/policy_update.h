/// From scored episodes to updates: epochs, minibatches, the loss per token.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/episode.h"
#include "trainer/learn/grpo/policy_options.h"
#include "trainer/learn/update/learner.h"

namespace weft {

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
  RatioStatistics ratios;    ///< with a correction: likewise, over the episodes without a mask
  std::optional<double> kl;  ///< mean k3 to the reference before the batch's updates; over all
                             ///< trained tokens with a KL coefficient, else over about one
                             ///< microbatch of them; nothing without a reference
  double entropy_sum = 0;
  double grad_norm = 0;  ///< mean over the updates
  int64_t num_groups = 0;
  int64_t zero_std_groups = 0;   ///< those that drop_equal_groups leaves out included
  int64_t dropped_groups = 0;    ///< see lost_groups (data/episode.h)
  int64_t masked_truncated = 0;  ///< episodes
  int64_t num_tokens = 0;        ///< through the model (a shared prompt once)
  int64_t trained_tokens = 0;    ///< with a loss
  int64_t num_updates = 0;       ///< that changed the weights
  int64_t rewarded_updates = 0;  ///< those of them with an advantage other than 0: not by KL alone
  int64_t skipped_updates = 0;   ///< gradient not finite, or nothing to learn from
  std::vector<BadEpisode> bad;
  /// Where memory ran out in an update that is not the batch's first, with half a microbatch, too:
  /// that and those after it were not made.
  std::string out_of_memory;
  /// The first tensor whose gradient was not finite in the first update that was held back for it.
  std::string non_finite;
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
/// advantage is 0 when the loss has no KL term (their gradient is 0), but their tokens count in the
/// loss's normalisation. Behaviour logprobs are the recorded ones in every epoch and minibatch;
/// with a correction those of the learner before the first update, computed once for the batch.
/// With a ratio over the sequence each update is preceded by a forward pass over its episodes.
/// How a batch is divided into microbatches changes no more than the order of sums.
///
/// An episode without tokens, or without one recorded logprob for each, is left out and is in
/// `bad`. One with a recorded, recomputed or reference logprob that is not finite has no part in
/// the loss, nor has, where the gradient of an update is not finite, each whose own gradient is
/// not: they are in `bad`, and the update is made of the others. Their rewards stay in the
/// advantages of their group, unless these hold a KL that the episode lacks. An update whose
/// gradient still is not finite is skipped and counted. A batch of which nothing is left is skipped
/// likewise. Throws Error naming the tensor when that is because a weight is not finite;
/// OutOfMemory and Interrupted only before the first of its updates has changed a weight, so that a
/// batch counts whole or not at all.
PolicyUpdateResult update_policy(Learner& learner, const std::vector<Episode>& episodes,
                                 const Reference& reference, double lr,
                                 const PolicyUpdateOptions& options);

}  // namespace weft
