/// The program train_grpo: models, sandbox, worker and files around GrpoTrainer.
#pragma once

#include "base/json.h"
#include "trainer/learn/grpo/grpo.h"

namespace weft {

/// Loads, trains, and leaves in config.out: checkpoints, `final/`, metrics, `rollouts.jsonl` (one
/// line for each rollout), `summary.json` (with "clock": base/clock_report.h), `usage.json` (tokens
/// of its engines), store.sqlite (the rollouts, unless config.trajectories names another store),
/// and with validation `before_after.json` ({"before","after"}, each
/// {"reward","valid","pass","n","tasks":[{"id","rewards":[..]}]}) and `validation.jsonl`.
///
/// With `resume` it goes on from the newest checkpoint: weights, optimizer, order of prompts and
/// seeds are exactly those of an uninterrupted run. Whatever ends it early (SIGINT, SIGTERM, a full
/// disk, a worker that stays away, ...), the batch under way is given up and the last whole step
/// saved; then Interrupted, InputError or Error is thrown. Lines of later steps are moved aside
/// (base/jsonl.h).
///
/// Models and everything trained lie on `device`, that of `config.device`.
///
/// Throws Error, without `final/`, when no reward made an update. The first batch with rollouts
/// that cannot be learnt from is left in `bad_batch.json`.
GrpoState run_train_grpo(const GrpoConfig& config, bool resume, const Json& resolved_config,
                         const ComputeDevice& device);

}  // namespace weft
