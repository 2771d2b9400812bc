/// The program `evaluate` up to the opening of models: config, sandbox, run directory, reports.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/config.h"
#include "base/program.h"
#include "base/run_inputs.h"
#include "base/start_check.h"
#include "trainer/evaluate/evaluation.h"
#include "trainer/evaluate/statistics.h"
#include "workflow/workbench.h"

namespace weft {

/// Config of evaluate but for its models.
struct EvaluateConfig {
  std::vector<std::string> tasks;  ///< files
  std::string out;
  uint64_t seed = 0;
  std::vector<std::string> methods = {"io", "io_greedy", "cot", "cot_sc"};
  std::vector<std::string> compare;  ///< two run folders, in place of a run (compare.h)
  int64_t max_tasks = 0;             ///< the first so many; 0: all
  EvaluationOptions evaluation;
  BootstrapOptions bootstrap;
  std::string cache;  ///< folder of kept replies (cached_model.h); empty: none
  std::string title = "Evaluation";
  std::vector<std::string> curves;
  std::vector<std::string> contamination;
  std::string example_before;  ///< both empty: sft and grpo where the run has both
  std::string example_after;
  int num_examples = 3;
  WorkbenchOptions workbench;
  ResumeOptions resume;

  template <class V>
  void visit(V& v) {
    v("tasks", tasks, "task file, JSON lines, or a list of them");
    v("out", out, "folder of the run; with compare, JSON file or nothing");
    v("seed", seed, "of workflows, runs, controls and examples");
    v("methods", methods,
      "io, io_greedy, cot, cot_greedy, cot_sc, workflow:FILE, meta:DIR, hybrid:STORE,DIR, "
      "shuffled:NAME, samples:FILE; NAME= before it");
    v("compare", compare,
      "two folders of finished runs, which are set side by side; nothing is run");
    v("max_tasks", max_tasks, "only the first so many tasks; 0: all");
    evaluation.visit(v);
    v("bootstrap", bootstrap, "the intervals");
    v("cache", cache, "folder where replies of models are kept and looked up; empty: none");
    v("title", title, "heading of the report");
    v("curves", curves, "metrics.jsonl of training runs, NAME= before it");
    v("contamination", contamination,
      "training texts, JSON lines or trajectory stores, that the tasks' prompts are looked up in");
    v("example_before", example_before, "meta method whose workflows are shown on the left");
    v("example_after", example_after, "and on the right; both empty: sft and grpo");
    v("num_examples", num_examples, "queries whose workflows are shown");
    workbench.visit(v);
    v("resume", resume, "what may differ when a run goes on");
  }
  void validate() const;  ///< throws InputError
  void check_start(StartCheck& check) const;
  bool needs_worker() const;  ///< some method runs workflows
};

/// The models of an evaluation. Each function is called on the calling thread, and only where a
/// method asks for what it opens: an evaluation of samples alone loads no weights.
struct EvaluateModels {
  std::function<TextModel&()> worker;               ///< answers the calls of every method
  std::function<MetaModel(const Method&)> weights;  ///< of meta and hybrid methods
  RunModels run;                                    ///< what the run is to know of them
};

/// The program under `compare`: run_comparison of its folders. Throws InputError also for --resume.
std::string run_compare(const EvaluateConfig& config, const ProgramArgs& args);

/// Runs the program into its run directory: results.jsonl, traces.jsonl, report.json, report.md,
/// report.tex, report.html and a page for each task in report_tasks/. Returns the report; when a
/// method was not evaluated (failures.h), throws Error once it is written. With args.resume it goes
/// on from results.jsonl, which grows as runs end and is at last put in the order of methods, tasks
/// and samples, behind the rows of earlier processes. Throws InputError, Error, Interrupted; what
/// was finished is kept.
Json run_evaluate(const EvaluateConfig& config, const ProgramArgs& args,
                  const EvaluateModels& models);

}  // namespace weft
