/// Scoring whole workflows by running them: the search's only source of rewards.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "data/task.h"
#include "trainer/search/candidate.h"
#include "workflow/environment.h"
#include "workflow/meta_agent.h"

namespace weft {

struct WorkflowScoreRequest {
  const Candidate* candidate = nullptr;             ///< borrowed until the call returns
  const std::vector<const Task*>* tasks = nullptr;  ///< likewise; at least one
  int64_t repeats = 1;                              ///< runs of each task, each with its own seed
  uint64_t seed = 0;  ///< of the runs; (seed, repeat, task) gives each its own
  std::shared_ptr<CallBudget> budget =
      nullptr;  ///< of the runs' calls; null: no limit but their own
};

class SearchScorer {
 public:
  virtual ~SearchScorer() = default;

  /// Runs all requests at once and waits. `on_scored(i, evaluation)` is called on this thread as
  /// soon as request i is done, so that what is finished can be stored before the rest is. Throws
  /// Interrupted after a stop signal. May be called from several threads.
  virtual void score(const std::vector<WorkflowScoreRequest>& requests,
                     const std::function<void(size_t, Evaluation)>& on_scored) = 0;

  /// Whether nothing can be added to the code: its __call__ ends in it (MetaAgent::is_whole). May
  /// be called from several threads.
  virtual bool is_whole(const std::string& code) const = 0;

  /// How far an edit is from the code it was made of; none where that cannot be said.
  virtual std::optional<EditExtent> compare(const std::string& /*before*/,
                                            const std::string& /*after*/) {
    return std::nullopt;
  }
};

/// Static check, then one run per task and repeat on the val tests, in an environment. A workflow
/// that is not valid is not run and gets the least reward (workflow/reward.h). Runs that end in an
/// infrastructure error (after the runner's own retry) are left out of the means. Borrows both; the
/// agent knows the code that the environment checks.
class RunnerScorer : public SearchScorer {
 public:
  RunnerScorer(WorkflowEnvironment& environment, const MetaAgent& meta_agent)
      : environment_(environment), meta_agent_(meta_agent) {}
  void score(const std::vector<WorkflowScoreRequest>& requests,
             const std::function<void(size_t, Evaluation)>& on_scored) override;
  bool is_whole(const std::string& code) const override { return meta_agent_.is_whole(code); }
  std::optional<EditExtent> compare(const std::string& before, const std::string& after) override {
    return meta_agent_.compare(before, after);
  }

 private:
  WorkflowEnvironment& environment_;
  const MetaAgent& meta_agent_;
};

/// Means over outcomes [repeats][tasks] of one workflow; none where the budget cut one of them
/// short.
Evaluation summarize_outcomes(const Workflow& workflow, const std::vector<const Task*>& tasks,
                              const std::vector<std::vector<Outcome>>& outcomes);

}  // namespace weft
