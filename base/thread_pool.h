/// Threads for loops of some microseconds: helpers that look for the next loop for a while before
/// they sleep, and a caller that never waits for one that has not begun. Where cores are shared
/// with other programs, a helper without a core therefore costs nothing; OpenMP's teams wait for
/// it.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace weft {

class ThreadPool {
 public:
  /// `threads` counts the one that calls run.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return static_cast<int>(helpers_.size()) + 1; }

  /// Calls f(i) for i in [0, n), n below 2^31, each thread taking the next i when it is free.
  /// Returns when all calls have returned and throws what the first failed one has thrown. One
  /// thread runs loops at a time, and f runs none.
  template <class F>
  void run(int64_t n, const F& f) {
    run_items(
        n, [](const void* g, int64_t i) { (*static_cast<const F*>(g))(i); }, &f);
  }

 private:
  struct Loop {
    void (*call)(const void*, int64_t) = nullptr;
    const void* function = nullptr;
    int64_t items = 0;
  };

  void run_items(int64_t n, void (*call)(const void*, int64_t), const void* function);
  void help();
  void work();
  bool take(int64_t& item);
  void wait_for_change(int seen);

  // Written by the caller while no item is left; read by who has taken an item, which keeps the
  // loop from ending.
  Loop loop_;
  alignas(64) std::atomic<uint64_t> left_{0};  // number of the loop << 32 | items not taken yet
  alignas(64) std::atomic<int64_t> done_{0};   // items whose calls have returned
  alignas(64) std::atomic<int> changes_{0};    // loops begun, and the end of the pool
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::exception_ptr error_;  // the first; under mutex_
  std::vector<std::thread> helpers_;
};

}  // namespace weft
