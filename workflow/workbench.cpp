#include "workflow/workbench.h"

#include <fmt/format.h>

#include "base/check.h"
#include "base/error.h"
#include "base/machine.h"
#include "workflow/own_reward.h"
#include "workflow/test_checks.h"

namespace weft {

namespace {

SandboxOptions sandbox_options(const WorkbenchOptions& options) {
  SandboxOptions sandbox;
  sandbox.num_slots = static_cast<int>(options.sandbox_slots);
  sandbox.min_tier = options.min_tier;
  sandbox.packages = options.packages;
  return sandbox;
}

}  // namespace

void WorkbenchOptions::validate() const {
  require_at_least("sandbox_slots", sandbox_slots, 1);
  require_threads("sandbox_slots", sandbox_slots);
  parse_scorer_choice(runner.scorer);
  if (min_tier != "A" && min_tier != "B") {
    throw InputError(fmt::format("min_tier: expected A or B, got \"{}\"", min_tier));
  }
}

void WorkbenchOptions::check_start(StartCheck& check,
                                   const std::function<void(Workbench&)>& require) const {
  bool are_there = true;
  for (const auto& [key, file] :
       {std::pair{"tools.file", runner.tools.file}, {"reward.file", runner.reward.file}}) {
    are_there = (file.empty() || check.files(key, {file})) && are_there;
  }
  if (!are_there) return check_sandbox(sandbox_options(*this), check);
  check.without_error([&] {
    WorkbenchOptions small = *this;
    small.sandbox_slots = 1;
    Workbench bench(small);
    if (require) check.without_error([&] { require(bench); });
  });
}

void WorkbenchOptions::add_inputs(RunInputs& inputs, const std::vector<Task>& tasks) const {
  add_scorer_inputs(inputs, parse_scorer_choice(runner.scorer), tasks);
  if (!runner.tools.file.empty()) inputs.files("tools", {runner.tools.file});
  if (!runner.reward.file.empty()) inputs.files("reward", {runner.reward.file});
}

Workbench::Workbench(const WorkbenchOptions& options)
    : runner_(options.runner),
      sandbox_(sandbox_options(options)),
      judge_(sandbox_),
      analyser_(sandbox_),
      meta_agent_(analyser_, options.meta_agent, list_tools(sandbox_, options.runner.tools)) {}

void Workbench::require_working(const std::vector<Task>& tasks) {
  require_judgeable(judge_, tasks);
  require_working_scorer(sandbox_, parse_scorer_choice(runner_.scorer), tasks);
  require_working_reward(sandbox_, runner_.reward, tasks);
}

}  // namespace weft
