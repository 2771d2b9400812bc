/// Everything a GRPO run can be told.
#pragma once

#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "base/config.h"
#include "base/run_inputs.h"
#include "base/start_check.h"
#include "model/engine/engine.h"
#include "model/open_model.h"
#include "trainer/learn/grpo/method.h"
#include "trainer/learn/grpo/policy_options.h"
#include "trainer/learn/grpo/rollouts.h"
#include "trainer/learn/run/card_plan.h"
#include "trainer/learn/run/checkpoint.h"
#include "trainer/learn/update/learner.h"
#include "workflow/workbench.h"

namespace weft {

/// A fixed set of prompts whose reward is measured before and after training.
struct GrpoValidationOptions {
  std::vector<std::string> tasks;  ///< task files; none: no validation
  int64_t num_prompts = 32;        ///< the first so many tasks
  int samples = 4;                 ///< completions of each prompt, with the same seeds each time
  int64_t every_steps = 0;         ///< also every so many steps; 0: before and after only

  template <class V>
  void visit(V& v) {
    v("tasks", tasks, "task files, none: no validation");
    v("num_prompts", num_prompts, "the first so many tasks");
    v("samples", samples, "completions of each prompt");
    v("every_steps", every_steps, "steps between validations, 0: before and after only");
  }
  void validate() const;
};

/// Deliberate damage, to see that a result needs what it claims to need.
struct GrpoControlOptions {
  bool permute_rewards = false;  ///< rewards are permuted within each batch before the update

  template <class V>
  void visit(V& v) {
    v("permute_rewards", permute_rewards, "negative control: rewards permuted in each batch");
  }
};

struct GrpoConfig {
  std::string model;        ///< Hugging Face directory: base of the policy
  std::string model_shape;  ///< config.json to plan memory for, where no weights are; --dry-run
  std::string device = "auto";
  std::string dtype = "auto";
  int64_t threads = 0;  ///< CPU threads, 0: all cores
  uint64_t seed = 0;
  std::string out;
  std::string trajectories;        ///< store that rollouts go to; empty: store.sqlite in `out`
  std::vector<std::string> tasks;  ///< task files to train on
  int64_t steps = 100;
  int64_t prompts_per_step = 8;
  int64_t samples_per_prompt = 8;
  int64_t max_completion_tokens = 512;
  /// Of rollouts and validation, in [0.01, 100]. The policy that is trained is softmax(logits /
  /// temperature), the one that is sampled from, so that the update stays on-policy.
  double temperature = 1;
  /// Decode first, score then: see rollouts.h; needs engine.kv_mb. With runner.max_concurrent = 1 a
  /// run is then the same to the bit however often it is interrupted (tested in f32 with LoRA and
  /// workflows that ask the worker once at a time). Costs the time that decoding and scoring would
  /// share.
  bool exact = false;
  LostRolloutOptions lost_rollouts;
  int64_t max_bad_rollouts = 64;  ///< the run ends when more cannot be learnt from
  /// Sets the defaults of "update" and of refill_rounds; either can still be set itself.
  PolicyMethod method = PolicyMethod::kCustom;
  int64_t refill_rounds = 0;  ///< further draws of prompts for groups of equal rewards; 0: none
  PolicyUpdateOptions update;
  std::string reference = "base";  ///< of the KL: "base" (adapter off) or "init" (init_adapter)
  LearnOptions learn;
  EngineOptions engine;
  WorkbenchOptions workbench;
  /// Behind call_llm. A local worker without a name, or of the policy's own directory, is the
  /// policy's base with the adapter off, in the same engine, unless its dtype differs; with full
  /// weights it must be a model of its own. Not a PEFT adapter.
  ModelOptions worker;
  GrpoValidationOptions validation;
  GrpoControlOptions control;
  CheckpointOptions checkpoint;
  ResumeOptions resume;
  PlanOptions plan;

  template <class V>
  void visit(V& v) {
    v("model", model, "Hugging Face directory, base of the policy");
    v("model_shape", model_shape, "config.json for --dry-run where there are no weights");
    v("device", device, "auto, cpu or cuda[:N]");
    v("dtype", dtype, "auto, f32 or bf16");
    v("threads", threads, "CPU threads, 0: all cores");
    v("seed", seed, "of prompts, samples and workflow runs");
    v("out", out, "run directory");
    v("trajectories", trajectories,
      "trajectory store that rollouts go to; empty: store.sqlite in out");
    v("tasks", tasks, "task files to train on");
    v("steps", steps, "batches of rollouts");
    v("prompts_per_step", prompts_per_step, "prompts of a batch");
    v("samples_per_prompt", samples_per_prompt, "rollouts of a prompt, one group");
    v("max_completion_tokens", max_completion_tokens, "most tokens of a rollout");
    v("temperature", temperature, "of the policy, in rollouts and in the loss");
    v("exact", exact, "decode first, score then: the same bits after a resume, slower");
    v("lost_rollouts", lost_rollouts, "what is done about rewards that are lost");
    v("max_bad_rollouts", max_bad_rollouts,
      "rollouts with a reward, logprob or gradient that is not finite, more end the run");
    v("method", method,
      "grpo, dr_grpo, dapo, gspo, cispo, rloo, reinforce++ or custom: the defaults of update and "
      "of "
      "refill_rounds (docs/formats.md)");
    if constexpr (std::is_same_v<V, config_detail::Reader>) {  // before what it sets is read
      apply_method(method, update, refill_rounds);
    }
    v("refill_rounds", refill_rounds, "further draws for groups of equal rewards");
    v("init_adapter", learn.init_adapter, "PEFT directory to start from; empty: a fresh one");
    v("update", update, "advantages and loss");
    v("reference", reference, "of the KL: base (adapter off) or init (init_adapter)");
    v("learn", learn, "what is trained, and how");
    v("engine", engine, "rollout engine");
    workbench.visit(v);
    v("reward", workbench.runner.reward, "weights of the reward's terms");
    v("worker", worker, "model behind call_llm");
    v("validation", validation, "fixed prompts, measured before and after");
    v("control", control, "negative controls");
    v("checkpoint", checkpoint, "checkpoints");
    v("resume", resume, "what may differ when a run goes on");
    v("plan", plan, "what --dry-run plans for");
  }
  /// `update` with what it needs of the other keys.
  PolicyUpdateOptions policy_update() const;
  /// True where the policy's engine serves the worker too.
  bool shares_worker() const;
  /// Throws InputError naming the field, also where full weights would share their worker.
  void validate() const;
  /// Bytes by purpose; see memory_plan.h.
  Json memory_plan() const;
  /// What --dry-run says of the work: {"rollouts", "time"}, the time (run/rough_time.h) on this
  /// machine's CPU alone, of rollouts that all run to their limit; prompts, workers and validation
  /// are not counted. Null where there is no model.
  Json data_plan() const;
  /// What would keep a run from starting on this machine; with plan.gpu it is of no account.
  void check_start(StartCheck& check) const;
  bool plans_for_a_card() const { return !plan.gpu.empty(); }
};

}  // namespace weft
