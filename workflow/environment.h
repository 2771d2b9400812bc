/// What a meta-agent acts in: a task in, the workflow that it writes for it checked, run and
/// rewarded. Search, training, evaluation and serving know no other way to run a workflow.
#pragma once

#include <functional>
#include <string>

#include "data/task.h"
#include "model/text_model.h"
#include "workflow/run_workflow.h"
#include "workflow/workbench.h"
#include "workflow/workflow.h"

namespace weft {

/// What was written in answer to a prompt, and what came of it.
struct WorkflowRound {
  Workflow workflow;
  Outcome outcome;

  /// Why it is not valid, failed or is lost; one line, or empty.
  const std::string& problem() const;
};

/// Methods may be called from any thread.
class WorkflowEnvironment {
 public:
  virtual ~WorkflowEnvironment() = default;

  /// What is asked for this task; as MetaAgent's.
  virtual decltype(TextRequest::prompt) prompt(const Task& task) const = 0;

  /// What a completion of that prompt holds, or code that is there already, statically checked; as
  /// MetaAgent's.
  virtual Workflow parse(const std::string& completion) const = 0;
  virtual Workflow check(std::string code) const = 0;

  /// Runs, scores and rewards a workflow; as WorkflowRunner::submit.
  virtual void run(RunRequest request, std::function<void(Outcome)> done) = 0;

  /// Nothing more will be run: what is under way may come back at once as kInfrastructure. Blocks
  /// no longer than that takes.
  virtual void stop() {}
};

/// The environment of real runs. Borrows bench and worker.
class SandboxEnvironment : public WorkflowEnvironment {
 public:
  /// Throws as WorkflowRunner does.
  SandboxEnvironment(Workbench& bench, TextModel& worker, RunnerOptions options)
      : meta_agent_(bench.meta_agent()),
        runner_(bench.sandbox(), bench.judge(), worker, std::move(options)) {}

  decltype(TextRequest::prompt) prompt(const Task& task) const override {
    return meta_agent_.prompt(task);
  }
  Workflow parse(const std::string& completion) const override {
    return meta_agent_.parse(completion);
  }
  Workflow check(std::string code) const override { return meta_agent_.check(std::move(code)); }
  void run(RunRequest request, std::function<void(Outcome)> done) override {
    runner_.submit(std::move(request), std::move(done));
  }
  void stop() override { runner_.stop(); }

 private:
  const MetaAgent& meta_agent_;
  WorkflowRunner runner_;
};

}  // namespace weft
