#include "model/engine/prefix_index.h"

#include <gtest/gtest.h>

#include <numeric>

#include "base/rng.h"

namespace weft {
namespace {

constexpr int64_t kBlock = kernels::kBlockTokens;
constexpr int64_t kNumBlocks = 12;

class Prefixes : public testing::Test {
 protected:
  static std::vector<int32_t> text(int64_t num_tokens, int32_t first = 0) {
    std::vector<int32_t> tokens(static_cast<size_t>(num_tokens));
    std::iota(tokens.begin(), tokens.end(), first);
    return tokens;
  }
  static std::vector<int32_t> take(PrefixIndex& index, const std::vector<int32_t>& tokens) {
    return index.take(nullptr, tokens);
  }

  /// As a request does: takes what is known, computes the rest, keeps it and ends. How many blocks
  /// were known.
  size_t run(PrefixIndex& index, const std::vector<int32_t>& tokens) {
    auto blocks = take(index, tokens);
    const size_t known = blocks.size();
    while (std::ssize(blocks) < blocks_for(std::ssize(tokens))) {
      EXPECT_TRUE(pool_.num_free() > 0 || index.evict());
      blocks.push_back(pool_.allocate());
    }
    index.keep(nullptr, tokens, blocks);
    pool_.release_all(blocks);
    return known;
  }

  BlockPool pool_{kNumBlocks};
};

TEST_F(Prefixes, KeepFullBlocksOnly) {
  PrefixIndex index(pool_, kNumBlocks);
  EXPECT_EQ(run(index, text(2 * kBlock + 5)), 0u);
  EXPECT_EQ(index.num_blocks(), 2);
  EXPECT_EQ(pool_.num_idle(), 2);
  EXPECT_EQ(pool_.num_used(), 0);
  EXPECT_EQ(run(index, text(2 * kBlock + 5)), 2u);
  EXPECT_EQ(run(index, text(kBlock - 1)), 0u);
}

TEST_F(Prefixes, TellTextsApartThatDifferBeforeABlock) {
  PrefixIndex index(pool_, kNumBlocks);
  auto a = text(2 * kBlock), b = a;
  b[0] = 99;
  run(index, a);
  EXPECT_EQ(run(index, b), 0u);
  EXPECT_EQ(index.num_blocks(), 4);
  EXPECT_EQ(run(index, b), 2u);
}

TEST_F(Prefixes, OfTheSameTextTheFirstBlockStays) {
  PrefixIndex index(pool_, kNumBlocks);
  const std::vector<int32_t> first = {pool_.allocate()}, second = {pool_.allocate()};
  index.keep(nullptr, text(kBlock), first);
  index.keep(nullptr, text(kBlock), second);
  EXPECT_EQ(take(index, text(kBlock)), first);
  EXPECT_EQ(pool_.num_used(), 2);
}

// Two requests compute one text at a time, and the block that was kept first goes before the end of
// the other's text does.
TEST_F(Prefixes, KeepABlockUnderOneTextAlone) {
  PrefixIndex index(pool_, kNumBlocks);
  std::vector<int32_t> first = {pool_.allocate()};
  std::vector<int32_t> second = {pool_.allocate(), pool_.allocate()};
  index.keep(nullptr, text(kBlock), first);
  index.keep(nullptr, text(2 * kBlock), second);  // the first of `first`, then the last of `second`
  pool_.release_all(first);
  EXPECT_TRUE(index.evict());
  index.keep(nullptr, text(2 * kBlock), second);
  EXPECT_EQ(take(index, text(2 * kBlock)), std::vector<int32_t>{second[0]});
  pool_.release(second[0]);
  pool_.release_all(second);
  EXPECT_EQ(pool_.num_used(), 0);
  while (index.evict()) {
  }
  EXPECT_EQ(pool_.num_free(), kNumBlocks);
}

TEST_F(Prefixes, LoseWhatWasUsedLeastRecentlyAndNobodyHolds) {
  PrefixIndex index(pool_, kNumBlocks);
  run(index, text(2 * kBlock, 0));
  run(index, text(2 * kBlock, 1000));
  auto held = take(index, text(2 * kBlock, 0));
  EXPECT_TRUE(index.evict());
  EXPECT_EQ(index.num_blocks(), 3);
  EXPECT_TRUE(index.evict());
  EXPECT_FALSE(index.evict());
  EXPECT_TRUE(take(index, text(2 * kBlock, 1000)).empty());
  pool_.release_all(held);
  EXPECT_TRUE(index.evict());
  held = take(index, text(2 * kBlock, 0));
  EXPECT_EQ(held.size(), 1u);  // the end of a text goes first
}

TEST_F(Prefixes, KeepNoMoreThanTheyMay) {
  PrefixIndex index(pool_, 3);
  run(index, text(2 * kBlock, 0));
  run(index, text(2 * kBlock, 1000));
  EXPECT_EQ(index.num_blocks(), 3);
  auto held = take(index, text(2 * kBlock, 0));
  EXPECT_EQ(held.size(), 1u);
  PrefixIndex none(pool_, 0);
  EXPECT_EQ(run(none, text(kBlock)), 0u);
  EXPECT_EQ(run(none, text(kBlock)), 0u);
}

TEST_F(Prefixes, ClearedFreeEveryBlock) {
  {
    PrefixIndex index(pool_, kNumBlocks);
    run(index, text(5 * kBlock));
    auto held = take(index, text(kBlock));
    index.clear();
    EXPECT_EQ(pool_.num_used(), 1);
    EXPECT_EQ(pool_.num_idle(), 0);
    EXPECT_TRUE(take(index, text(kBlock)).empty());
    pool_.release_all(held);
    run(index, text(5 * kBlock));
  }
  EXPECT_EQ(pool_.num_free(), kNumBlocks);
}

// Random texts of few tokens, so that many share a beginning, in a cache that is always too small.
TEST_F(Prefixes, LoseNoBlockUnderPressure) {
  PrefixIndex index(pool_, kNumBlocks);
  Rng rng(1);
  size_t known = 0;
  for (int i = 0; i < 3000; ++i) {
    std::vector<int32_t> tokens;
    for (uint64_t b = 1 + rng.below(6); b > 0; --b) {
      tokens.insert(tokens.end(), kBlock, static_cast<int32_t>(rng.below(3)));
    }
    known += run(index, tokens);
    ASSERT_EQ(pool_.num_used(), 0);
    ASSERT_EQ(pool_.num_idle(), index.num_blocks());
    ASSERT_EQ(pool_.num_free() + pool_.num_idle(), kNumBlocks);
  }
  EXPECT_GT(known, 1000u);
}

}  // namespace
}  // namespace weft
