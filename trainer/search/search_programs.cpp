#include "trainer/search/search_programs.h"

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/run_dir.h"
#include "workflow/environment.h"
#include "workflow/test_checks.h"

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
                                             "filter",
                                             "export",
                                             "teacher_model",
                                             "generator_model"};

/// `key` is the generator's place in the config, `prefix` opens its origin.
std::unique_ptr<StepGenerator> make_generator(const GeneratorOptions& options, TextModel* model,
                                              const char* key, const char* prefix) {
  if (options.kind == GeneratorKind::kScripted) return std::make_unique<ScriptedGenerator>();
  if (!model) {
    throw InputError(std::string(key) + ".kind: \"model\" expected a model to write, got none");
  }
  return std::make_unique<ModelGenerator>(*model, prefix + model->name(), options.model);
}

std::vector<Task> read_tasks(const SearchProgramConfig& config) {
  if (config.out.empty()) throw InputError("out: expected a folder for the run, got nothing");
  return load_judgeable_tasks(config.tasks);
}

TraceTools trace_tools(const MetaAgent& meta_agent, PythonAnalyser& analyser,
                       const TokenCounter& count_tokens) {
  return {[&](const Task& task) { return meta_agent.prompt(task); },
          [&](const std::string& code) { return meta_agent.render_code(code); },
          [&](const std::string& code) { return analyser.facts(code).ast_hash; }, count_tokens};
}

ResumeRules resume_rules(const SearchProgramConfig& config, const ProgramArgs& args,
                         const RunModels& models, const std::vector<Task>& tasks) {
  ResumeRules rules{kMayChange, models.inputs, config.resume.allow, args.defaults};
  rules.inputs.files("tasks", config.tasks);
  config.workbench.add_inputs(rules.inputs, tasks);
  return rules;
}

/// All that a program works with, opened in this order. The worker is borrowed.
class OpenRun {
 public:
  OpenRun(const SearchProgramConfig& config, const ProgramArgs& args,
          std::unique_ptr<StepGenerator> generator, TextModel& worker, const RunModels& models)
      : tasks(read_tasks(config)),
        generator_(std::move(generator)),
        run_(config.out, args.resume, args.config, resume_rules(config, args, models, tasks)),
        store_(run_.file("store.sqlite")),
        bench_(config.workbench),
        environment_(bench_, worker, config.workbench.runner),
        scorer_(environment_, bench_.meta_agent()),
        feedback_(bench_.judge()),
        reward_text_(config.workbench.runner.reward.text()),
        worker_name_(worker.name()),
        clock_reasons_(models.clock_reasons ? models.clock_reasons() : std::vector<std::string>()),
        tokens_(models.tokens) {
    generator_->offer_tools(bench_.meta_agent().tools());
    bench_.require_working(tasks);
  }

  SearchTools tools() {
    const auto prompt = [this](const Task& task) { return bench_.meta_agent().query(task); };
    const auto feedback = [this](const std::vector<const Task*>& tasks, const Candidate& candidate,
                                 const Evaluation& evaluation) {
      return feedback_.text(tasks, candidate, evaluation);
    };
    return {*generator_, scorer_,      store_,         prompt, worker_name_,
            feedback,    reward_text_, clock_reasons_, tokens_};
  }
  const fs::path& path() const { return run_.path(); }

  Json export_traces(const TraceFilter& filter, const TraceExportOptions& options,
                     const TokenCounter& count_tokens) {
    return weft::export_traces(store_, tasks, filter, options,
                               trace_tools(bench_.meta_agent(), bench_.analyser(), count_tokens),
                               path());
  }

  const std::vector<Task> tasks;

 private:
  std::unique_ptr<StepGenerator> generator_;
  RunDir run_;
  TrajectoryStore store_;
  Workbench bench_;
  SandboxEnvironment environment_;
  RunnerScorer scorer_;
  ExecutionFeedback feedback_;
  std::string reward_text_;
  std::string worker_name_;
  std::vector<std::string> clock_reasons_;
  std::function<int64_t()> tokens_;
};

}  // namespace

void SearchProgramConfig::check_start(StartCheck& check) const {
  const bool are_there = check.files("tasks", tasks);
  check.run_folder("out", out);
  workbench.check_start(check, [&](Workbench& bench) {
    if (are_there) bench.require_working(load_judgeable_tasks(tasks));
  });
}

void SampleWorkflowsConfig::validate() const {
  sample.validate();
  workbench.validate();
}

void CollectTracesConfig::validate() const {
  trace.validate();
  workbench.validate();
}

void CollectTracesConfig::check_start(StartCheck& check) const {
  SearchProgramConfig::check_start(check);
  if (!from.empty()) check.file("from", from);
  if (!filter.tokenizer.empty() && !fs::exists(filter.tokenizer)) {
    check.add("filter.tokenizer: expected a folder or a file, got " + filter.tokenizer);
  }
}

Json run_sample_workflows(const SampleWorkflowsConfig& config, const ProgramArgs& args,
                          TextModel* generator, TextModel& worker, const RunModels& models) {
  OpenRun run(config, args, make_generator(config.generator, generator, "generator", "model:"),
              worker, models);
  return sample_workflows(config.sample, run.tasks, run.tools(), run.path());
}

Json run_collect_traces(const CollectTracesConfig& config, const ProgramArgs& args,
                        TextModel* teacher, TextModel& worker, const RunModels& models,
                        const TokenCounter& count_tokens) {
  OpenRun run(config, args, make_generator(config.teacher, teacher, "teacher", "teacher:"), worker,
              models);
  Json report = collect_traces(config.trace, run.tasks, run.tools(), run.path());
  report["export"] = run.export_traces(config.filter, config.trace_export, count_tokens);
  write_file_atomically(run.path() / "report.json", dump_json_pretty(report));
  return report;
}

Json run_export_traces(const CollectTracesConfig& config, const ProgramArgs& args,
                       const TokenCounter& count_tokens) {
  const auto tasks = read_tasks(config);
  const TrajectoryStore store(config.from, StoreAccess::kRead);
  ResumeRules rules = resume_rules(config, args, {}, tasks);
  rules.inputs.content("from", content_hash(store.select()), config.from);
  RunDir run(config.out, args.resume, args.config, rules);
  SandboxOptions one_slot;
  one_slot.num_slots = 1;
  Sandbox sandbox(one_slot);
  PythonAnalyser analyser(sandbox);
  const MetaAgent meta_agent(analyser, config.workbench.meta_agent);
  const Json report = {
      {"from", config.from},
      {"export", export_traces(store, tasks, config.filter, config.trace_export,
                               trace_tools(meta_agent, analyser, count_tokens), run.path())}};
  write_file_atomically(run.file("report.json"), dump_json_pretty(report));
  log::info("{} traces in {}/traces.jsonl", report["export"]["traces"].get<int64_t>(), config.out);
  return report;
}

}  // namespace weft
