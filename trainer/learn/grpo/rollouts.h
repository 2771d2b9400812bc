/// Sampling episodes: completions of the policy and their rewards, decoding and running overlapped.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/config.h"
#include "data/episode.h"
#include "data/task.h"
#include "model/text_model.h"
#include "workflow/round_runner.h"

namespace weft {

/// What is done about rollouts whose reward is lost for reasons that are not the policy's (the
/// worker is gone, the sandbox failed, the user's own term of the reward raises). Which are lost
/// depends on what they do, so the others must not be taken for the whole.
struct LostRolloutOptions {
  /// Of the rollouts whose workflow was run (what is not valid is not, and cannot be lost). Up to
  /// it the lost ones are scored once more, and what is lost again costs its group; above it the
  /// step waits before each further try. What a further try would lose again is not tried: up to
  /// this share it costs its group, above it the run is saved and ends.
  double max_share = 0.05;
  int64_t max_waits = 6;    ///< tries after a wait; then the run is saved and ends
  double wait_s = 10;       ///< the first wait; each is twice as long as the one before
  double max_wait_s = 300;  ///< but never longer than this

  template <class V>
  void visit(V& v) {
    v("max_share", max_share, "share of lost rollouts above which a step waits and tries again");
    v("max_waits", max_waits, "tries after a wait, then the run is saved and ends");
    v("wait_s", wait_s, "seconds of the first wait, doubled each time");
    v("max_wait_s", max_wait_s, "seconds of the longest wait");
  }
  /// Throws InputError naming the field.
  void validate() const;
};

struct RolloutOptions {
  int samples_per_prompt = 8;
  int max_completion_tokens = 512;
  double temperature = 1;        ///< > 0
  std::string adapter;           ///< of the policy; empty where the base weights are the policy
  std::vector<int32_t> eos_ids;  ///< the policy's: such an id ends a completion
  /// Scores while others are decoded. Where policy and worker share an engine, what a step of it
  /// computes together then depends on the clock, and with it the last bits of the logprobs.
  bool overlap = true;
  LostRolloutOptions lost;
  std::string label;  ///< of what they are for, in log lines: "step 3"
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
  int64_t refills = 0;   ///< further draws that it holds

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
RolloutBatch collect_rollouts(TextModel& policy, RoundRunner& rounds,
                              const std::vector<const Task*>& tasks,
                              const std::vector<uint64_t>& seeds, const RolloutOptions& options);

/// collect_rollouts; then what was lost while it was scored is scored again, the same completions
/// with the same seeds, as `options.lost` says. What is lost in the end has infra_error. Throws
/// also Error when more than the given share is lost after the last wait, or at once when more than
/// it is lost for good (Episode).
RolloutBatch collect_whole_rollouts(TextModel& policy, RoundRunner& rounds,
                                    const std::vector<const Task*>& tasks,
                                    const std::vector<uint64_t>& seeds,
                                    const RolloutOptions& options);

}  // namespace weft
