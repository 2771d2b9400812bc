/// sample_workflows and collect_traces up to the opening of models: configs, sandbox, run
/// directory.
#pragma once

#include <memory>
#include <string>

#include "base/config.h"
#include "base/program.h"
#include "base/run_dir.h"
#include "sandbox/judge.h"
#include "sandbox/sandbox.h"
#include "sandbox/static_facts.h"
#include "trainer/search/collect_traces.h"
#include "trainer/search/sample_workflows.h"
#include "workflow/stoppable_model.h"

namespace weft {

enum class GeneratorKind {
  kScripted,  ///< workflow/scripted_teacher.h; what it writes is labelled "scripted"
  kModel,     ///< a language model
};

inline EnumTable<GeneratorKind> enum_table(GeneratorKind) {
  return {{GeneratorKind::kScripted, "scripted"}, {GeneratorKind::kModel, "model"}};
}

struct GeneratorOptions {
  GeneratorKind kind = GeneratorKind::kScripted;
  ModelGeneratorOptions model;

  template <class V>
  void visit(V& v) {
    v("kind", kind, "who writes workflows: scripted (the grammar) or model");
    model.visit(v);
  }
  void validate() const { model.validate(); }
};

/// Everything between a worker model and a reward.
struct WorkbenchOptions {
  int64_t sandbox_slots = 2;
  std::string min_tier = "B";
  MetaAgentOptions meta_agent;
  RewardOptions reward;
  RunnerOptions runner;

  template <class V>
  void visit(V& v) {
    v("sandbox_slots", sandbox_slots, "jobs in the sandbox at a time; about one per core");
    v("min_tier", min_tier, "least isolation accepted, A or B");
    v("meta_agent", meta_agent, "prompt style and the static check's caps");
    v("reward", reward, "weights of the reward's terms");
    v("runner", runner, "budget of one execution and its scoring");
  }
  void validate() const;
};

/// The sandbox with all that stands on it, over one worker. The worker is borrowed.
class Workbench {
 public:
  Workbench(const WorkbenchOptions& options, TextModel& worker);
  SearchScorer& scorer() { return scorer_; }
  Judge& judge() { return judge_; }
  /// The meta-agent's user message for a task: what training sees as the query.
  std::string prompt(const Task& task) const;
  /// Lets runs in flight end at once; they are not scored.
  void stop() { worker_.stop(); }

 private:
  StoppableModel worker_;
  Sandbox sandbox_;
  Judge judge_;
  PythonAnalyser analyser_;
  MetaAgent meta_agent_;
  WorkflowRunner runner_;
  RunnerScorer scorer_;
};

/// Config of sample_workflows but for its models.
struct SampleWorkflowsConfig {
  std::string tasks;
  std::string out;
  SampleOptions sample;
  GeneratorOptions generator;
  WorkbenchOptions workbench;

  template <class V>
  void visit(V& v) {
    v("tasks", tasks, "task file, JSON lines");
    v("out", out, "folder of the run");
    sample.visit(v);
    v("generator", generator, "who writes workflows");
    workbench.visit(v);
  }
  void validate() const;
};

/// Config of collect_traces but for its models.
struct CollectTracesConfig {
  std::string tasks;
  std::string out;
  TraceOptions trace;
  GeneratorOptions teacher;
  WorkbenchOptions workbench;

  template <class V>
  void visit(V& v) {
    v("tasks", tasks, "task file, JSON lines");
    v("out", out, "folder of the run");
    trace.visit(v);
    v("teacher", teacher, "who writes workflows");
    workbench.visit(v);
  }
  void validate() const;
};

/// Runs the program into its run directory: store.sqlite, report.json, best_workflow.py.
/// `generator` is used with kind "model" only and may be null otherwise; then it is an InputError.
/// Models are borrowed. Throws as sample_workflows.
Json run_sample_workflows(const SampleWorkflowsConfig& config, const ProgramArgs& args,
                          TextModel* generator, TextModel& worker);

/// Likewise; leaves store.sqlite and report.json.
Json run_collect_traces(const CollectTracesConfig& config, const ProgramArgs& args,
                        TextModel* teacher, TextModel& worker);

}  // namespace weft
