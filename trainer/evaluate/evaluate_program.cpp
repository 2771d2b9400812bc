#include "trainer/evaluate/evaluate_program.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <tuple>

#include "base/check.h"
#include "base/clock_report.h"
#include "base/error.h"
#include "base/file.h"
#include "base/jsonl.h"
#include "base/log.h"
#include "base/run_dir.h"
#include "data/hidden_tests.h"
#include "data/provenance.h"
#include "data/trajectory_store.h"
#include "trainer/evaluate/compare.h"
#include "trainer/evaluate/failures.h"
#include "trainer/evaluate/model_caches.h"
#include "trainer/evaluate/report.h"
#include "trainer/evaluate/task_pages.h"
#include "trainer/evaluate/traces.h"
#include "workflow/test_checks.h"

namespace weft {

namespace {

constexpr const char* kTaskPages = "report_tasks";  ///< beside report.html

/// What may differ when a run is resumed: nothing that changes a row.
const std::vector<std::string> kMayChange = {"sandbox_slots",
                                             "max_in_flight",
                                             "engine.max_batch",
                                             "engine.kv_fraction",
                                             "engine.kv_mb",
                                             "bootstrap",
                                             "title",
                                             "curves",
                                             "example_before",
                                             "example_after",
                                             "num_examples",
                                             "trace_bytes",
                                             "budget",
                                             "cache",
                                             "contamination"};

/// A run to which methods are added goes on: the rows of the others stay as they are.
void allow_added_methods(const EvaluateConfig& config, const EvaluationPlan& plan,
                         ResumeRules& rules) {
  const fs::path before = fs::path(config.out) / "config.json";
  if (!fs::exists(before)) return;
  std::map<std::string, std::string> added;
  for (const Method& method : plan.methods) added[method.name] = method.spec;
  const Json run = read_json_file(before);
  for (const std::string& text : get_field_or<std::vector<std::string>>(
           run, "methods", EvaluateConfig{}.methods, before.string())) {
    const Method method = parse_method(text);
    const auto found = added.find(method.name);
    if (found == added.end() || found->second != method.spec) return;
    added.erase(found);
  }
  rules.may_change.push_back("methods");
  const Json inputs = rules.inputs.to_json();
  for (const auto& [input, any] : inputs.items()) {
    for (const auto& [name, spec] : added) {
      if ((input + ".").starts_with("methods." + name + ".")) rules.allow.push_back(input);
    }
  }
}

ResumeRules resume_rules(const EvaluateConfig& config, const EvaluationPlan& plan,
                         const ProgramArgs& args, const RunModels& models) {
  ResumeRules rules{kMayChange, models.inputs, config.resume.allow, args.defaults};
  rules.inputs.files("tasks", config.tasks);
  bool asks_a_pool = false;
  config.workbench.add_inputs(rules.inputs, plan.tasks);
  for (const Method& method : plan.methods) {
    asks_a_pool = asks_a_pool || method.kind == MethodKind::kHybrid;
    const std::string name = "methods." + method.name;
    if (method.kind == MethodKind::kFixed || method.kind == MethodKind::kSamples) {
      rules.inputs.files(name, {method.source});
    }
    if (method.kind == MethodKind::kMeta || method.kind == MethodKind::kHybrid) {
      rules.inputs.model(name, method.source);
    }
    if (method.kind == MethodKind::kHybrid) {
      const auto rows = TrajectoryStore(method.store, StoreAccess::kRead).select();
      rules.inputs.content(name + ".store", content_hash(rows), method.store);
    }
  }
  if (!asks_a_pool) rules.may_change.push_back("pool_min_similarity");
  if (args.resume) allow_added_methods(config, plan, rules);
  return rules;
}

std::vector<Task> read_tasks(const EvaluateConfig& config) {
  return load_task_files(config.tasks, [](const std::string& file) { return load_tasks(file); });
}

EvaluationPlan make_plan(const EvaluateConfig& config) {
  EvaluationPlan plan;
  plan.methods = parse_methods(config.methods);
  plan.tasks = read_tasks(config);
  if (config.max_tasks > 0 && plan.tasks.size() > static_cast<size_t>(config.max_tasks)) {
    plan.tasks.resize(static_cast<size_t>(config.max_tasks));
  }
  std::map<std::string, FinalTests> final_tests;
  for (const std::string& file : config.tasks) final_tests.merge(load_final_tests(file));
  plan.scoring = choose_scoring(plan.tasks, final_tests, parse_score_rule(config.evaluation.score));
  const std::string files = fmt::format("{}", fmt::join(config.tasks, ", "));
  require_judgeable(plan.tasks, files);
  for (const Task& task : plan.tasks) {
    const auto scoring = plan.scoring.find(task.id);
    if (scoring == plan.scoring.end()) continue;
    require_judgeable(task, scoring->second.tests, "final", files);
  }
  return plan;
}

/// What only Python can say of the plan's final tests.
void check_final_tests(Judge& judge, const EvaluationPlan& plan) {
  for (const Task& task : plan.tasks) {
    const auto scoring = plan.scoring.find(task.id);
    if (scoring == plan.scoring.end()) continue;
    require_judgeable(judge, task, scoring->second.tests, "final");
  }
}

/// Reads the samples methods' files. Ids of tasks beyond max_tasks are known, but not scored.
void load_plan_samples(const EvaluateConfig& config, Workbench& bench, EvaluationPlan& plan) {
  const auto parses = [&bench](const std::string& text) {
    return bench.analyser().facts(text).parses;
  };
  const auto continues = [&](const Task& task) { return declares_entry_point(task, parses); };
  for (const Method& method : plan.methods) {
    if (method.kind != MethodKind::kSamples) continue;
    Samples& samples = plan.samples[method.name] =
        load_samples(method.source, read_tasks(config), continues);
    const auto held = std::count_if(plan.tasks.begin(), plan.tasks.end(),
                                    [&](const Task& task) { return samples.count(task.id) > 0; });
    if (held == 0) {
      throw InputError(fmt::format("{}: expected samples of the first {} tasks, got none",
                                   method.source, plan.tasks.size()));
    }
    if (static_cast<size_t>(held) < plan.tasks.size()) {
      log::warn("{}: holds samples for {} of {} tasks, the others are left out", method.source,
                held, plan.tasks.size());
    }
  }
}

bool has_method(const EvaluationPlan& plan, const std::string& name) {
  return std::any_of(plan.methods.begin(), plan.methods.end(),
                     [&](const Method& method) { return method.name == name; });
}

/// Who wrote the workflows that the meta-agents of the plan learnt from, and those of its pools.
std::vector<std::string> teachers_of(const EvaluationPlan& plan) {
  std::set<std::string> origins;
  for (const Method& method : plan.methods) {
    if (method.kind != MethodKind::kMeta && method.kind != MethodKind::kHybrid) continue;
    const auto teachers = provenance_of(method.source).teachers;
    origins.insert(teachers.begin(), teachers.end());
    if (method.store.empty()) continue;
    for (const Trajectory& row : TrajectoryStore(method.store, StoreAccess::kRead).select()) {
      origins.insert(row.origin);
    }
  }
  std::vector<std::string> words;
  for (const std::string& origin : origins) words.push_back(teacher_words(origin));
  return words;
}

/// `worker` is null where no method asks one.
ReportOptions report_options(const EvaluateConfig& config, const EvaluationPlan& plan,
                             const ProgramArgs& args, const TextModel* worker) {
  ReportOptions options;
  options.title = config.title;
  options.worker = worker ? provenance_of(worker->name()).label : "none";
  options.teachers = teachers_of(plan);
  options.bootstrap = config.bootstrap;
  options.curves = config.curves;
  options.example_before = config.example_before;
  options.example_after = config.example_after;
  if (config.example_before.empty() && config.example_after.empty() && has_method(plan, "sft") &&
      has_method(plan, "grpo")) {
    options.example_before = "sft";
    options.example_after = "grpo";
  }
  options.num_examples = config.num_examples;
  options.samples_per_task = config.evaluation.samples_per_task;
  options.seed = config.seed;
  options.scoring = summarise_scoring(plan.tasks, plan.scoring, config.workbench.runner.scorer);
  options.settings = args.config;
  options.contamination_sources = config.contamination;
  options.families = load_families(config.tasks);
  options.page_folder = kTaskPages;
  return options;
}

/// What would otherwise be found wrong only after the first runs, or after the last.
void check_before_start(const EvaluateConfig& config, const EvaluationPlan& plan,
                        const ProgramArgs& args, const TextModel* worker,
                        const EvaluateModels& models) {
  make_report(plan.methods, plan.tasks, {}, report_options(config, plan, args, worker));
  for (const Method& method : plan.methods) {
    const bool fixed_file = method.kind == MethodKind::kFixed && !method.source.empty();
    if (fixed_file) read_file(method.source);
    const bool written = method.kind == MethodKind::kMeta || method.kind == MethodKind::kHybrid;
    if (written) models.weights(method);
  }
}

/// results.jsonl of one process: rows are appended as runs end, their traces before them, and at
/// last put in order, behind those of earlier processes.
class RowLog {
 public:
  explicit RowLog(const RunDir& run)
      : path_(run.file("results.jsonl")),
        before_(fs::exists(path_) ? read_file(path_) : ""),
        log_(path_, /*append=*/true),
        traces_(run.file("traces.jsonl")) {}

  void append(const ResultRow& row, const Json& trace) {
    traces_.write(row, trace);
    log_.write(to_json(row));
    own_.insert(key(row));
  }

  void put_in_order(const std::vector<ResultRow>& rows) const {
    std::string lines = before_;
    for (const ResultRow& row : rows) {
      if (own_.contains(key(row))) lines += dump_json(to_json(row)) + "\n";
    }
    write_file_atomically(path_, lines);
  }

 private:
  using Key = std::tuple<std::string, std::string, int>;
  static Key key(const ResultRow& row) { return {row.method, row.task, row.sample}; }

  const fs::path path_;
  const std::string before_;
  JsonlWriter log_;
  TraceWriter traces_;
  std::set<Key> own_;
};

void write_reports(const RunDir& run, const EvaluationPlan& plan,
                   const std::vector<ResultRow>& rows, const Json& report) {
  write_task_pages(run.file(kTaskPages), plan.tasks, rows, TraceReader(run.file("traces.jsonl")));
  write_file_atomically(run.file("report.html"), html_report(report));
  write_file_atomically(run.file("report.md"), markdown_report(report));
  write_file_atomically(run.file("report.tex"), latex_report(report));
  write_file_atomically(run.file("report.json"), dump_json_pretty(report));
}

}  // namespace

void EvaluateConfig::validate() const {
  evaluation.validate();
  bootstrap.validate();
  workbench.validate();
  require_at_least("max_tasks", max_tasks, 0);
  require_at_least("num_examples", num_examples, 0);
  if (compare.empty()) return;
  if (!tasks.empty()) throw InputError("tasks: expected none beside compare, which runs nothing");
  if (methods != EvaluateConfig{}.methods) {
    throw InputError("methods: expected none beside compare, which takes those of both runs");
  }
}

bool EvaluateConfig::needs_worker() const {
  return compare.empty() &&
         std::any_of(methods.begin(), methods.end(), [](const std::string& method) {
           return parse_method(method).kind != MethodKind::kSamples;
         });
}

void EvaluateConfig::check_start(StartCheck& check) const {
  if (!compare.empty()) {
    check.without_error([&] { run_comparison(compare, "", bootstrap); });
    if (!out.empty()) check.output_file("out", out);
    return;
  }
  const bool are_there = check.files("tasks", tasks);
  check.run_folder("out", out);
  std::vector<Method> parsed;
  check.without_error([&] { parsed = parse_methods(methods); });
  for (const Method& method : parsed) {
    const std::string key = "methods." + method.name;
    const bool is_file = method.kind == MethodKind::kFixed || method.kind == MethodKind::kSamples;
    const bool is_written = method.kind == MethodKind::kMeta || method.kind == MethodKind::kHybrid;
    if (is_file && !method.source.empty()) check.file(key, method.source);
    if (is_written) check.checkpoint_folder(key, method.source);
    if (!method.store.empty()) check.file(key, method.store);
  }
  for (const std::string& file : contamination) check.file("contamination", file);
  workbench.check_start(check, [&](Workbench& bench) {
    if (!are_there || parsed.empty()) return;
    const EvaluationPlan plan = make_plan(*this);
    bench.require_working(plan.tasks);
    check_final_tests(bench.judge(), plan);
  });
}

std::string run_compare(const EvaluateConfig& config, const ProgramArgs& args) {
  if (args.resume) throw InputError("--resume: expected without --compare, which runs nothing");
  return run_comparison(config.compare, config.out, config.bootstrap);
}

Json run_evaluate(const EvaluateConfig& config, const ProgramArgs& args,
                  const EvaluateModels& models) {
  for (const std::string& file : config.tasks) {
    if (file == "-") {
      throw InputError("tasks: expected a file, which is read twice, got standard input");
    }
  }
  if (config.out.empty()) throw InputError("out: expected a folder for the run, got nothing");
  EvaluationPlan plan = make_plan(config);
  TextModel* worker = config.needs_worker() ? &models.worker() : nullptr;
  check_before_start(config, plan, args, worker, models);
  Workbench bench(config.workbench);
  bench.require_working(plan.tasks);
  check_final_tests(bench.judge(), plan);
  load_plan_samples(config, bench, plan);
  const auto contaminated = find_contamination(plan.tasks, config.contamination);
  if (!contaminated.empty()) {
    log::warn("contamination: {} of {} tasks stand in the training texts, in part or as a whole",
              contaminated.size(), plan.tasks.size());
  }
  EvaluationOptions options = config.evaluation;
  options.seed = config.seed;
  const RunDir run(config.out, args.resume, args.config,
                   resume_rules(config, plan, args, models.run));
  const auto finished = load_finished_rows(run.file("results.jsonl"));
  RowLog row_log(run);

  const RunnerOptions& runner_options = config.workbench.runner;
  AnswerScorer scorer(bench.sandbox(), parse_scorer_choice(runner_options.scorer));
  ModelCaches caches(config.cache, args.config, models.run.inputs);
  std::optional<SandboxEnvironment> environment;
  if (worker) environment.emplace(bench, caches.worker(*worker), runner_options);
  auto backend = make_backend(
      {bench.meta_agent(), bench.judge(), scorer, environment ? &*environment : nullptr,
       answer_limits(runner_options), options.pool_min_similarity},
      plan.methods,
      [&](const Method& method) { return caches.weights(method, models.weights(method)); });
  backend.tokens = models.run.tokens;
  const auto rows =
      evaluate(plan, options, backend, finished,
               [&row_log](const ResultRow& row, const Json& trace) { row_log.append(row, trace); });
  ReportOptions shown = report_options(config, plan, args, worker);
  shown.contaminated = contaminated;
  Json report = make_report(plan.methods, plan.tasks, rows, shown);
  int64_t clock_decisions = 0;
  for (const ResultRow& row : rows) clock_decisions += row.clock_decisions;
  report["clock"] = report_clock(
      models.run.clock_reasons ? models.run.clock_reasons() : std::vector<std::string>(),
      clock_decisions);
  if (!config.cache.empty()) report["cache"] = caches.use();
  row_log.put_in_order(rows);
  write_reports(run, plan, rows, report);
  log::info("report in {0}/report.md, {0}/report.html, {0}/report.tex, {0}/report.json",
            config.out);
  require_scored_rows(plan.methods, rows);
  return report;
}

}  // namespace weft
