/// What gives a sampled completion its reward. Free of LibTorch.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/json.h"
#include "data/task.h"
#include "model/text_model.h"
#include "workflow/reward.h"

namespace weft {

struct ScoredRollout {
  RewardTerms reward;
  bool valid = false;          ///< passed the static check
  bool infra_error = false;    ///< not the policy's doing: no reward exists
  bool lost_for_good = false;  ///< with infra_error: the same would come of scoring it again
  std::string outcome;         ///< kind of outcome, for the log
  std::string problem;         ///< why it is not valid, failed or is lost; one line, or empty
  int64_t worker_calls = 0;
  int64_t worker_tokens = 0;  ///< prompts and completions of the worker
  Json usage;
};

/// Thread-safe.
class RolloutScorer {
 public:
  virtual ~RolloutScorer() = default;

  /// What the policy is asked for this task.
  virtual decltype(TextRequest::prompt) prompt(const Task& task) const = 0;

  /// Returns at once; `done` is called exactly once, on another thread, and must not block. `task`
  /// is borrowed until then. `seed` fixes every random choice of the scoring.
  virtual void submit(const Task& task, std::string completion, uint64_t seed,
                      std::function<void(ScoredRollout)> done) = 0;

  /// Nothing more will be scored: what is under way may come back at once as infra_error. Blocks no
  /// longer than that takes.
  virtual void stop() {}
};

}  // namespace weft
