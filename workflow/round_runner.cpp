#include "workflow/round_runner.h"

#include <memory>
#include <utility>

#include "base/error.h"

namespace weft {

RoundRunner::RoundRunner(WorkflowEnvironment& environment)
    : environment_(environment), thread_([this] { work(); }) {}

RoundRunner::~RoundRunner() {
  {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [this] { return queue_.empty() && in_flight_ == 0; });
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void RoundRunner::submit(const Task& task, std::string completion, uint64_t seed,
                         std::function<void(WorkflowRound)> done) {
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back({&task, std::move(completion), seed, std::move(done)});
  }
  wake_.notify_all();
}

void RoundRunner::work() {
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

void RoundRunner::start(Job job) {
  const auto round = std::make_shared<WorkflowRound>();
  try {
    round->workflow = environment_.parse(job.completion);
  } catch (const Error& error) {
    round->outcome.error = std::string("static check: ") + error.what();
    job.done(std::move(*round));
    finish();
    return;
  }
  RunRequest request;
  request.workflow = &round->workflow;
  request.task = job.task;
  request.seed = job.seed;
  environment_.run(request, [this, round, done = std::move(job.done)](Outcome outcome) {
    round->outcome = std::move(outcome);
    done(std::move(*round));
    finish();
  });
}

void RoundRunner::finish() {
  const std::lock_guard lock(mutex_);
  --in_flight_;
  wake_.notify_all();
}

}  // namespace weft
