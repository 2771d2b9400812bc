#include "base/thread_pool.h"

#include <chrono>
#include <utility>

#include "base/error.h"

namespace weft {
namespace {

using Clock = std::chrono::steady_clock;

// Longer than what lies between the loops of a decoding step, shorter than anybody notices.
constexpr auto kLookout = std::chrono::microseconds(200);
constexpr int kLooksPerClock = 32;

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Looks for `kLookout` whether `come` has come.
template <class F>
bool look_out(const F& come) {
  const auto end = Clock::now() + kLookout;
  do {
    for (int i = 0; i < kLooksPerClock; ++i) {
      if (come()) return true;
      pause();
    }
  } while (Clock::now() < end);
  return false;
}

}  // namespace

ThreadPool::ThreadPool(int threads) {
  WEFT_ASSERT(threads >= 1);
  for (int i = 1; i < threads; ++i) helpers_.emplace_back([this] { help(); });
}

ThreadPool::~ThreadPool() {
  stopping_.store(true, std::memory_order_release);
  changes_.fetch_add(1, std::memory_order_release);
  changes_.notify_all();
  for (std::thread& helper : helpers_) helper.join();
}

void ThreadPool::run_items(int64_t n, void (*call)(const void*, int64_t), const void* function) {
  WEFT_ASSERT(n >= 0 && n <= INT32_MAX);
  if (n <= 1 || helpers_.empty()) {
    for (int64_t i = 0; i < n; ++i) call(function, i);
    return;
  }
  const uint64_t before = left_.load(std::memory_order_relaxed);
  WEFT_ASSERT(static_cast<uint32_t>(before) == 0);
  loop_ = {call, function, n};
  done_.store(0, std::memory_order_relaxed);
  left_.store(((before >> 32) + 1) << 32 | static_cast<uint64_t>(n), std::memory_order_release);
  changes_.fetch_add(1, std::memory_order_release);
  changes_.notify_all();
  work();
  const auto all_done = [&] { return done_.load(std::memory_order_acquire) == n; };
  while (!look_out(all_done)) std::this_thread::yield();
  const std::lock_guard lock(mutex_);
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
}

void ThreadPool::help() {
  while (true) {
    // In this order: the end is announced by a change, so that it is either in `seen` already, and
    // then to be seen here, or still to come, and ends the wait.
    const int seen = changes_.load(std::memory_order_acquire);
    if (stopping_.load(std::memory_order_acquire)) return;
    work();
    wait_for_change(seen);
  }
}

void ThreadPool::wait_for_change(int seen) {
  if (look_out([&] { return changes_.load(std::memory_order_acquire) != seen; })) return;
  changes_.wait(seen, std::memory_order_acquire);
}

void ThreadPool::work() {
  int64_t item = 0;
  while (take(item)) {
    try {
      loop_.call(loop_.function, item);
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!error_) error_ = std::current_exception();
    }
    done_.fetch_add(1, std::memory_order_release);
  }
}

bool ThreadPool::take(int64_t& item) {
  uint64_t left = left_.load(std::memory_order_acquire);
  while (static_cast<uint32_t>(left) > 0) {
    if (left_.compare_exchange_weak(left, left - 1, std::memory_order_acq_rel,
                                    std::memory_order_acquire)) {
      item = loop_.items - static_cast<uint32_t>(left);
      return true;
    }
  }
  return false;
}

}  // namespace weft
