/// What a policy update can be told.
#pragma once

#include <cstdint>

#include "base/config.h"
#include "trainer/learn/grpo/advantages.h"
#include "trainer/learn/grpo/mismatch.h"
#include "trainer/learn/grpo/policy_loss.h"

namespace weft {

struct PolicyUpdateOptions {
  AdvantageKind advantage = AdvantageKind::kNormalized;
  bool population_std = false;  ///< kNormalized, kWhitened: deviation over n, not n - 1
  /// Factor on negative advantages, in [0, 1]. Pushing down what a policy of little entropy wrote
  /// spreads its mass over whatever else there is. 1: GRPO; 0: only the better ones of a group
  /// teach (RAFT, arXiv:2504.11343); between, asymmetric REINFORCE (arXiv:2506.20520).
  double negative_weight = 1;
  /// Truncated episodes have no loss. They count in the denominators of `loss.mean` as the others
  /// do, so that masking one does not weigh up the rest (TRL's mask_truncated_completions).
  bool mask_truncated = false;
  /// Groups whose rewards, as they were earned, are all equal are left out whole: they count in no
  /// denominator and have no KL term. With refill_rounds this is DAPO's dynamic sampling.
  bool drop_equal_groups = false;
  /// Overlong shaping, see overlong_penalty(): the buffer as a share of max_completion_tokens, in
  /// [0, 1], 0 for none (DAPO: 4,096 of 20,480 tokens), and the greatest penalty.
  double overlong_share = 0;
  double overlong_factor = 1;
  /// Passes over the batch. Its episodes' advantages and recorded logprobs stay as they are.
  int64_t epochs = 1;
  int64_t updates_per_batch = 1;  ///< of an epoch, each by a share of the prompts
  CorrectionOptions correction;
  PolicyLossOptions loss;
  /// Greatest length of a completion: what overlong_share and loss.mean_tokens = 0 refer to. A key
  /// of the run's config, not of "update"; > 0 where one of them needs it.
  int64_t max_completion_tokens = 0;

  template <class V>
  void visit(V& v) {
    v("advantage", advantage, "normalized, centered, leave_one_out or whitened (over the batch)");
    v("population_std", population_std, "deviations over n instead of n - 1");
    v("negative_weight", negative_weight, "factor on negative advantages, 0 to 1");
    v("mask_truncated", mask_truncated, "truncated episodes have no loss, but count in its mean");
    v("drop_equal_groups", drop_equal_groups, "groups of equal rewards do not count in the mean");
    v("overlong_share", overlong_share,
      "last share of max_completion_tokens in which the reward falls, 0: none");
    v("overlong_factor", overlong_factor, "what it has fallen by at max_completion_tokens");
    v("epochs", epochs, "passes over each batch of rollouts");
    v("updates_per_batch", updates_per_batch,
      "updates of an epoch, each by a share of the prompts");
    v("correction", correction, "for a sampler whose logprobs are not the trainer's");
    v("loss", loss, "clipping, mean and KL");
  }
  /// Throws InputError naming the field.
  void validate() const;
};

}  // namespace weft
