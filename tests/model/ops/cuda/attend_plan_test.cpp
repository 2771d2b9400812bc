#include "model/ops/cuda/attend_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>

#include "base/rng.h"

namespace weft {
namespace {

using cuda::AttendItem;
using testing::ElementsAre;

constexpr int64_t kBlock = kernels::kBlockTokens;

int64_t blocks_of(int32_t length) { return (length + kBlock - 1) / kBlock; }

std::vector<AttendItem> items_of(const AttendPlan& plan, int32_t row) {
  std::vector<AttendItem> own;
  for (const AttendItem& item : plan.items) {
    if (item.row == row) own.push_back(item);
  }
  std::sort(own.begin(), own.end(), [](auto& a, auto& b) { return a.first < b.first; });
  return own;
}

std::vector<int32_t> random_lengths(size_t rows, int32_t longest, uint64_t seed) {
  Rng rng(seed);
  std::vector<int32_t> lengths(rows);
  for (int32_t& length : lengths) {
    length = static_cast<int32_t>(std::exp(rng.uniform() * std::log(longest + 1.0)) - 1);
  }
  return lengths;
}

TEST(AttendPlan, CoversEveryBlockOnceInSlotsThatFollow) {
  auto lengths = random_lengths(200, 200000, 1);
  lengths.insert(lengths.end(), {0, 1, 16, 17, 256, 257, 16384, 16385, 32768, 131072});
  const AttendPlan plan = plan_attention(lengths);
  ASSERT_EQ(plan.first_slot.size(), lengths.size() + 1);
  EXPECT_EQ(plan.first_slot[0], 0);
  for (int32_t row = 0; row < std::ssize(lengths); ++row) {
    const auto own = items_of(plan, row);
    EXPECT_LE(std::ssize(own), most_attend_parts(lengths[row])) << lengths[row];
    int64_t next = 0;
    int32_t slot = own.size() > 1 ? plan.first_slot[row] : -1;
    for (const AttendItem& item : own) {
      EXPECT_EQ(item.first, next);
      EXPECT_GT(item.last, item.first);
      EXPECT_EQ(item.slot, slot);
      next = item.last;
      if (slot >= 0) ++slot;
    }
    EXPECT_EQ(next, blocks_of(lengths[row]));
    EXPECT_EQ(plan.first_slot[row + 1], own.size() > 1 ? slot : plan.first_slot[row]);
  }
  EXPECT_LE(plan.first_slot.back(), std::ssize(plan.items)) << "slots fit where items do";
}

TEST(AttendPlan, PartsDependOnTheRowAlone) {
  const auto lengths = random_lengths(50, 40000, 2);
  const AttendPlan all = plan_attention(lengths);
  for (int32_t row = 0; row < 50; ++row) {
    const auto alone = items_of(plan_attention(std::vector{lengths[row]}), 0);
    const auto beside = items_of(all, row);
    ASSERT_EQ(alone.size(), beside.size());
    for (size_t i = 0; i < alone.size(); ++i) {
      EXPECT_EQ(alone[i].first, beside[i].first);
      EXPECT_EQ(alone[i].last, beside[i].last);
    }
  }
}

TEST(AttendPlan, PartsAreBounded) {
  EXPECT_EQ(most_attend_parts(0), 0);
  EXPECT_EQ(most_attend_parts(256), 1);
  EXPECT_EQ(most_attend_parts(257), 2);
  EXPECT_EQ(most_attend_parts(1 << 20), cuda::kMostParts);
  for (int32_t length = 1; length <= 200000; length += 37) {
    const auto items = plan_attention(std::vector{length}).items;
    ASSERT_LE(std::ssize(items), most_attend_parts(length)) << length;
    for (const AttendItem& item : items) {
      // 256 tokens, or a 32nd of the context: parts grow by whole 256 tokens from 64 of them on.
      ASSERT_LE((item.last - item.first) * kBlock, std::max(256, length / 32)) << length;
    }
  }
}

TEST(AttendPlan, TheLongestItemsComeFirst) {
  const AttendPlan plan = plan_attention(std::vector{40, 300, 1});
  std::vector<int32_t> blocks;
  for (const AttendItem& item : plan.items) blocks.push_back(item.last - item.first);
  EXPECT_THAT(blocks, ElementsAre(16, 3, 3, 1));
}

/// Blocks of tokens that the busiest of `walkers` blocks of threads walks, of each kv head apart.
int64_t busiest(const AttendPlan& plan, int64_t kv_heads, int64_t walkers) {
  std::vector<int64_t> load(walkers);
  int64_t unit = 0;
  for (const AttendItem& item : plan.items) {
    for (int64_t h = 0; h < kv_heads; ++h) load[unit++ % walkers] += item.last - item.first;
  }
  return *std::max_element(load.begin(), load.end());
}

// 132 SMs of 3 blocks each, 4 kv heads.
TEST(AttendPlan, ALongRowBesideShortOnesIsShared) {
  constexpr int64_t walkers = 396, kv_heads = 4;
  std::vector<int32_t> lengths(256, 512);
  lengths[100] = 0;
  const int64_t before = busiest(plan_attention(lengths), kv_heads, walkers);
  lengths[100] = 30000;
  const int64_t after = busiest(plan_attention(lengths), kv_heads, walkers);
  const double share = static_cast<double>(blocks_of(30000) * kv_heads) / walkers;
  EXPECT_LE(static_cast<double>(after - before), 1.3 * share);
}

TEST(AttendPlan, NoBlockOfThreadsWalksMoreThanItsShareAndOneItem) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const auto lengths = random_lengths(128, 60000, seed);
    const AttendPlan plan = plan_attention(lengths);
    int64_t blocks = 0;
    for (const int32_t length : lengths) blocks += 4 * blocks_of(length);
    const int64_t longest = plan.items[0].last - plan.items[0].first;
    EXPECT_LE(busiest(plan, 4, 396), blocks / 396 + longest) << seed;
  }
}

// 7 query heads for each key: 9 rows a tile.
constexpr int64_t kGroup = 7, kTileRows = 9;

TEST(AttendPlan, EveryRowSeesWhatWasThereBeforeOnce) {
  for (const int64_t long_start : {40, 3000, 60000}) {
    const std::vector<ContextRows> spans = {{0, 1, 700}, {1, 20, 0},           {21, 1, 0},
                                            {22, 1, 17}, {23, 50, long_start}, {73, 2, 1}};
    const AttendPlan plan = plan_context(spans, kGroup, 4);
    std::vector<std::vector<std::pair<int32_t, int32_t>>> seen(75);  // by row: slot, block
    const auto add = [&](int32_t row, int32_t slot, int32_t first, int32_t last) {
      EXPECT_LT(first, last);
      EXPECT_GE(slot, plan.first_slot[row]);
      EXPECT_LT(slot, plan.first_slot[row + 1]);
      for (int32_t b = first; b < last; ++b) seen[row].push_back({slot, b});
    };
    for (const AttendItem& i : plan.items) add(i.row, i.slot, i.first, i.last);
    for (const auto& [row, count, first, last, part] : plan.tiles) {
      EXPECT_LE(count, kTileRows);
      for (int32_t r = row; r < row + count; ++r) add(r, plan.first_slot[r] + part, first, last);
    }
    ASSERT_EQ(plan.first_slot.size(), 76u);
    for (const auto& [row, count, start] : spans) {
      for (int64_t r = row; r < row + count; ++r) {
        std::sort(seen[r].begin(), seen[r].end());
        ASSERT_EQ(std::ssize(seen[r]), blocks_of(static_cast<int32_t>(start))) << r;
        for (int32_t b = 0; b < std::ssize(seen[r]); ++b) EXPECT_EQ(seen[r][b].second, b) << r;
        const auto parts = plan.first_slot[r + 1] - plan.first_slot[r];
        EXPECT_LE(parts, cuda::kMostParts) << r;
        EXPECT_EQ(parts > 0, start > 0) << r;
      }
    }
  }
}

// More query heads a key than a tile holds have no tiles, but prompts that nothing came before.
TEST(AttendPlan, PromptsOfEveryGroupArePlanned) {
  const AttendPlan plan = plan_context(std::vector<ContextRows>{{0, 20, 0}, {20, 1, 0}}, 71, 1);
  EXPECT_TRUE(plan.items.empty() && plan.tiles.empty());
  EXPECT_EQ(plan.first_slot, std::vector<int32_t>(22, 0));
}

// Each part costs a row's sums, written and read once.
TEST(AttendPlan, TilesAreCutOnlyWhereTheyAreFew) {
  const auto parts = [](int64_t rows, int64_t start) {
    return plan_context(std::vector<ContextRows>{{0, rows, start}}, kGroup, 4).first_slot[1];
  };
  EXPECT_EQ(parts(2, 200), 1);
  EXPECT_EQ(parts(2, 16 << 10), cuda::kMostParts);
  EXPECT_EQ(parts(2304, 30000), 1);  // 256 tiles of 4 kv heads
  EXPECT_EQ(parts(1152, 30000), 2);
  EXPECT_EQ(parts(1152, 256), 1) << "no part is shorter than 256 tokens";
}

}  // namespace
}  // namespace weft
