#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <chrono>
#include <numeric>
#include <stdexcept>

namespace weft {
namespace {

using namespace std::chrono_literals;

TEST(ThreadPool, CallsEachItemOnce) {
  for (const int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.threads(), threads);
    for (const int64_t n : {0, 1, 2, 7, 1000}) {
      std::vector<int> calls(n);
      pool.run(n, [&](int64_t i) { ++calls[i]; });
      EXPECT_EQ(calls, std::vector<int>(n, 1)) << threads;
    }
  }
}

// Helpers that have just begun, or just looked for a loop, see the end.
TEST(ThreadPool, EndsAtAnyTime) {
  for (int i = 0; i < 3000; ++i) {
    ThreadPool pool(4);
    std::atomic<int> calls{0};
    pool.run(i % 3, [&](int64_t) { ++calls; });
    EXPECT_EQ(calls, i % 3);
  }
}

// Loops follow each other faster than helpers come back from the one before: none may take an item
// of a loop by the function of another, and what a loop has written is there when it ends.
TEST(ThreadPool, ShortLoopsOneAfterTheOther) {
  ThreadPool pool(4);
  int64_t expected = 0, sum = 0;
  for (int64_t loop = 0; loop < 20000; ++loop) {
    const int64_t n = loop % 6;
    std::vector<int64_t> values(n);
    pool.run(n, [&values, loop](int64_t i) { values[i] = loop + i; });
    sum += std::accumulate(values.begin(), values.end(), int64_t{0});
    expected += n * loop + n * (n - 1) / 2;
  }
  EXPECT_EQ(sum, expected);
}

// Each item waits until the other has begun: they are on two threads, also when the helper sleeps.
TEST(ThreadPool, HelpersWakeUp) {
  ThreadPool pool(2);
  for (int loop = 0; loop < 3; ++loop) {
    std::this_thread::sleep_for(20ms);
    std::atomic<int> begun{0};
    const auto end = std::chrono::steady_clock::now() + 10s;
    pool.run(2, [&](int64_t) {
      ++begun;
      while (begun < 2 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    });
    EXPECT_EQ(begun, 2);
    EXPECT_LT(std::chrono::steady_clock::now(), end);
  }
}

TEST(ThreadPool, ThrowsWhatAnItemThrewAndGoesOn) {
  ThreadPool pool(3);
  for (int loop = 0; loop < 100; ++loop) {
    std::atomic<int> calls{0};
    EXPECT_THROW(pool.run(50,
                          [&](int64_t i) {
                            ++calls;
                            if (i % 10 == 3) throw std::runtime_error("item");
                          }),
                 std::runtime_error);
    EXPECT_EQ(calls, 50);
    pool.run(50, [&](int64_t) { ++calls; });
    EXPECT_EQ(calls, 100);
  }
}

TEST(ThreadPool, PoolsWorkSideBySide) {
  std::vector<std::thread> callers;
  std::atomic<int64_t> sum{0};
  for (int c = 0; c < 3; ++c) {
    callers.emplace_back([&] {
      ThreadPool pool(3);
      for (int loop = 0; loop < 500; ++loop) pool.run(7, [&](int64_t i) { sum += i; });
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(sum, 3 * 500 * 21);
}

}  // namespace
}  // namespace weft
