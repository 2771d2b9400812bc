#include "trainer/search/programs.h"

#include "base/error.h"
#include "base/stop.h"

namespace weft {

namespace {

/// What a resumed run may change: limits, sizes, and where the writing model is reached.
const std::vector<std::string> kMayChange = {"budget",
                                             "concurrent_searches",
                                             "concurrent_queries",
                                             "max_failures",
                                             "runner",
                                             "sandbox_slots",
                                             "engine",
                                             "teacher_model",
                                             "generator_model"};

SandboxOptions sandbox_options(const WorkbenchOptions& options) {
  SandboxOptions sandbox;
  sandbox.num_slots = static_cast<int>(options.sandbox_slots);
  sandbox.min_tier = options.min_tier;
  return sandbox;
}

void require_paths(const std::string& tasks, const std::string& out) {
  if (tasks.empty()) throw InputError("tasks: expected a task file, got nothing");
  if (out.empty()) throw InputError("out: expected a folder for the run, got nothing");
}

std::unique_ptr<StepGenerator> make_generator(const GeneratorOptions& options, TextModel* model,
                                              const char* prefix) {
  if (options.kind == GeneratorKind::kScripted) return std::make_unique<ScriptedGenerator>();
  if (!model) throw InputError("generator.kind=model: expected a model to be configured, got none");
  return std::make_unique<ModelGenerator>(*model, prefix + model->name(), options.model);
}

/// Calls `body`; after an interruption the runs in flight are told to end before it goes on.
template <class Body>
Json stopping(Workbench& workbench, Body body) {
  try {
    return body();
  } catch (...) {
    workbench.stop();
    throw;
  }
}

}  // namespace

void WorkbenchOptions::validate() const {
  if (sandbox_slots < 1) throw InputError("sandbox_slots: expected at least 1");
  meta_agent.validate();
  reward.validate();
  runner.validate();
}

Workbench::Workbench(const WorkbenchOptions& options, TextModel& worker)
    : worker_(worker),
      sandbox_(sandbox_options(options)),
      judge_(sandbox_),
      analyser_(sandbox_),
      meta_agent_(analyser_, options.meta_agent),
      runner_(sandbox_, judge_, worker_, options.runner),
      scorer_(runner_, meta_agent_, options.reward) {}

std::string Workbench::prompt(const Task& task) const {
  return meta_agent_.prompt(task).back().content;
}

void SampleWorkflowsConfig::validate() const {
  sample.validate();
  workbench.validate();
}

void CollectTracesConfig::validate() const {
  trace.validate();
  workbench.validate();
}

Json run_sample_workflows(const SampleWorkflowsConfig& config, const ProgramArgs& args,
                          TextModel* generator, TextModel& worker) {
  require_paths(config.tasks, config.out);
  const auto tasks = load_tasks(config.tasks);
  const auto writer = make_generator(config.generator, generator, "model:");
  const RunDir run(config.out, args.resume, args.config, kMayChange);
  TrajectoryStore store(run.file("store.sqlite"));
  Workbench workbench(config.workbench, worker);
  const SearchTools tools{*writer, workbench.scorer(), store,
                          [&](const Task& task) { return workbench.prompt(task); }, worker.name()};
  return stopping(workbench,
                  [&] { return sample_workflows(config.sample, tasks, tools, run.path()); });
}

Json run_collect_traces(const CollectTracesConfig& config, const ProgramArgs& args,
                        TextModel* teacher, TextModel& worker) {
  require_paths(config.tasks, config.out);
  const auto tasks = load_tasks(config.tasks);
  const auto writer = make_generator(config.teacher, teacher, "teacher:");
  const RunDir run(config.out, args.resume, args.config, kMayChange);
  TrajectoryStore store(run.file("store.sqlite"));
  Workbench workbench(config.workbench, worker);
  ExecutionFeedback feedback(workbench.judge());
  const TraceTools tools{
      {*writer, workbench.scorer(), store, [&](const Task& task) { return workbench.prompt(task); },
       worker.name()},
      [&](const Task& task, const Candidate& candidate, const Evaluation& evaluation) {
        return feedback.text(task, candidate, evaluation);
      }};
  return stopping(workbench,
                  [&] { return collect_traces(config.trace, tasks, tools, run.path()); });
}

}  // namespace weft
