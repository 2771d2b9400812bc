/// Completions run as they come, beside the model that still writes others.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "workflow/environment.h"

namespace weft {

/// Parses on a thread of its own, so that a caller, such as a model's callback, never waits for a
/// check. Borrows the environment; the destructor waits for what was submitted. Thread-safe.
class RoundRunner {
 public:
  explicit RoundRunner(WorkflowEnvironment& environment);
  ~RoundRunner();
  RoundRunner(const RoundRunner&) = delete;
  RoundRunner& operator=(const RoundRunner&) = delete;

  const WorkflowEnvironment& environment() const { return environment_; }

  /// Returns at once; `done` is called exactly once, on another thread, and must not block. `task`
  /// is borrowed until then. `seed` is of the run: RunRequest::seed. Where the check itself fails
  /// the outcome is kInfrastructure.
  void submit(const Task& task, std::string completion, uint64_t seed,
              std::function<void(WorkflowRound)> done);

  /// The environment's.
  void stop() { environment_.stop(); }

 private:
  struct Job {
    const Task* task;
    std::string completion;
    uint64_t seed;
    std::function<void(WorkflowRound)> done;
  };
  void work();
  void start(Job job);
  void finish();

  WorkflowEnvironment& environment_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job> queue_;
  int64_t in_flight_ = 0;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace weft
