/// The reward of a completion by running it: parse, static check, sandbox with the worker model.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "trainer/learn/grpo/rollout_scorer.h"
#include "workflow/meta_agent.h"
#include "workflow/run_workflow.h"

namespace weft {

/// Parses on a thread of its own, so that a rollout's workflow starts while others are still being
/// decoded. Borrows agent and runner; the destructor waits for what was submitted.
class WorkflowScorer : public RolloutScorer {
 public:
  WorkflowScorer(const MetaAgent& meta_agent, WorkflowRunner& runner);
  ~WorkflowScorer() override;

  decltype(TextRequest::prompt) prompt(const Task& task) const override;
  void submit(const Task& task, std::string completion, uint64_t seed,
              std::function<void(ScoredRollout)> done) override;
  void stop() override;  ///< the runner's

 private:
  struct Job {
    const Task* task;
    std::string completion;
    uint64_t seed;
    std::function<void(ScoredRollout)> done;
  };
  void work();
  void start(Job job);
  void finish();

  const MetaAgent& meta_agent_;
  WorkflowRunner& runner_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job> queue_;
  int64_t in_flight_ = 0;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace weft
