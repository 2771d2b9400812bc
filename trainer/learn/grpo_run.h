/// The program train_grpo: models, sandbox, worker and files around GrpoTrainer.
#pragma once

#include "base/json.h"
#include "trainer/learn/grpo.h"

namespace weft {

/// Loads, trains, and leaves in config.out: checkpoints, `final/`, metrics, `rollouts.jsonl` (one
/// line for each rollout), `summary.json`, `usage.json` (tokens of its engines), and with
/// validation `before_after.json` ({"before","after"}, each {"reward","valid","pass","n",
/// "tasks":[{"id","rewards":[..]}]}) and `validation.jsonl`.
///
/// With `resume` it goes on from the newest checkpoint: weights, optimizer, order of prompts and
/// seeds are exactly those of an uninterrupted run. On SIGINT or SIGTERM the batch under way is
/// given up, a checkpoint is saved and Interrupted is thrown. Throws InputError and Error
/// otherwise.
GrpoState run_grpo(const GrpoConfig& config, bool resume, const Json& resolved_config);

}  // namespace weft
