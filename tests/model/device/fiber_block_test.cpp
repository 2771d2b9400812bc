// What the emulated block of GPU threads finds in the bodies that it runs.
#include "tests/support/fiber_block.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "model/device/cuda/attention_bodies.h"
#include "model/device/cuda/sample_body.h"

namespace weft {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr int kThreads = 64;
constexpr int64_t kWords = kThreads * sizeof(int32_t);

/// Each thread writes its word and reads its neighbour's.
void exchange(test::FiberBlock& b, bool barrier, std::vector<int32_t>& got) {
  const auto words = b.shared<int32_t>(0);
  words[b.thread()] = b.thread();
  if (barrier) b.sync();
  got[b.thread()] = words[(b.thread() + 1) % b.size()];
}

TEST(FiberBlock, FindsAReadBeforeTheBarrier) {
  test::FiberBlock block(kThreads);
  std::vector<int32_t> got(kThreads);
  EXPECT_THAT(
      [&] {
        block.run({1, 1, 1}, kWords, [&](auto& b) { exchange(b, false, got); });
      },
      ThrowsMessage<std::logic_error>(
          HasSubstr("word 1: thread 0 reads it in epoch 0, before any thread")));
  block.run({2, 1, 1}, kWords, [&](auto& b) { exchange(b, true, got); });
  for (int i = 0; i < kThreads; ++i) EXPECT_EQ(got[i], (i + 1) % kThreads);
}

TEST(FiberBlock, FindsAReadOfWhatAnotherThreadJustWrote) {
  test::FiberBlock block(kThreads);
  const auto body = [](bool barrier) {
    return [barrier](test::FiberBlock& b) {
      const auto word = b.shared<float>(0);
      if (b.thread() == 0) word[0] = 1;
      if (barrier) b.sync();
      EXPECT_EQ(word[0] + 0, 1);
    };
  };
  EXPECT_THAT(
      [&] {
        block.run({1, 1, 1}, 4, body(false));
      },
      ThrowsMessage<std::logic_error>(
          HasSubstr("word 0: thread 1 reads it in epoch 0, in which thread 0 wrote it")));
  block.run({2, 1, 1}, 4, body(true));
}

TEST(FiberBlock, FindsAWriteOverWhatOthersStillRead) {
  test::FiberBlock block(kThreads);
  const auto body = [](bool barrier) {
    return [barrier](test::FiberBlock& b) {
      const auto words = b.shared<int32_t>(0);
      words[b.thread()] = b.thread();
      b.sync();
      const int32_t neighbour = words[(b.thread() + 1) % b.size()];
      if (barrier) b.sync();
      words[b.thread()] = neighbour;
    };
  };
  EXPECT_THAT(
      [&] {
        block.run({1, 1, 1}, kWords, body(false));
      },
      ThrowsMessage<std::logic_error>(
          HasSubstr("word 0: thread 0 writes it in epoch 1, in which thread 63 read it")));
  block.run({2, 1, 1}, kWords, body(true));
}

TEST(FiberBlock, FindsTwoWritersOfOneWord) {
  test::FiberBlock block(kThreads);
  EXPECT_THAT(
      [&] {
        block.run({1, 1, 1}, 4, [](auto& b) { b.template shared<int>(0)[0] = 7; });
      },
      ThrowsMessage<std::logic_error>(
          HasSubstr("word 0: thread 1 writes it in epoch 0, in which thread 0 wrote it")));
  block.run({1, 1, 1}, kWords, [](auto& b) {  // the halves of a word are places of their own
    b.template shared<uint16_t>(0)[b.thread()] = 7;
  });
}

TEST(FiberBlock, AnExchangeBetweenLanesIsNoBarrier) {
  test::FiberBlock block(kThreads);
  EXPECT_THROW(block.run({1, 1, 1}, 4,
                         [](test::FiberBlock& b) {
                           const auto word = b.shared<float>(0);
                           if (b.thread() == 0) word[0] = 1;
                           b.shuffle(b.thread(), 0);
                           const float read = b.thread() < 32 ? word[0] : 0.0f;
                           b.shuffle(read, 0);
                         }),
               std::logic_error);
}

TEST(FiberBlock, FindsWhatNoThreadOfTheBlockHasWritten) {
  test::FiberBlock block(kThreads);
  const auto reads = [](test::FiberBlock& b) { EXPECT_EQ(b.shared<int>(0)[1] + 0, 0); };
  EXPECT_THAT(
      [&] {
        block.run({1, 1, 1}, 8, reads);
      },
      ThrowsMessage<std::logic_error>(HasSubstr("before any thread of the block")));
  EXPECT_THAT(
      [&] {
        block.run({1, 1, 1}, 4, reads);
      },
      ThrowsMessage<std::logic_error>(HasSubstr("beyond the block's 4 bytes")));
  EXPECT_THROW(block.run({2, 1, 1}, 8,
                         [&](test::FiberBlock& b) {
                           if (b.x() == 1) reads(b);
                           if (b.thread() == 0) b.shared<int>(0)[1] = 0;
                         }),
               std::logic_error)
      << "the block before has written it";
}

/// A FiberBlock without one of its barriers.
struct WithoutBarrier {
  template <class T>
  using Shared = test::FiberBlock::Shared<T>;

  test::FiberBlock& block;
  int left_out;
  int& reached;  // most barriers that a thread came to
  int passed = 0;

  int thread() const { return block.thread(); }
  int size() const { return block.size(); }
  int64_t x() const { return block.x(); }
  int64_t y() const { return block.y(); }
  int64_t z() const { return block.z(); }
  template <class T>
  Shared<T> shared(int64_t byte) {
    return block.shared<T>(byte);
  }
  template <class T>
  T shuffle(T value, int lane) {
    return block.shuffle(value, lane);
  }
  void sync() {
    if (passed++ != left_out) block.sync();
    reached = std::max(reached, passed);
  }
};

/// Barriers that the body comes to, and those whose absence nobody noticed.
template <class Body>
std::pair<int, std::vector<int>> leave_out_barriers(int64_t shared_bytes, Body body) {
  test::FiberBlock fibers(kThreads);
  int barriers = 0;
  std::vector<int> unnoticed;
  for (int left_out = -1; left_out < barriers; ++left_out) {
    try {
      fibers.run({1, 1, 1}, shared_bytes, [&](test::FiberBlock& b) {
        WithoutBarrier block{b, left_out, barriers};
        body(block);
      });
      if (left_out >= 0) unnoticed.push_back(left_out);
    } catch (const std::logic_error&) {
      EXPECT_GE(left_out, 0) << "the whole body fails";
    }
  }
  return {barriers, unnoticed};
}

// The last barrier of a body is there for what comes after it: a further turn, a further call.
TEST(FiberBlock, MissesEveryBarrierOfTheAttentionBody) {
  const std::vector<float> q(2 * 24, 0.5f), cache(3 * 2 * 16 * 32, 0.25f);
  const std::vector<int32_t> list = {0, 1, 2}, first = {0}, lengths = {40};
  std::vector<float> partial(2 * 26), out(2 * 24);
  const cuda::PagedAttention a{q.data(),
                               48,
                               cache.data(),
                               list.data(),
                               first.data(),
                               lengths.data(),
                               partial.data(),
                               out.data(),
                               1,
                               2,
                               1,
                               24,
                               1,
                               0.2f,
                               cuda::Dtype::kF32};
  const auto [barriers, unnoticed] = leave_out_barriers(
      cuda::attend_shared(a) * 4, [&](auto& block) { cuda::attend_body<float>(block, a); });
  EXPECT_EQ(barriers, 1 + 3 * 3);
  EXPECT_THAT(unnoticed, testing::ElementsAre(barriers - 1));
}

TEST(FiberBlock, MissesEveryBarrierOfTheSampler) {
  std::vector<float> logits(200);
  std::iota(logits.begin(), logits.end(), -150.0f);
  const kernels::SampleArgs args{logits.data(), 200, 0.5, 30, 0.9f, 0, 0};
  kernels::SampleResult result;
  const auto [barriers, unnoticed] = leave_out_barriers(cuda::kSampleShared, [&](auto& block) {
    cuda::sample_body(block, cuda::SampleRows{&args, &result, 1});
  });
  EXPECT_GT(barriers, 10);
  EXPECT_THAT(unnoticed, testing::ElementsAre(barriers - 1));
}

}  // namespace
}  // namespace weft
