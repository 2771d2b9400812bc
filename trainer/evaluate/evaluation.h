/// Runs every method on every task and scores the answers on tests kept for that.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/config.h"
#include "data/task.h"
#include "trainer/evaluate/backend.h"
#include "trainer/evaluate/method_budgets.h"
#include "trainer/evaluate/methods.h"
#include "trainer/evaluate/results.h"
#include "trainer/evaluate/samples.h"
#include "trainer/evaluate/scoring.h"
#include "workflow/baselines.h"
#include "workflow/pool.h"

namespace weft {

struct EvaluationOptions {
  uint64_t seed = 0;
  int samples_per_task = 1;  ///< per method; averaged within a task before anything else
  std::string score;         ///< as parse_score_rule
  double io_temperature = kBaselineTemperature;      ///< of io's call; io_greedy's is at 0
  double cot_temperature = kBaselineTemperature;     ///< of cot's call; cot_greedy's is at 0
  double cot_sc_temperature = kBaselineTemperature;  ///< > 0 where it draws more than one draft
  int cot_sc_samples = 5;
  double meta_temperature = 0.7;  ///< of the meta-agent's sampling; 0 writes one workflow a query
  double meta_top_p = 1.0;        ///< in (0, 1]
  int meta_max_tokens = 768;      ///< longest workflow with its reasoning
  double pool_min_similarity = kPoolMinSimilarity;  ///< hybrid: nearest stored query to be used
  MethodBudget budget;           ///< what is left out of it is missing data, tried again on resume
  int max_in_flight = 64;        ///< workflow runs handed to the runner at a time
  int64_t trace_bytes = 65'536;  ///< of prompts and replies that the trace of a run keeps; 0: none

  template <class V>
  void visit(V& v) {
    v("samples_per_task", samples_per_task, "runs of each method on each task");
    v("score", score,
      "code tasks: official, hidden or pass_rate; empty: official for a benchmark's, else hidden");
    v("io_temperature", io_temperature, "sampling of io; io_greedy's is 0");
    v("cot_temperature", cot_temperature, "sampling of cot; cot_greedy's is 0");
    v("cot_sc_temperature", cot_sc_temperature, "sampling of cot_sc's drafts");
    v("cot_sc_samples", cot_sc_samples, "drafts of cot_sc");
    v("meta_temperature", meta_temperature, "sampling of the meta-agents");
    v("meta_top_p", meta_top_p, "nucleus of the meta-agents");
    v("meta_max_tokens", meta_max_tokens, "most tokens of one written workflow");
    v("pool_min_similarity", pool_min_similarity, "hybrid: cosine from which the pool answers");
    v("budget", budget, "what each method may take for all of its runs");
    v("max_in_flight", max_in_flight, "workflows run at a time");
    v("trace_bytes", trace_bytes,
      "most bytes of prompts, code and replies in the trace of a run; 0: none");
  }
  void validate() const;  ///< throws InputError
};

/// Code of a kFixed method for tasks like this one. Throws InputError when its file cannot be read.
std::string fixed_workflow_code(const Method& method, const Task& task,
                                const EvaluationOptions& options);

/// Which tasks and methods, what scores the code tasks, and what the samples methods' files hold.
struct EvaluationPlan {
  std::vector<Task> tasks;
  std::map<std::string, TaskScoring> scoring;  ///< by task id
  std::vector<Method> methods;
  std::map<std::string, Samples> samples;  ///< by the name of a samples method
};

/// Takes a new row with its Outcome::trace.
using KeepRow = std::function<void(const ResultRow& row, const Json& trace)>;

/// Runs what `finished` does not hold and returns all rows, ordered by method, task, sample. New
/// rows are handed to `keep` as they come, infrastructure errors too. Everything is submitted
/// concurrently, so that a batching engine sees the runs of all methods at once. Run (task, sample)
/// has the same seed under every method. A samples method has one row for each of its answers,
/// others samples_per_task for each task.
///
/// `plan` and what `backend` borrows must outlive the runs in flight, also when this throws (the
/// destructor of the environment waits for them). Throws Interrupted after a signal; what was
/// finished by then has been kept.
std::vector<ResultRow> evaluate(const EvaluationPlan& plan, const EvaluationOptions& options,
                                const EvaluationBackend& backend,
                                const std::vector<ResultRow>& finished, const KeepRow& keep);

}  // namespace weft
