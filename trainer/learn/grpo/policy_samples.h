/// The episodes of a batch as the loss sees them: which have a part in it, with what advantage and
/// weight, and the logprobs that it needs beside those of the pass under way.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "trainer/learn/grpo/policy_update.h"

namespace weft {

struct Sample {
  const Episode* episode = nullptr;
  size_t index = 0;  ///< of the episode in the batch
  double advantage = 0;
  double weight = 0;             ///< of each token
  bool bad = false;              ///< cannot be learnt from; is masked
  bool masked = false;           ///< counts in the weights' denominators, has no loss itself
  std::vector<float> reference;  ///< [completion_ids] or empty
  std::vector<float> old_logp;   ///< [completion_ids], the learner's before the first update of the
                                 ///< batch; empty without a correction
  std::vector<float> importance;  ///< [completion_ids], see Correction; empty without one
  double sequence_log_ratio = 0;  ///< of the update under way, with RatioLevel::kSequence

  int64_t length() const { return static_cast<int64_t>(episode->completion_ids.size()); }
  /// What the ratio is taken to.
  std::span<const float> behaviour() const;
  void spoil(std::string reason, std::vector<BadEpisode>& list);
};

bool all_finite(std::span<const float> values);
std::vector<TrainSequence> sequences_of(const std::vector<Sample>& samples);

/// The batch's samples with reference logprobs, advantages and importance weights; see
/// update_policy() for what is left out, masked and reported.
std::vector<Sample> make_samples(Learner& learner, const std::vector<Episode>& episodes,
                                 const Reference& reference, const PolicyUpdateOptions& options,
                                 PolicyUpdateResult& result);

/// Shares of about equal numbers of prompts, in order; none is empty.
std::vector<std::vector<Sample>> minibatches(std::vector<Sample> samples, int64_t count);

/// The samples with their weights, which are over all of them, without those that are masked or
/// have no gradient.
std::vector<Sample> weighed(std::vector<Sample> samples, const PolicyLossOptions& loss);

/// Fills Sample::sequence_log_ratio by a forward pass; with `unchanged` weights, those of old_logp,
/// where these are known, without one.
void set_sequence_ratios(Learner& learner, std::vector<Sample>& samples, bool unchanged,
                         const StopCheck& stop);

/// Throws Error naming a tensor of the policy that holds a value that is not finite.
void require_finite_weights(const Learner& learner);

}  // namespace weft
