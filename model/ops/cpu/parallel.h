/// Loops shared among threads: those of the calling thread's pool, or LibTorch's.
#pragma once

#include <ATen/Parallel.h>
#include <omp.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/thread_pool.h"

namespace weft::kernels {

/// Ends the helpers that OpenMP keeps for the calling thread; its next parallel loop starts new
/// ones. libgomp counts the helpers of all threads: once they are more than the processors, those
/// that wait go to sleep at once, and a short loop costs more in waking them than in arithmetic. So
/// a thread that lets another compute calls this first. Nothing happens inside a parallel loop.
inline void release_helpers() { omp_pause_resource_all(omp_pause_soft); }

/// The pool on which loops of the calling thread run; null: LibTorch's threads.
inline thread_local ThreadPool* loop_threads = nullptr;

/// Lets the calling thread's loops run on `pool` while this lives. For a thread none of whose work
/// is LibTorch's own loops: two sets of threads would be in each other's way.
class UseThreads {
 public:
  explicit UseThreads(ThreadPool* pool) : before_(std::exchange(loop_threads, pool)) {}
  ~UseThreads() { loop_threads = before_; }
  UseThreads(const UseThreads&) = delete;
  UseThreads& operator=(const UseThreads&) = delete;

 private:
  ThreadPool* before_;
};

/// Threads that share the calling thread's loops.
inline int64_t num_threads() {
  return loop_threads ? loop_threads->threads() : at::get_num_threads();
}

/// Calls f(i) for i in [0, n), each thread taking the next item when it is free.
template <class F>
void parallel_items(int64_t n, const F& f) {
  if (loop_threads) return loop_threads->run(n, f);
  std::atomic<int64_t> next{0};
  const int64_t threads = n > 1 ? num_threads() : 1;
  at::parallel_for(0, threads, 1, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      for (int64_t i = next++; i < n; i = next++) f(i);
    }
  });
}

/// Calls f(begin, end) for ranges that together are [0, n): one for each thread, fewer where they
/// would be shorter than `grain`.
template <class F>
void parallel_ranges(int64_t n, int64_t grain, const F& f) {
  if (!loop_threads) return at::parallel_for(0, n, grain, f);
  const int64_t parts = std::min<int64_t>(loop_threads->threads(), (n + grain - 1) / grain);
  loop_threads->run(parts, [&](int64_t i) { f(n * i / parts, n * (i + 1) / parts); });
}

/// A range that threads share: each takes from the front of a part of its own, in ever smaller
/// steps, and then from the back of what others have left.
class Shares {
 public:
  Shares(int64_t n, int64_t num_parts) : parts_(num_parts) {
    for (int64_t i = 0; i < num_parts; ++i) {
      parts_[i].left = pack(n * i / num_parts, n * (i + 1) / num_parts);
    }
  }

  /// Calls f(begin, end) until nothing is left.
  template <class F>
  void work(int64_t own, const F& f) {
    const auto num_parts = static_cast<int64_t>(parts_.size());
    int64_t begin = 0, end = 0;
    for (int64_t i = 0; i < num_parts; ++i) {
      while (take(parts_[(own + i) % num_parts].left, i == 0, begin, end)) f(begin, end);
    }
  }

 private:
  struct alignas(64) Part {
    std::atomic<uint64_t> left;  // begin and end
  };

  static uint64_t pack(int64_t begin, int64_t end) {
    return static_cast<uint64_t>(begin) << 32 | static_cast<uint64_t>(end);
  }

  static bool take(std::atomic<uint64_t>& left, bool is_own, int64_t& begin, int64_t& end) {
    uint64_t seen = left.load(std::memory_order_relaxed);
    while (true) {
      const auto first = static_cast<int64_t>(seen >> 32),
                 last = static_cast<int64_t>(seen & 0xffffffff);
      if (first >= last) return false;
      const int64_t count = (last - first + 3) / 4;
      begin = is_own ? first : last - count;
      end = begin + count;
      const uint64_t rest = is_own ? pack(end, last) : pack(first, begin);
      if (left.compare_exchange_weak(seen, rest, std::memory_order_relaxed)) return true;
    }
  }

  std::vector<Part> parts_;
};

/// As parallel_ranges, with more and shorter ranges than threads, so that one that is slowed down
/// leaves some of its share to the others. n < 2^31.
template <class F>
void parallel_shares(int64_t n, int64_t grain, const F& f) {
  const int64_t parts = std::min(num_threads(), (n + grain - 1) / grain);
  if (parts <= 1) return f(0, n);
  Shares shares(n, parts);
  parallel_items(parts, [&](int64_t i) { shares.work(i, f); });
}

}  // namespace weft::kernels
