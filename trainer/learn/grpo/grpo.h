/// Group relative policy optimisation of the meta-agent: rollouts, rewards by running the
/// workflows, update. Source: arXiv:2402.03300, with the token mean and bounds of arXiv:2503.14476.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/reasons.h"
#include "data/task.h"
#include "model/engine/engine.h"
#include "trainer/learn/grpo/grpo_config.h"
#include "trainer/learn/grpo/policy_update.h"
#include "trainer/learn/grpo/rollouts.h"
#include "trainer/learn/update/learner.h"

namespace weft {

/// Name under which the engine knows the policy's adapter.
constexpr const char* kPolicyAdapter = "policy";

/// What a run has to remember between steps.
struct GrpoState {
  int64_t step = 0;         ///< batches done
  int64_t tasks_drawn = 0;  ///< position in the seeded order of prompts
  int64_t decoded_tokens = 0;
  int64_t worker_tokens = 0;
  int64_t trained_tokens = 0;  ///< with a loss
  int64_t skipped_updates = 0;
  int64_t rewarded_updates = 0;  ///< see PolicyUpdateResult
  int64_t bad_rollouts = 0;      ///< see GrpoTrainer::Step
  int64_t rollouts = 0, valid = 0;
  ReasonCounts not_valid;  ///< why the others are not

  /// "3 of 32 valid: 20 x cut at max_completion_tokens, 9 x no class Workflow".
  std::string validity() const;

  Json to_json() const;
  static GrpoState from_json(const Json& json, const std::string& where);
};

/// Mean rewards of fixed prompts under the current policy. A prompt of which a rollout is lost is
/// in none of them.
struct GrpoValidation {
  double reward = 0;                         ///< mean over prompts
  double valid = 0;                          ///< share of valid workflows
  double pass = 0;                           ///< mean pass rate
  std::vector<std::string> task_ids;         ///< [prompts]
  std::vector<std::vector<double>> rewards;  ///< [prompts][samples]
  std::vector<std::string> left_out;         ///< task ids of the other prompts

  Json to_json() const;
};

/// The loop over batches, without files: policy = `learner`'s weights as `engine` serves them.
/// One thread; borrows everything. The destructor waits for what the environment still runs.
class GrpoTrainer {
 public:
  GrpoTrainer(const GrpoConfig& config, Engine& engine, Learner& learner,
              WorkflowEnvironment& environment, const std::vector<Task>& tasks,
              const Reference& reference);

  struct Step {
    Json metrics;  ///< see docs/formats.md; valid_workflows and truncated are shares of the
                   ///< rollouts, zero_std_groups, infra_errors, worker_calls and worker_tokens are
                   ///< counts
    std::vector<Episode> episodes;  ///< with the rewards as they were earned
    /// What could not be learnt from: its reward, a logprob or its gradient is not finite, or the
    /// policy gave no completion.
    std::vector<BadEpisode> bad;
    std::string non_finite;     ///< PolicyUpdateResult::non_finite
    std::string out_of_memory;  ///< see PolicyUpdateResult
    /// Why no reward made an update, with counted reasons, or that the refills did not fill the
    /// batch; else empty.
    std::string warning;
  };

  /// One batch: samples, scores, updates, and advances the state. Throws Interrupted with state and
  /// weights unchanged, Error when too many rewards are lost (LostRolloutOptions) or the policy's
  /// weights are not finite.
  Step step();

  /// False where something was thrown between the first update of a batch and its end: weights and
  /// state do not belong together then.
  bool whole() const;

  /// Samples `samples` completions of each task with fixed seeds and scores them. Throws as step(),
  /// and Error when no prompt has all its rewards.
  GrpoValidation validate(const std::vector<Task>& tasks, int samples);

  GrpoState& state() { return state_; }
  const GrpoState& state() const { return state_; }

 private:
  RolloutBatch draw(GrpoState& state, uint64_t round, int64_t num_prompts);
  RolloutBatch sample_batch(GrpoState& state);
  const Task& task_at(int64_t position) const;
  RolloutOptions rollout_options(int samples, std::string label) const;
  std::vector<BadEpisode> failures_of_the_policy(const std::vector<Episode>& episodes) const;

  const GrpoConfig& config_;
  Engine& engine_;
  Learner& learner_;
  RoundRunner rounds_;
  const std::vector<Task>& tasks_;
  Reference reference_;
  GrpoState state_;
  bool in_step_ = false;
  int64_t updates_before_ = 0;  ///< of the step under way
};

}  // namespace weft
