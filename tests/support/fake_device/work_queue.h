/// What one stream has to do, in its order, on a thread of its own.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>

namespace weft::test::fake {

/// Lives as long as the process: its thread is never joined.
class WorkQueue {
 public:
  WorkQueue();
  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;

  /// Adds a work; gives its place, from 1.
  uint64_t push(std::function<void()> run);

  /// Adds a place without a work: the caller takes that turn itself, and soon, since all behind it
  /// wait.
  uint64_t reserve();
  /// Runs `run` on the calling thread once everything before `place` is done. What it throws goes
  /// to the caller.
  void take_turn(uint64_t place, const std::function<void()>& run);

  void wait_for(uint64_t place);
  bool is_done(uint64_t place);
  /// Throws what a work has thrown since the last call.
  void rethrow();

 private:
  struct Task {
    uint64_t place;
    std::function<void()> run;
  };
  void work();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Task> tasks_;
  uint64_t given_ = 0, done_ = 0;
  std::exception_ptr failure_;
};

}  // namespace weft::test::fake
