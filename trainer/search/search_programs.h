/// sample_workflows and collect_traces up to the opening of models: configs, sandbox, run
/// directory.
#pragma once

#include <string>
#include <vector>

#include "base/config.h"
#include "base/program.h"
#include "base/run_inputs.h"
#include "base/start_check.h"
#include "trainer/search/collect_traces.h"
#include "trainer/search/sample_workflows.h"
#include "trainer/search/trace_export.h"
#include "workflow/workbench.h"

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

/// What both programs' configs have in common.
struct SearchProgramConfig {
  std::vector<std::string> tasks;  ///< files
  std::string out;
  WorkbenchOptions workbench;
  ResumeOptions resume;

  template <class V>
  void visit(V& v) {
    v("tasks", tasks, "task file, JSON lines, or a list of them");
    v("out", out, "folder of the run");
    workbench.visit(v);
    v("reward", workbench.runner.reward, "weights of the reward's terms");
    v("resume", resume, "what may differ when a run goes on");
  }
  void check_start(StartCheck& check) const;
  bool needs_worker() const { return true; }
};

/// Config of sample_workflows but for its models.
struct SampleWorkflowsConfig : SearchProgramConfig {
  SampleOptions sample;
  GeneratorOptions generator;

  template <class V>
  void visit(V& v) {
    SearchProgramConfig::visit(v);
    sample.visit(v);
    v("generator", generator, "who writes workflows");
  }
  void validate() const;
};

/// Config of collect_traces but for its models.
struct CollectTracesConfig : SearchProgramConfig {
  TraceOptions trace;
  GeneratorOptions teacher;
  std::string from;
  TraceFilter filter;
  TraceExportOptions trace_export;

  template <class V>
  void visit(V& v) {
    SearchProgramConfig::visit(v);
    trace.visit(v);
    v("teacher", teacher, "who writes workflows");
    v("from", from, "store whose workflows are exported, and no model is asked");
    v("filter", filter, "which workflows are exported");
    v("export", trace_export, "the form in which they are");
  }
  void validate() const;
  void check_start(StartCheck& check) const;
  bool needs_worker() const { return from.empty(); }
};

/// Runs the program into its run directory: store.sqlite, report.json, best_workflow.py.
/// `generator` is used with kind "model" only and may be null otherwise; then it is an InputError.
/// Models are borrowed; `models` says what the run is to know of them. Throws as sample_workflows.
Json run_sample_workflows(const SampleWorkflowsConfig& config, const ProgramArgs& args,
                          TextModel* generator, TextModel& worker, const RunModels& models = {});

/// Likewise; leaves store.sqlite, report.json with "export" as of export_traces, and what that
/// writes. `count_tokens` is used where `config.filter` counts them and may be empty otherwise.
Json run_collect_traces(const CollectTracesConfig& config, const ProgramArgs& args,
                        TextModel* teacher, TextModel& worker, const RunModels& models = {},
                        const TokenCounter& count_tokens = {});

/// The same program where `config.from` names a store: leaves report.json {"from", "export"} and
/// what export_traces writes.
Json run_export_traces(const CollectTracesConfig& config, const ProgramArgs& args,
                       const TokenCounter& count_tokens = {});

}  // namespace weft
