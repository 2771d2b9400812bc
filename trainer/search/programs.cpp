#include "trainer/search/programs.h"

#include "base/error.h"
#include "base/run_dir.h"

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

void require_paths(const std::string& tasks, const std::string& out) {
  if (tasks.empty()) throw InputError("tasks: expected a task file, got nothing");
  if (out.empty()) throw InputError("out: expected a folder for the run, got nothing");
}

/// `key` is the generator's place in the config, `prefix` opens its origin.
std::unique_ptr<StepGenerator> make_generator(const GeneratorOptions& options, TextModel* model,
                                              const char* key, const char* prefix) {
  if (options.kind == GeneratorKind::kScripted) return std::make_unique<ScriptedGenerator>();
  if (!model) {
    throw InputError(std::string(key) + ".kind: \"model\" expected a model to write, got none");
  }
  return std::make_unique<ModelGenerator>(*model, prefix + model->name(), options.model);
}

/// What a run works with beside its generator. The worker is borrowed.
class SearchBench {
 public:
  SearchBench(const WorkbenchOptions& options, const RewardOptions& reward, TextModel& worker)
      : bench_(options),
        runner_(bench_.sandbox(), bench_.judge(), worker, options.runner),
        scorer_(runner_, bench_.meta_agent(), reward),
        worker_name_(worker.name()) {}

  SearchTools tools(StepGenerator& generator, TrajectoryStore& store) {
    const auto prompt = [this](const Task& task) { return bench_.meta_agent().query(task); };
    return {generator, scorer_, store, prompt, worker_name_};
  }
  Judge& judge() { return bench_.judge(); }

 private:
  Workbench bench_;
  WorkflowRunner runner_;
  RunnerScorer scorer_;
  std::string worker_name_;
};

}  // namespace

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
  const auto writer = make_generator(config.generator, generator, "generator", "model:");
  const RunDir run(config.out, args.resume, args.config, kMayChange);
  TrajectoryStore store(run.file("store.sqlite"));
  SearchBench bench(config.workbench, config.reward, worker);
  return sample_workflows(config.sample, tasks, bench.tools(*writer, store), run.path());
}

Json run_collect_traces(const CollectTracesConfig& config, const ProgramArgs& args,
                        TextModel* teacher, TextModel& worker) {
  require_paths(config.tasks, config.out);
  const auto tasks = load_tasks(config.tasks);
  const auto writer = make_generator(config.teacher, teacher, "teacher", "teacher:");
  const RunDir run(config.out, args.resume, args.config, kMayChange);
  TrajectoryStore store(run.file("store.sqlite"));
  SearchBench bench(config.workbench, config.reward, worker);
  ExecutionFeedback feedback(bench.judge());
  const TraceTools tools{
      bench.tools(*writer, store),
      [&](const Task& task, const Candidate& candidate, const Evaluation& evaluation) {
        return feedback.text(task, candidate, evaluation);
      }};
  return collect_traces(config.trace, tasks, tools, run.path());
}

}  // namespace weft
