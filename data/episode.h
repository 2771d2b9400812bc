/// One sampled workflow as the trainer sees it: the ids that were sampled are the ids that are
/// trained on; nothing is tokenised again.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "base/json.h"
#include "data/reward_terms.h"

namespace weft {

struct Episode {
  std::string task_id;
  uint64_t group = 0;  ///< samples of one prompt in one step share it
  std::vector<int32_t> prompt_ids;
  std::vector<int32_t> completion_ids;  ///< every one was sampled and is trained on
  /// [completion_ids] natural logarithms in the distribution that was sampled from, softmax(logits
  /// / temperature), recorded while decoding. At a temperature other than 1 they are not the raw
  /// model's logprobs.
  std::vector<float> sampling_logprobs;
  double temperature = 1;  ///< of that distribution, > 0
  std::string text;
  double reward = 0;           ///< what is learnt from: the total of the terms
  RewardTerms terms;           ///< as they were earned
  bool valid = false;          ///< the workflow passed the static check
  bool truncated = false;      ///< the token limit ended it
  bool infra_error = false;    ///< no reward exists; the episode is left out of the update
  bool lost_for_good = false;  ///< with infra_error: scoring it again would not help
  std::string outcome;         ///< kind of the run's outcome, for the log
  std::string problem;  ///< why it is not valid, was not scored or is lost; one line, or empty
  Json usage;           ///< worker calls, tokens, money
};

/// Groups in which some episode has no finite reward. What the others of it earned says nothing:
/// that one was lost may depend on what it did. No such group is averaged or learnt from.
std::set<uint64_t> lost_groups(const std::vector<Episode>& episodes);

/// Why the workflow of an episode is not valid, for ReasonCounts (base/reasons.h).
std::string why_not_valid(const Episode& episode);

/// A line of rollouts.jsonl.
Json episode_to_json(int64_t step, const Episode& episode);

}  // namespace weft
