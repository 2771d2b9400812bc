/// Running a workflow on a task: the jailed process, the worker model, the budget, the score and
/// the reward joined once, for search, rollouts, evaluation and serving alike.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "data/outcome_kind.h"
#include "data/task.h"
#include "model/text_model.h"
#include "sandbox/jail/sandbox.h"
#include "sandbox/judge/judge.h"
#include "sandbox/trusted/tool_box.h"
#include "sandbox/workflow/workflow_process.h"
#include "workflow/answer_scorer.h"
#include "workflow/model_worker.h"
#include "workflow/reward.h"
#include "workflow/workflow.h"

namespace weft {

struct Outcome {
  using Kind = OutcomeKind;
  Kind kind = Kind::kInfrastructure;
  double pass_rate = 0;  ///< passed / declared tests, or the scorer's value; in [0, 1]
  int passed = 0, declared = 0;
  std::vector<bool> test_passed;      ///< of a judged answer, by test in the tests' order
  std::optional<double> exact_match;  ///< of a qa task, 0 or 1
  /// By RunnerOptions::reward; none of kInfrastructure, and where no val test or answer was scored.
  std::optional<RewardTerms> reward;
  std::string rule;                ///< by which an answer without tests was scored
  std::string answer;              ///< as scored: code is taken out of its fence
  std::string error;               ///< one short text for the three other kinds
  bool out_of_budget = false;      ///< kInfrastructure: the request's shared budget is spent
  bool own_reward_failed = false;  ///< kInfrastructure: the user's reward.file gave no reward
  WorkflowUsage usage;             ///< of every try
  WorkflowUsage last_usage;        ///< of the last try alone, the one that was scored
  Json trace = Json::array();
  int64_t wall_ms = 0;
};

struct RunRequest {
  const Workflow* workflow = nullptr;  ///< borrowed until the outcome is delivered
  const Task* task = nullptr;          ///< borrowed likewise
  uint64_t seed = 0;      ///< of the run and, by what they ask, of its calls: call_seed
  bool score_val = true;  ///< false: only the answer, pass_rate stays 0, no reward
  const std::vector<Json>* tests = nullptr;             ///< instead of val_tests; evaluation only
  std::shared_ptr<CallBudget> shared_budget = nullptr;  ///< WorkflowJob::shared_budget
  int64_t trace_text_bytes = 0;                         ///< WorkflowJob::trace_text_bytes
};

struct RunnerOptions {
  ModelWorkerOptions worker;
  WorkflowBudget budget;
  int max_concurrent = 64;      ///< workflows in flight
  int num_retries = 1;          ///< further runs after one that failed by infrastructure
  int64_t judge_cpu_ms = 2000;  ///< per test
  int64_t judge_memory_mb = 256;
  /// As parse_scorer_choice; a key of WorkbenchOptions.
  std::string scorer = to_string(Scorer::kOfficial);
  /// Of every scored, failed or invalid run; a key of its own beside the runner's. A fault in its
  /// file (own_reward.h) makes the outcome kInfrastructure.
  RewardOptions reward;
  ToolOptions tools;  ///< of every workflow; a key of its own beside the runner's

  template <class V>
  void visit(V& v) {
    v("worker", worker, "the worker's sampling");
    v("max_calls", budget.max_calls, "call_llm calls of one workflow");
    v("max_responses_per_call", budget.max_responses_per_call, "num_of_response of one call");
    v("max_worker_tokens", budget.max_tokens, "worker tokens of one workflow, prompts included");
    v("max_usd", budget.max_usd, "money of one workflow");
    v("max_exec", budget.max_exec, "exec_code calls of one workflow");
    v("wall_ms", budget.wall_ms, "time of one workflow, worker included");
    v("cpu_ms", budget.cpu_ms, "CPU time of one workflow's own process");
    v("memory_mb", budget.memory_mb, "memory of one workflow's own process");
    v("max_concurrent", max_concurrent, "workflows in flight");
    v("num_retries", num_retries, "further runs after one that failed by infrastructure");
    v("judge_cpu_ms", judge_cpu_ms, "CPU time of one test of the answer");
    v("judge_memory_mb", judge_memory_mb, "memory for the tests of the answer");
  }
  void validate() const;  ///< throws InputError
};

/// How an answer to a code task is run: by its checker where it has one, as a program where the
/// tests have an "input", else by calls of its entry point.
Mode answer_mode(const Task& task, const std::vector<Json>& tests);

/// An answer to a code task, after the task's setup, with the tests it is to pass, which must not
/// be empty.
JudgeRequest judge_request(const Task& task, std::string answer, const std::vector<Json>& tests,
                           const Limits& limits = {});

/// Limits of one test of an answer.
Limits answer_limits(const RunnerOptions& options);

/// Fills an outcome's score from the verdict on its answer; kInfrastructure where the judge failed.
void add_verdict(Outcome& outcome, const Verdict& verdict);

/// The same of an answer without tests.
void add_verdict(Outcome& outcome, const AnswerVerdict& verdict);

void add_usage(WorkflowUsage& total, const WorkflowUsage& usage);

/// {"calls","execs","prompt_tokens","completion_tokens","usd","clock_decisions"}, and "tool_calls"
/// where there were any, as stores and rollouts hold it.
Json usage_to_json(const WorkflowUsage& usage);

/// ToolBox::text() of the options' file; empty without one. Throws InputError as ToolBox does.
std::string list_tools(Sandbox& sandbox, const ToolOptions& options);

/// Runs workflows. Thread-safe; borrows sandbox, judge and model, which must outlive it. The
/// destructor is a stop().
class WorkflowRunner {
 public:
  /// Throws InputError where the file of scorer, reward or tools cannot be read, or offers no tool.
  WorkflowRunner(Sandbox& sandbox, Judge& judge, TextModel& worker, RunnerOptions options = {});
  ~WorkflowRunner();

  /// Returns at once; `done` is called exactly once, on a thread of the sandbox or the runner (on
  /// the caller's for a workflow that is not valid, without a reward.file), and must not block. A
  /// code task is scored by the judge on its val tests (or request.tests); math, qa and choice by
  /// data/scorers. A workflow that is not valid is not run: kWorkflowError at once.
  void submit(RunRequest request, std::function<void(Outcome)> done);

  /// Ends the runs in flight, and each that is submitted later, as kInfrastructure; waits until
  /// those in flight are delivered.
  void stop();

  Outcome run(RunRequest request);
  /// Outcomes in the order of the requests.
  std::vector<Outcome> run_all(const std::vector<RunRequest>& requests);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

/// The longest fenced block of the text when it has one (as a workflow's `extract_code`), else the
/// text: how an answer to a code task is read.
std::string code_of_answer(const std::string& answer);

}  // namespace weft
