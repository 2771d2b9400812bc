/// A stand-in for the sandbox: prompts are the tasks', every text is a workflow that is valid, and
/// runs are what a test says.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "workflow/environment.h"

namespace weft::test {

/// A run that was scored and earned this.
inline Outcome rewarded(double reward) {
  Outcome outcome;
  outcome.kind = Outcome::Kind::kScored;
  outcome.reward.emplace();
  outcome.reward->pass = outcome.reward->total = reward;
  return outcome;
}

inline Outcome infrastructure_error(std::string error) {
  Outcome outcome;
  outcome.kind = Outcome::Kind::kInfrastructure;
  outcome.error = std::move(error);
  return outcome;
}

class FakeEnvironment : public WorkflowEnvironment {
 public:
  decltype(TextRequest::prompt) prompt(const Task& task) const override { return on_prompt(task); }
  Workflow parse(const std::string& completion) const override { return on_check(completion); }
  Workflow check(std::string code) const override { return on_check(std::move(code)); }
  void run(RunRequest request, std::function<void(Outcome)> done) override {
    done(on_run(request));
  }

  std::function<decltype(TextRequest::prompt)(const Task&)> on_prompt = [](const Task& task) {
    return task.prompt;
  };
  std::function<Workflow(std::string)> on_check = [](std::string code) {
    Workflow workflow;
    workflow.code = std::move(code);
    workflow.valid = true;
    return workflow;
  };
  std::function<Outcome(const RunRequest&)> on_run = [](const RunRequest&) { return rewarded(0); };
};

}  // namespace weft::test
