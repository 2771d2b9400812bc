#include "workflow/run_workflow.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "base/machine.h"
#include "data/regex.h"
#include "data/task_tests.h"
#include "sandbox/trusted/trusted_queue.h"
#include "workflow/own_reward.h"

namespace weft {
namespace {

using Clock = std::chrono::steady_clock;

struct Run {
  RunRequest request;
  std::function<void(Outcome)> done;
  Outcome outcome;
  int tries = 0;
  Clock::time_point start = Clock::now();
};

bool is_blank(const std::string& text) {
  return text.find_first_not_of(" \t\r\n") == std::string::npos;
}

WorkflowJob job_of(const RunRequest& request, const WorkflowBudget& budget) {
  WorkflowJob job;
  job.code = request.workflow->code;
  job.problem = request.task->prompt;
  job.entry_point = request.task->entry_point;
  job.setup = request.task->setup;
  job.checker = request.task->checker;
  job.dataset = request.task->dataset;
  job.public_tests = request.task->public_tests;
  job.files = request.task->files;
  job.budget = budget;
  job.seed = request.seed;
  job.shared_budget = request.shared_budget;
  job.trace_text_bytes = request.trace_text_bytes;
  return job;
}

Outcome::Kind kind_of(WorkflowResult::Status status) {
  switch (status) {
    case WorkflowResult::Status::kAnswered:
      return Outcome::Kind::kScored;
    case WorkflowResult::Status::kWorkflowError:
      return Outcome::Kind::kWorkflowError;
    case WorkflowResult::Status::kLimit:
      return Outcome::Kind::kLimit;
    case WorkflowResult::Status::kInfrastructure:
      break;
  }
  return Outcome::Kind::kInfrastructure;
}

}  // namespace

void add_usage(WorkflowUsage& total, const WorkflowUsage& usage) {
  total.calls += usage.calls;
  total.execs += usage.execs;
  total.tool_calls += usage.tool_calls;
  total.prompt_tokens += usage.prompt_tokens;
  total.completion_tokens += usage.completion_tokens;
  total.usd += usage.usd;
  total.clock_decisions += usage.clock_decisions;
}

Json usage_to_json(const WorkflowUsage& usage) {
  Json json = {{"calls", usage.calls},
               {"execs", usage.execs},
               {"prompt_tokens", usage.prompt_tokens},
               {"completion_tokens", usage.completion_tokens},
               {"usd", usage.usd},
               {"clock_decisions", usage.clock_decisions}};
  if (usage.tool_calls > 0) json["tool_calls"] = usage.tool_calls;
  return json;
}

Mode answer_mode(const Task& task, const std::vector<Json>& tests) {
  if (!task.checker.empty()) return Mode::kJudge;
  return are_stdio_tests(tests) ? Mode::kStdio : Mode::kCall;
}

JudgeRequest judge_request(const Task& task, std::string answer, const std::vector<Json>& tests,
                           const Limits& limits) {
  WEFT_ASSERT(!tests.empty());
  JudgeRequest request;
  request.code = std::move(answer);
  request.entry_point = task.entry_point;
  request.setup = task.setup;
  request.checker = task.checker;
  request.files = task.files;
  request.mode = answer_mode(task, tests);
  request.tests = tests;
  request.limits = limits;
  return request;
}

Limits answer_limits(const RunnerOptions& options) {
  Limits limits;
  limits.cpu_ms = options.judge_cpu_ms;
  limits.memory_mb = options.judge_memory_mb;
  return limits;
}

void add_verdict(Outcome& outcome, const Verdict& verdict) {
  outcome.passed = verdict.passed;
  outcome.declared = verdict.declared;
  outcome.pass_rate = verdict.pass_rate();
  outcome.usage.clock_decisions += verdict.met_time_limit();
  for (const auto& test : verdict.tests) {
    outcome.test_passed.push_back(test.verdict == TestVerdict::kPass);
  }
  if (!verdict.infra) return;
  outcome.kind = Outcome::Kind::kInfrastructure;
  outcome.pass_rate = 0;
  outcome.error = "the judge failed";
  for (const auto& test : verdict.tests) {
    if (test.verdict == TestVerdict::kInfra) outcome.error = "judge: " + test.detail;
  }
}

void add_verdict(Outcome& outcome, const AnswerVerdict& verdict) {
  outcome.declared = 1;
  outcome.passed = verdict.score >= 1 ? 1 : 0;
  outcome.pass_rate = verdict.score;
  outcome.exact_match = verdict.exact_match;
  outcome.rule = verdict.rule;
  outcome.usage.clock_decisions += verdict.met_limit;
  if (verdict.infra.empty()) return;
  outcome.kind = Outcome::Kind::kInfrastructure;
  outcome.pass_rate = 0;
  outcome.error = "the scorer: " + verdict.infra;
}

std::string list_tools(Sandbox& sandbox, const ToolOptions& options) {
  return options.file.empty() ? "" : ToolBox(sandbox, options).text();
}

std::string code_of_answer(const std::string& answer) {
  static const Regex kBlock(R"((?s)```[ \t]*+[\w+-]*+[ \t]*+\r?\n(.*?)(?:```|\z))");
  const auto blocks = kBlock.find_groups(answer, 1);
  if (blocks.empty()) return answer;
  return *std::max_element(
      blocks.begin(), blocks.end(),
      [](const std::string& a, const std::string& b) { return a.size() < b.size(); });
}

void RunnerOptions::validate() const {
  require_at_least("max_calls", budget.max_calls, 1);
  require_at_least("max_responses_per_call", budget.max_responses_per_call, 1);
  require_at_least("max_worker_tokens", budget.max_tokens, 1);
  require_at_least("max_exec", budget.max_exec, 1);
  require_at_least("wall_ms", budget.wall_ms, 1);
  require_at_least("cpu_ms", budget.cpu_ms, 1);
  require_at_least("memory_mb", budget.memory_mb, 1);
  require_memory_mb("memory_mb", budget.memory_mb);
  require_concurrent("max_concurrent", max_concurrent);
  require_at_least("num_retries", num_retries, 0);
  require_at_least("judge_cpu_ms", judge_cpu_ms, 1);
  require_at_least("judge_memory_mb", judge_memory_mb, 1);
  require_memory_mb("judge_memory_mb", judge_memory_mb);
}

class WorkflowRunner::Impl {
 public:
  Impl(Sandbox& sandbox, Judge& judge, TextModel& model, RunnerOptions options)
      : judge_(judge), options_(std::move(options)), worker_(model, options_.worker) {
    options_.validate();
    options_.reward.validate();
    scorer_.emplace(sandbox, parse_scorer_choice(options_.scorer));
    if (!options_.reward.file.empty()) {
      own_reward_.emplace(sandbox, options_.reward.file);
      rewards_.emplace(static_cast<size_t>(sandbox.options().num_slots));
    }
    if (!options_.tools.file.empty()) {
      tools_ = std::make_shared<const ToolBox>(sandbox, options_.tools);
    }
    host_.emplace(sandbox, judge, worker_, options_.max_concurrent);
  }

  ~Impl() { stop(); }

  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_->store(true);
    }
    host_.reset();
    std::unique_lock lock(mutex_);
    idle_.wait(lock, [this] { return in_flight_ == 0; });
  }

  void submit(RunRequest request, std::function<void(Outcome)> done) {
    WEFT_ASSERT(request.workflow && request.task);
    auto run = std::make_shared<Run>();
    run->request = request;
    run->done = std::move(done);
    {
      const std::lock_guard lock(mutex_);
      ++in_flight_;
    }
    if (!request.workflow->valid) {
      run->outcome.kind = Outcome::Kind::kWorkflowError;
      run->outcome.error = "not valid: " + request.workflow->problem;
      finish(run);
      return;
    }
    {
      const std::lock_guard lock(mutex_);  // keeps stop() away from the host
      if (!stopping_->load()) return start(run);
    }
    give_up(run);
  }

 private:
  void start(const std::shared_ptr<Run>& run) {
    ++run->tries;
    WorkflowJob job = job_of(run->request, options_.budget);
    job.tools = tools_;
    job.budget.max_tool_calls = options_.tools.max_calls;
    host_->start(std::move(job),
                 [this, run](WorkflowResult result) { answered(run, std::move(result)); });
  }

  void answered(const std::shared_ptr<Run>& run, WorkflowResult result) {
    Outcome& outcome = run->outcome;
    add_usage(outcome.usage, result.usage);
    outcome.last_usage = result.usage;
    outcome.kind = kind_of(result.status);
    outcome.trace = std::move(result.trace);
    outcome.error = std::move(result.error);
    outcome.out_of_budget = result.out_of_budget;
    const bool may_retry = outcome.kind == Outcome::Kind::kInfrastructure && !result.out_of_budget;
    if (may_retry && run->tries <= options_.num_retries) {
      const std::lock_guard lock(mutex_);  // keeps stop() away from the host
      if (!stopping_->load()) return start(run);
    }
    if (outcome.kind != Outcome::Kind::kScored) return finish(run);
    const bool is_code = run->request.task->kind == TaskKind::kCode;
    outcome.answer = is_code ? code_of_answer(result.answer) : std::move(result.answer);
    if (is_blank(outcome.answer)) {
      outcome.kind = Outcome::Kind::kWorkflowError;
      outcome.error = "the workflow answered nothing";
      return finish(run);
    }
    if (run->request.score_val) return score(run);
    finish(run);
  }

  void score(const std::shared_ptr<Run>& run) {
    const Task& task = *run->request.task;
    if (task.kind != TaskKind::kCode) {
      return scorer_->submit(task, run->outcome.answer, [this, run](const AnswerVerdict& verdict) {
        add_verdict(run->outcome, verdict);
        finish(run);
      });
    }
    const auto& tests = run->request.tests ? *run->request.tests : task.val_tests;
    if (tests.empty()) return finish(run);
    JudgeRequest request = judge_request(task, run->outcome.answer, tests, answer_limits(options_));
    request.cancelled = stopping_;
    judge_.submit(std::move(request), [this, run](Verdict verdict) {
      if (stopping_->load()) return give_up(run);
      add_verdict(run->outcome, verdict);
      finish(run);
    });
  }

  void give_up(const std::shared_ptr<Run>& run) {
    run->outcome.kind = Outcome::Kind::kInfrastructure;
    run->outcome.error = "workflows are being stopped";
    finish(run);
  }

  void finish(const std::shared_ptr<Run>& run) {
    run->outcome.wall_ms =
        std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - run->start).count();
    const bool has_reward =
        run->request.score_val && run->outcome.kind != Outcome::Kind::kInfrastructure;
    if (!has_reward) return deliver(*run);
    if (!own_reward_) {
      add_reward(*run, std::nullopt);
      return deliver(*run);
    }
    rewards_->submit([this, run] {
      add_reward_with_own(*run);
      deliver(*run);
    });
  }

  void add_reward(Run& run, std::optional<double> own) const {
    run.outcome.reward = reward(run.outcome, *run.request.workflow, options_.reward, own);
  }

  void add_reward_with_own(Run& run) const {
    OwnReward::Reply reply;
    if (stopping_->load()) {
      reply.fault = "workflows are being stopped";
    } else {
      try {
        reply = own_reward_->call(*run.request.workflow, run.outcome, *run.request.task);
        run.outcome.own_reward_failed = !reply.value;
      } catch (const Error& error) {
        reply.fault = error.what();
      }
    }
    if (reply.value) return add_reward(run, reply.value);
    run.outcome.kind = Outcome::Kind::kInfrastructure;
    run.outcome.error = "the reward: " + reply.fault;
  }

  void deliver(Run& run) {
    run.done(std::move(run.outcome));
    const std::lock_guard lock(mutex_);
    if (--in_flight_ == 0) idle_.notify_all();
  }

  Judge& judge_;
  std::optional<AnswerScorer> scorer_;
  const RunnerOptions options_;
  ModelWorker worker_;
  std::mutex mutex_;
  std::condition_variable idle_;
  int in_flight_ = 0;
  const std::shared_ptr<std::atomic<bool>> stopping_ = std::make_shared<std::atomic<bool>>(false);
  std::shared_ptr<const ToolBox> tools_;
  std::optional<OwnReward> own_reward_;  // both or none
  std::optional<TrustedQueue> rewards_;
  std::optional<WorkflowHost> host_;
};

WorkflowRunner::WorkflowRunner(Sandbox& sandbox, Judge& judge, TextModel& worker,
                               RunnerOptions options)
    : impl_(std::make_unique<Impl>(sandbox, judge, worker, std::move(options))) {}

WorkflowRunner::~WorkflowRunner() = default;

void WorkflowRunner::stop() { impl_->stop(); }

void WorkflowRunner::submit(RunRequest request, std::function<void(Outcome)> done) {
  impl_->submit(request, std::move(done));
}

Outcome WorkflowRunner::run(RunRequest request) { return run_all({request}).front(); }

std::vector<Outcome> WorkflowRunner::run_all(const std::vector<RunRequest>& requests) {
  std::vector<std::promise<Outcome>> promises(requests.size());
  for (size_t i = 0; i < requests.size(); ++i) {
    submit(requests[i],
           [&promise = promises[i]](Outcome outcome) { promise.set_value(std::move(outcome)); });
  }
  std::vector<Outcome> outcomes;
  outcomes.reserve(requests.size());
  for (auto& promise : promises) outcomes.push_back(promise.get_future().get());
  return outcomes;
}

}  // namespace weft
