/// Threads that wait for trusted calls, so that those who ask need not.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace weft {

/// Thread-safe.
class TrustedQueue {
 public:
  /// `most_threads`: as many as the sandbox has slots; each is made when there is work for it.
  explicit TrustedQueue(size_t most_threads) : most_threads_(most_threads) {}
  /// Waits for what was submitted.
  ~TrustedQueue();
  TrustedQueue(const TrustedQueue&) = delete;
  TrustedQueue& operator=(const TrustedQueue&) = delete;

  /// Returns at once; `work` is called exactly once, on a thread of the queue, and must not throw.
  void submit(std::function<void()> work);

 private:
  void run();

  const size_t most_threads_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> waiting_;
  std::vector<std::thread> threads_;
  size_t idle_ = 0;
  bool ending_ = false;
};

}  // namespace weft
