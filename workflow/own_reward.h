/// A reward term of the user's own: reward.file=FILE.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "data/task.h"
#include "sandbox/jail/sandbox.h"
#include "sandbox/trusted/trusted_function.h"
#include "workflow/run_workflow.h"
#include "workflow/workflow.h"

namespace weft {

/// The function reward(workflow, outcome, task) of a Python file. `workflow` is the code; `task` as
/// task_for_user; `outcome` a dict: "status" (outcome_name), "valid", "pass_rate", "passed",
/// "declared" (tests), "answer", "error", and of the worker "calls", "execs", "prompt_tokens",
/// "completion_tokens", "usd". Nothing in it depends on the clock. Thread-safe.
class OwnReward {
 public:
  /// Borrows the sandbox. Throws InputError where the file cannot be read.
  OwnReward(Sandbox& sandbox, const std::string& file);

  struct Reply {
    std::optional<double> value;  ///< finite, at most kMaxOwnReward in size
    std::string fault;            ///< without a value: the file, and what it did instead
  };

  /// Blocks for a slot and the run. The outcome is not kInfrastructure.
  Reply call(const Workflow& workflow, const Outcome& outcome, const Task& task) const;

 private:
  TrustedFunction function_;
  std::string name_;
};

/// Asks before anything is paid for: throws InputError where the function fails on the first task,
/// solved or failed. Without a file it asks nothing.
void require_working_reward(Sandbox& sandbox, const RewardOptions& options,
                            const std::vector<Task>& tasks);

}  // namespace weft
