/// The sandbox with what stands on it, and the options that every program which runs workflows
/// shares.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/config.h"
#include "base/run_inputs.h"
#include "base/start_check.h"
#include "data/task.h"
#include "sandbox/facts/static_facts.h"
#include "sandbox/jail/sandbox.h"
#include "sandbox/judge/judge.h"
#include "workflow/meta_agent.h"
#include "workflow/run_workflow.h"

namespace weft {

class Workbench;

/// Visited flat: its fields stand among those of the program's own config.
struct WorkbenchOptions {
  int64_t sandbox_slots = 2;   ///< >= 1; more than cores only adds latency
  std::string min_tier = "B";  ///< "A" or "B"; a machine that offers less is refused
  std::string packages;        ///< as SandboxOptions::packages
  MetaAgentOptions meta_agent;
  RunnerOptions runner;

  template <class V>
  void visit(V& v) {
    v("sandbox_slots", sandbox_slots, "jobs in the sandbox at a time; about one per core");
    v("min_tier", min_tier, "least isolation accepted, A or B");
    visit_scorer(v, runner.scorer, packages);
    v("meta_agent", meta_agent, "prompt style and the static check's caps");
    v("runner", runner, "budget of one workflow and its scoring");
    v("tools", runner.tools, "functions of your own that workflows may call");
  }
  void validate() const;  ///< throws InputError
  /// What would keep a Workbench from starting, and what `require` throws of one that has started.
  void check_start(StartCheck& check,
                   const std::function<void(Workbench&)>& require = nullptr) const;
  /// What runs on these tasks depend on beside the config: add_scorer_inputs, "tools", "reward".
  void add_inputs(RunInputs& inputs, const std::vector<Task>& tasks) const;
};

/// A sandbox with its judge and the meta-agent that reads Python in it. What it hands out may be
/// used from any thread and lives as long as the bench.
class Workbench {
 public:
  /// Starts the sandbox's slots; throws as Sandbox does.
  explicit Workbench(const WorkbenchOptions& options);
  Workbench(const Workbench&) = delete;
  Workbench& operator=(const Workbench&) = delete;

  Sandbox& sandbox() { return sandbox_; }
  Judge& judge() { return judge_; }
  PythonAnalyser& analyser() { return analyser_; }
  const MetaAgent& meta_agent() const { return meta_agent_; }

  /// Asks before anything is paid for: throws InputError where a task's tests cannot be judged
  /// (test_checks.h) or the scorer, a checker or the reward's file does not work on them
  /// (require_working_scorer, require_working_reward).
  void require_working(const std::vector<Task>& tasks);

 private:
  const RunnerOptions runner_;
  Sandbox sandbox_;
  Judge judge_;
  PythonAnalyser analyser_;
  MetaAgent meta_agent_;
};

}  // namespace weft
