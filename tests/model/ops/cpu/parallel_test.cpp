// Loops shared among threads, and the memory that they go through.
#include "model/ops/cpu/parallel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "base/error.h"
#include "model/ops/cpu/mapped_tensor.h"

namespace weft::kernels {
namespace {

TEST(Parallel, SharesCoverARangeOnce) {
  ThreadPool pool(3);
  const UseThreads use(&pool);
  for (const int64_t n : {0, 1, 2, 5, 64, 1000}) {
    for (const int64_t grain : {1, 7, 2000}) {
      std::vector<std::atomic<int>> seen(n);
      parallel_shares(n, grain, [&](int64_t begin, int64_t end) {
        EXPECT_LE(begin, end);
        for (int64_t i = begin; i < end; ++i) ++seen.at(i);
      });
      for (const auto& count : seen) EXPECT_EQ(count, 1) << n << " " << grain;
    }
  }
}

// The thread that takes item 0 stands still until all others are done.
TEST(Parallel, WhatASlowThreadLeavesIsDoneByTheOthers) {
  constexpr int64_t kItems = 100;
  ThreadPool pool(2);
  const UseThreads use(&pool);
  std::atomic<int64_t> done{0};
  std::atomic<int64_t> left_with_slow{0};
  parallel_shares(kItems, 1, [&](int64_t begin, int64_t end) {
    if (begin == 0) {
      left_with_slow = end;
      while (done < kItems - end) std::this_thread::yield();
    }
    done += end - begin;
  });
  EXPECT_EQ(done, kItems);
  EXPECT_LT(left_with_slow, kItems / 2);
}

TEST(Parallel, MappedTensorsAreZerosThatBeginAtAHugePage) {
  for (const int64_t rows : {0, 1, 3, 70000}) {
    const at::Tensor t = mapped_tensor({rows, 17}, at::kFloat);
    EXPECT_EQ(t.sizes(), (std::vector<int64_t>{rows, 17}));
    EXPECT_TRUE(t.is_contiguous());
    EXPECT_EQ(reinterpret_cast<uintptr_t>(t.const_data_ptr()) % (2 << 20), 0u);
    const float* values = t.const_data_ptr<float>();
    for (int64_t i = 0; i < t.numel(); ++i) ASSERT_EQ(values[i], 0);
    if (rows) t.mutable_data_ptr<float>()[t.numel() - 1] = 1;
  }
}

TEST(Parallel, MemoryThatCannotBeMappedIsAnError) {
  EXPECT_THROW(mapped_tensor({int64_t{1} << 50}, at::kFloat), Error);
}

}  // namespace
}  // namespace weft::kernels
