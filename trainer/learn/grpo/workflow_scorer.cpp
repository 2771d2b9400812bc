#include "trainer/learn/grpo/workflow_scorer.h"

#include <memory>
#include <utility>

#include "base/error.h"

namespace weft {
namespace {

ScoredRollout score(const Outcome& outcome, const Workflow& workflow) {
  ScoredRollout result;
  result.valid = workflow.valid;
  result.outcome = outcome_name(outcome.kind);
  result.worker_calls = outcome.usage.calls;
  result.worker_tokens = outcome.usage.prompt_tokens + outcome.usage.completion_tokens;
  result.usage = usage_to_json(outcome.usage);
  result.infra_error = outcome.kind == Outcome::Kind::kInfrastructure;
  result.lost_for_good = outcome.own_reward_failed;
  result.problem = workflow.valid || result.infra_error ? outcome.error : workflow.problem;
  if (outcome.reward) result.reward = *outcome.reward;
  return result;
}

ScoredRollout infrastructure_error(const std::string& problem) {
  ScoredRollout result;
  result.problem = problem;
  result.infra_error = true;
  result.outcome = outcome_name(Outcome::Kind::kInfrastructure);
  return result;
}

}  // namespace

WorkflowScorer::WorkflowScorer(const MetaAgent& meta_agent, WorkflowRunner& runner)
    : meta_agent_(meta_agent), runner_(runner), thread_([this] { work(); }) {}

WorkflowScorer::~WorkflowScorer() {
  {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [this] { return queue_.empty() && in_flight_ == 0; });
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

decltype(TextRequest::prompt) WorkflowScorer::prompt(const Task& task) const {
  return meta_agent_.prompt(task);
}

void WorkflowScorer::submit(const Task& task, std::string completion, uint64_t seed,
                            std::function<void(ScoredRollout)> done) {
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back({&task, std::move(completion), seed, std::move(done)});
  }
  wake_.notify_all();
}

void WorkflowScorer::stop() { runner_.stop(); }

void WorkflowScorer::work() {
  for (;;) {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) return;
    Job job = std::move(queue_.front());
    queue_.pop_front();
    ++in_flight_;
    lock.unlock();
    start(std::move(job));
  }
}

void WorkflowScorer::start(Job job) {
  auto workflow = std::make_shared<Workflow>();
  try {
    *workflow = meta_agent_.parse(job.completion);
  } catch (const Error& error) {
    job.done(infrastructure_error(std::string("static check: ") + error.what()));
    finish();
    return;
  }
  RunRequest request;
  request.workflow = workflow.get();
  request.task = job.task;
  request.seed = job.seed;
  runner_.submit(request, [this, workflow, done = std::move(job.done)](Outcome outcome) {
    done(score(outcome, *workflow));
    finish();
  });
}

void WorkflowScorer::finish() {
  const std::lock_guard lock(mutex_);
  --in_flight_;
  wake_.notify_all();
}

}  // namespace weft
