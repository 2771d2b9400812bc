/// Supervised fine-tuning of the meta-agent on workflows that earned a reward.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/config.h"
#include "base/run_inputs.h"
#include "base/start_check.h"
#include "model/device.h"
#include "trainer/learn/run/card_plan.h"
#include "trainer/learn/run/checkpoint.h"
#include "trainer/learn/sft/sft_data.h"
#include "trainer/learn/update/learner.h"

namespace weft {

struct SftConfig {
  std::string model;        ///< Hugging Face directory to start from
  std::string model_shape;  ///< config.json to plan memory for, where no weights are; --dry-run
  std::string device = "auto";
  std::string dtype = "auto";
  int64_t threads = 0;  ///< CPU threads, 0: all cores
  uint64_t seed = 0;
  std::string out;
  SftDataOptions data;
  MetaAgentOptions meta_agent;
  LearnOptions learn;
  CheckpointOptions checkpoint;
  ResumeOptions resume;
  PlanOptions plan;
  int64_t epochs = 2;
  int64_t sequences_per_step = 16;
  int64_t max_steps = 0;              ///< stops earlier than the epochs would; 0: no limit
  int64_t max_skipped_examples = 16;  ///< the run ends when more give no finite gradient

  template <class V>
  void visit(V& v) {
    v("model", model, "Hugging Face directory to start from");
    v("model_shape", model_shape, "config.json for --dry-run where there are no weights");
    v("device", device, "auto, cpu or cuda[:N]");
    v("dtype", dtype, "auto, f32 or bf16");
    v("threads", threads, "CPU threads, 0: all cores");
    v("seed", seed, "of the order of examples and the adapter's start");
    v("out", out, "run directory");
    v("data", data, "examples");
    v("meta_agent", meta_agent, "form of prompt and target");
    v("learn", learn, "what is trained, and how");
    v("checkpoint", checkpoint, "checkpoints");
    v("resume", resume, "what may differ when a run goes on");
    v("plan", plan, "what --dry-run plans for");
    v("init_adapter", learn.init_adapter, "PEFT directory to start from; empty: a fresh one");
    v("epochs", epochs, "passes over the examples");
    v("sequences_per_step", sequences_per_step, "examples of a step");
    v("max_steps", max_steps, "most steps, 0: as the epochs give");
    v("max_skipped_examples", max_skipped_examples,
      "examples left out because their gradient is not finite, more end the run");
  }
  /// Throws InputError naming the field.
  void validate() const;
  /// Bytes by purpose; see memory_plan.h.
  Json memory_plan() const;
  /// What --dry-run says of the examples: their counts (plan_jsonl_examples; of a store their
  /// number alone), with "time" (run/rough_time.h) where they are learnt on this machine's CPU;
  /// {"not_read": why} where data or tokenizer cannot be had, or null where no data is named.
  /// Throws InputError on a line that is no example.
  Json data_plan() const;
  /// What would keep a run from starting on this machine; with plan.gpu it is of no account.
  void check_start(StartCheck& check) const;
  bool plans_for_a_card() const { return !plan.gpu.empty(); }
};

struct SftSummary {
  int64_t steps = 0;
  int64_t tokens = 0;          ///< through the model
  int64_t trained_tokens = 0;  ///< with a loss
  int64_t skipped_steps = 0;   ///< gradient not finite, or every example left out
  double last_loss = 0;        ///< nats per token, of the last step that had one
  /// Indices of examples whose own gradient is not finite: they are in no later batch.
  std::vector<int64_t> skipped_examples;
};

/// The whole program: loads, trains, and leaves checkpoints, metrics, `final/` and `summary.json`
/// (with "clock": base/clock_report.h) in config.out. With `resume` it goes on from the newest
/// checkpoint and gives, in fp32, the same bits as a run that was never interrupted. Whatever ends
/// it early (SIGINT, SIGTERM, a full disk, ...), the last whole step is saved first; then
/// Interrupted, InputError or Error is thrown.
///
/// Where a step's gradient is not finite, each of its examples is tried alone: those whose own
/// gradient is not finite are left out from then on, with a line in `skipped_examples.jsonl`, and
/// the step is made of the others. Throws Error naming the tensor where a weight is not finite,
/// when more than max_skipped_examples are left out, and, without `final/`, when no step changed a
/// weight.
///
/// The model and everything trained lie on `device`, that of `config.device`.
///
/// Metrics of a step: loss (mean nats per loss token, by weight), lr, grad_norm (before clipping),
/// tokens, trained_tokens, tokens_per_s, packing (tokens over the room of the step's microbatches),
/// skipped (1 where no weight was changed). Null: not measured.
SftSummary run_train_sft(const SftConfig& config, bool resume, const Json& resolved_config,
                         const ComputeDevice& device);

}  // namespace weft
