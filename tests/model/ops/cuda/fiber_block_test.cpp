// What the emulated block of GPU threads finds in the bodies that it runs.
#include "tests/support/fiber_block.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/ops/cuda/attention_tile_body.h"
#include "model/ops/cuda/sample_body.h"

namespace weft {
namespace {

using kernels::Bf16;
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
  int64_t grid_x() const { return block.grid_x(); }
  template <class T>
  Shared<T> shared(int64_t byte) {
    return block.shared<T>(byte);
  }
  template <class T>
  T shuffle(T value, int lane) {
    return block.shuffle(value, lane);
  }
  void mma(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) { block.mma(c, a, b); }
  uint32_t add_shared(Shared<uint32_t> p, uint32_t value) { return block.add_shared(p, value); }
  void max_shared(Shared<uint32_t> p, uint32_t value) { block.max_shared(p, value); }
  float load(const float* p) { return block.load(p); }
  void sync() {
    if (passed++ != left_out) block.sync();
    reached = std::max(reached, passed);
  }
};

/// Barriers that the body comes to, and those whose absence nobody noticed.
template <class Body>
std::pair<int, std::vector<int>> leave_out_barriers(int threads, int64_t shared_bytes, Body body) {
  test::FiberBlock fibers(threads);
  int barriers = 0;
  std::vector<int> unnoticed;
  for (int left_out = -1; left_out < barriers; ++left_out) {
    try {
      fibers.run({1, 1, 1}, shared_bytes, [&](test::FiberBlock& b) {
        WithoutBarrier block{b, left_out, barriers};
        body(block);
      });
      if (left_out >= 0) unnoticed.push_back(left_out);
    } catch (const std::logic_error& e) {
      EXPECT_GE(left_out, 0) << "the whole body fails: " << e.what();
    }
  }
  return {barriers, unnoticed};
}

/// One row of 70 tokens, of two heads on one, in two items: two parts, or each as if it were the
/// row's only one.
struct OneRow {
  OneRow(cuda::Dtype dtype, int64_t dim, bool parts)
      : items({{0, 0, 3, parts ? 0 : -1}, {0, 3, 5, parts ? 1 : -1}}),
        data(5 * 2 * 16 * 64 * sizeof(float)),
        partial(2 * 2 * (dim + 2)) {
    a.q = a.cache = a.out = data.data();
    a.q_stride = 2 * dim;
    a.block_list = list.data();
    a.first_block = &zero;
    a.lengths = &length;
    a.items = items.data();
    a.num_items = &num_items;
    a.first_slot = slots.data();
    a.partial = partial.data();
    a.rows = a.kv_heads = 1;
    a.heads = a.max_items = 2;
    a.head_dim = dim;
    a.scale = 0.2f;
    a.dtype = dtype;
  }
  const std::vector<cuda::AttendItem> items;
  std::vector<char> data;
  std::vector<float> partial;
  const std::vector<int32_t> list = {0, 1, 2, 3, 4}, slots = {0, 2};
  const int32_t zero = 0, length = 70, num_items = 2;
  cuda::PagedAttention a{};
};

// The last barrier of a body, a loop or a function is there for what comes after it: a further
// turn, a further call.
TEST(FiberBlock, MissesEveryBarrierOfTheAttentionBodies) {
  const OneRow wide(cuda::Dtype::kF32, 24, false), tiles(cuda::Dtype::kBf16, 64, true);
  const auto [barriers, unnoticed] =
      leave_out_barriers(kThreads, cuda::attend_shared(wide.a) * 4,
                         [&](auto& block) { cuda::attend_body<float>(block, wide.a); });
  EXPECT_EQ(barriers, (1 + 3 * 3 + 1) + (1 + 2 * 3 + 1));
  EXPECT_THAT(unnoticed, testing::ElementsAre(3 * 3, barriers - 2, barriers - 1));
  const auto [of_tiles, unnoticed_of_tiles] =
      leave_out_barriers(4 * 32, cuda::attend_tile_shared(tiles.a) * 4,
                         [&](auto& block) { cuda::attend_tile_body<64>(block, tiles.a); });
  EXPECT_EQ(of_tiles, 2 * 3);
  EXPECT_THAT(unnoticed_of_tiles, testing::ElementsAre(of_tiles - 1));
  const auto [of_merge, unnoticed_of_merge] =
      leave_out_barriers(kThreads, cuda::kMergeShared,
                         [&](auto& block) { cuda::merge_parts_body<Bf16>(block, tiles.a); });
  EXPECT_EQ(of_merge, 4);
  EXPECT_THAT(unnoticed_of_merge, testing::ElementsAre(of_merge - 1));
}

TEST(FiberBlock, MissesEveryBarrierOfTheSamplersSortAndSums) {
  constexpr int entries = 256;
  const auto [barriers, unnoticed] =
      leave_out_barriers(kThreads, entries * sizeof(uint64_t), [](auto& block) {
        const auto list = block.template shared<uint64_t>(0);
        for (int i = block.thread(); i < entries - 3; i += block.size())
          list[i] = 2654435761u * i % 251;
        cuda::sort_ascending(block, list, entries - 3);
      });
  EXPECT_EQ(barriers, 1 + 8 * 9 / 2);
  const int same_threads = 29;  // each goes on with the entries that it had
  EXPECT_THAT(unnoticed, testing::ElementsAre(same_threads, barriers - 1));
  const auto [of_sums, unnoticed_of_sums] =
      leave_out_barriers(kThreads, 512 * sizeof(uint64_t), [](auto& block) {
        const auto table = block.template shared<uint64_t>(64 * sizeof(uint64_t));
        for (int i = block.thread(); i < entries; i += block.size()) table[i] = 1;
        block.sync();
        for (int i = 0; i < 2; ++i) {
          cuda::sum_up(block, entries, table);
          ASSERT_GT(table[(block.thread() + 1) % entries * 2], 0u);
        }
      });
  EXPECT_EQ(of_sums, 5);
  EXPECT_THAT(unnoticed_of_sums, testing::IsEmpty());
}

}  // namespace
}  // namespace weft
