#include "workflow/own_reward.h"

#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "base/error.h"
#include "base/utf8.h"
#include "workflow/baselines.h"
#include "workflow/user_function.h"

namespace weft {
namespace {

PythonValue outcome_for_user(const Workflow& workflow, const Outcome& outcome) {
  Json seen = {{"status", outcome_name(outcome.kind)}, {"valid", workflow.valid},
               {"pass_rate", outcome.pass_rate},       {"passed", outcome.passed},
               {"declared", outcome.declared},         {"answer", to_valid_utf8(outcome.answer)},
               {"error", to_valid_utf8(outcome.error)}};
  seen.update(usage_to_json(outcome.usage));
  seen.erase("clock_decisions");
  return value_from_json(seen, "outcome");
}

}  // namespace

OwnReward::OwnReward(Sandbox& sandbox, const std::string& file)
    : function_(sandbox, read_user_file(file), "reward", user_function_limits()),
      name_(file + ": reward()") {}

OwnReward::Reply OwnReward::call(const Workflow& workflow, const Outcome& outcome,
                                 const Task& task) const {
  const auto reply = function_.call({PythonValue::str(to_valid_utf8(workflow.code)),
                                     outcome_for_user(workflow, outcome), task_for_user(task)});
  if (!reply.value) return {std::nullopt, name_ + ": " + reply.fault};
  const auto number = number_of(*reply.value);
  if (number && std::abs(*number) <= kMaxOwnReward) return {number, ""};
  const std::string got = name_ + " gave " + python_literal(*reply.value, 100);
  if (!number || !std::isfinite(*number)) {
    return {std::nullopt, got + ", expected a finite number"};
  }
  return {std::nullopt, fmt::format("{}, expected a number from {:g} to {:g}", got, -kMaxOwnReward,
                                    kMaxOwnReward)};
}

void require_working_reward(Sandbox& sandbox, const RewardOptions& options,
                            const std::vector<Task>& tasks) {
  if (options.file.empty() || tasks.empty()) return;
  const OwnReward own(sandbox, options.file);
  const Task& task = tasks.front();
  Workflow workflow;
  workflow.code = io_workflow(task.kind, code_form(task));
  workflow.valid = true;
  Outcome solved, failed;
  solved.kind = Outcome::Kind::kScored;
  solved.pass_rate = 1;
  solved.passed = solved.declared = 1;
  solved.answer = task.answer;
  solved.usage.calls = solved.usage.prompt_tokens = solved.usage.completion_tokens = 1;
  failed.kind = Outcome::Kind::kWorkflowError;
  failed.error = "ERROR(ValueError)";
  for (const Outcome* outcome : {&solved, &failed}) {
    const auto reply = own.call(workflow, *outcome, task);
    if (reply.value) continue;
    throw InputError("reward.file: " + reply.fault + " (on task \"" + task.id + "\", tried as " +
                     (outcome == &solved ? "solved" : "failed") + ")");
  }
}

}  // namespace weft
