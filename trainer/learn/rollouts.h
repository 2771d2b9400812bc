/// Sampling episodes: completions of the policy and their rewards, decoding and scoring overlapped.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/episode.h"
#include "data/task.h"
#include "model/text_model.h"
#include "trainer/learn/rollout_scorer.h"

namespace weft {

struct RolloutOptions {
  int samples_per_prompt = 8;
  int max_completion_tokens = 512;
  double temperature = 1;        ///< > 0
  std::string adapter;           ///< of the policy; empty where the base weights are the policy
  std::vector<int32_t> eos_ids;  ///< the policy's: such an id ends a completion
  /// Scores while others are decoded. Where policy and worker share an engine, what a step of it
  /// computes together then depends on the clock, and with it the last bits of the logprobs.
  bool overlap = true;
};

struct RolloutBatch {
  /// samples_per_prompt adjacent episodes for each prompt, in the order of the prompts; `group` is
  /// the prompt's seed.
  std::vector<Episode> episodes;
  int64_t completion_tokens = 0;
  int64_t worker_calls = 0;
  int64_t worker_tokens = 0;
  double rollout_s = 0;  ///< until the last completion was there
  double reward_s = 0;   ///< from then until the last reward was

  void append(RolloutBatch other);
};

/// Samples at the given temperature, nothing cut, and has each completion scored as soon as it is
/// whole, while others of its prompt are still being decoded; without `overlap`, once all are. The
/// recorded logprobs are of the distribution sampled from.
/// Prompt i samples with `seeds[i]`, its sample k is scored with a seed of (seeds[i], k).
///
/// A completion that the model failed to give is an episode with infra_error. On SIGINT or SIGTERM
/// requests are cancelled and Interrupted is thrown. Throws InputError when the model refuses a
/// prompt (too long, ...).
RolloutBatch collect_rollouts(TextModel& policy, RolloutScorer& scorer,
                              const std::vector<const Task*>& tasks,
                              const std::vector<uint64_t>& seeds, const RolloutOptions& options);

}  // namespace weft
