/// Runs workflows, Python written by a model, each in a jailed process of its own.
///
/// A workflow defines `class Workflow` with `__init__(self, name, llm_config, dataset)` and
/// `async __call__(self, problem[, entry_point]) -> (answer, cost)`; a bare answer is accepted.
/// Globals, also importable from module `weft`: `create_llm_instance`, `exec_code`, `extract_code`,
/// `DatasetType`, and the names of `typing`. Source: arXiv BayesFlow, appendix G and H.
///
/// `call_llm`, `exec_code` and the functions of a ToolBox are requests to this process, which alone
/// holds the budgets. Replies of the worker reach a workflow in the order of its calls, whichever
/// comes first, and a call's seed is of what it asks: what a workflow does is then a function of
/// (job, replies), whatever else runs beside it. The price: a later call's reply waits for an
/// earlier one's.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "sandbox/jail/sandbox.h"
#include "sandbox/judge/judge.h"
#include "sandbox/trusted/tool_box.h"
#include "sandbox/workflow/worker.h"

namespace weft {

/// Exceeding any of these ends the workflow with Status::kLimit. Before a call could exceed
/// max_tokens or max_usd it waits for those under way, and is then lowered to what is left: shorter
/// responses first, then fewer.
struct WorkflowBudget {
  int max_calls = 32;               ///< call_llm requests
  int max_responses_per_call = 16;  ///< num_of_response of one request
  int64_t max_tokens = 200000;      ///< prompt and completion tokens together
  double max_usd = 1e9;
  /// Start to answer, waiting for the worker included. Where it binds, results depend on how busy
  /// the machine is. When it ends while one call has gone unanswered for more than half of it, the
  /// worker hangs: kInfrastructure, not kLimit.
  int64_t wall_ms = 600000;
  int64_t cpu_ms = 4000;    ///< of the workflow's own Python
  int64_t memory_mb = 64;   ///< beyond the interpreter's own
  int max_exec = 64;        ///< exec_code requests
  int max_tool_calls = 32;  ///< calls of WorkflowJob::tools
};

struct WorkflowJob {
  std::string code;
  std::string problem;
  std::string entry_point;         ///< empty: only for a `__call__` that cannot do without
  std::string setup;               ///< Python that exec_code runs before a solution
  std::string checker;             ///< that judges a solution on the public tests; may be empty
  std::string dataset;             ///< passed as DatasetType
  std::vector<Json> public_tests;  ///< what exec_code runs; none: see exec_request
  TaskFiles files;                 ///< of exec_code's jobs
  std::shared_ptr<const ToolBox> tools;  ///< further functions of the workflow; null: none
  WorkflowBudget budget;
  uint64_t seed = 0;  ///< of `random` in the workflow; calls' seeds are derived, see call_seed
  /// Shared with other workflows; null: none. A call that it has no room for waits, and where
  /// waiting would not help ends the workflow as kInfrastructure with out_of_budget. It is never
  /// lowered to what is left: that would be held against the workflow.
  std::shared_ptr<CallBudget> shared_budget;
  int64_t trace_text_bytes = 0;  ///< of prompts, code and replies that the trace keeps; 0: none
};

struct WorkflowUsage {
  int calls = 0;
  int execs = 0;
  int tool_calls = 0;
  int64_t prompt_tokens = 0;
  int64_t completion_tokens = 0;
  double usd = 0;
  /// What the clock had a say in and another run may see otherwise: limits of time that bound (of
  /// the workflow, an exec_code, a test of the answer) and calls that its end cut short.
  int clock_decisions = 0;
};

struct WorkflowResult {
  enum class Status {
    kAnswered,
    kWorkflowError,   ///< the workflow's own fault: exception, crash, no plain answer
    kLimit,           ///< a budget of WorkflowBudget
    kInfrastructure,  ///< the sandbox's or the worker's fault; never a reward
  };
  Status status = Status::kInfrastructure;
  std::string answer;
  std::string error;           ///< bounded text: type, message, line of the workflow
  bool out_of_budget = false;  ///< kInfrastructure because WorkflowJob::shared_budget is spent
  WorkflowUsage usage;
  /// Array of {"kind":"call_llm","role","responses","prompt_tokens","completion_tokens","ms"}, with
  /// "lowered": true where the budget shortened it, and
  /// {"kind":"exec_code","passed","declared","verdict","ms"}, and
  /// {"kind":"call_tool","name","arguments","result" or "fault","ms"} with shortened texts. With
  /// trace_text_bytes also "instructions", "prompt" (the messages, a blank line between them),
  /// "texts" (the replies) or "error", and "code", with "cut": true from where the bytes were used
  /// up.
  Json trace = Json::array();
  int64_t cpu_ms = 0;
  int64_t wall_ms = 0;
  std::string tier;  ///< of the sandbox, as in Verdict
};

/// Seed of the worker for a call of a job with `seed`: of all that the call asks, and of how many
/// equal calls the workflow has made before, but not of its place among others.
uint64_t call_seed(uint64_t seed, const WorkerRequest& request, int num_equal_before);

/// One event-loop thread serves all workflows; a waiting workflow costs no thread. Thread-safe.
class WorkflowHost {
 public:
  /// `sandbox`, `judge` and `worker` are borrowed and must outlive the host. Further jobs than
  /// `max_concurrent` wait in order, and so do those whose budgets of memory, taken together,
  /// exceed `memory_mb`; 0 stands for three quarters of the machine's. A job that exceeds it alone
  /// ends as kInfrastructure.
  WorkflowHost(Sandbox& sandbox, Judge& judge, Worker& worker, int max_concurrent = 64,
               int64_t memory_mb = 0);

  /// Ends running workflows as kInfrastructure, cancels their calls and waits for their replies.
  ~WorkflowHost();
  WorkflowHost(const WorkflowHost&) = delete;
  WorkflowHost& operator=(const WorkflowHost&) = delete;

  /// `done` is called exactly once, on the host's thread, and must not block.
  void start(WorkflowJob job, std::function<void(WorkflowResult)> done);

  /// Blocks. Not to be called from `done`.
  WorkflowResult run(WorkflowJob job);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace weft
