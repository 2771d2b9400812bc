#include "model/ops/cuda/lora_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft {
namespace {

TEST(LoraPlan, EveryRowOfARangeIsInOneTileOfItsAdapter) {
  const std::vector<LoraRows> ranges = {{2, 0, 1}, {0, 3, 19}, {1, 19, 36}, {2, 40, 200}};
  std::vector<int32_t> adapters(210, -1);
  for (const cuda::LoraTile& tile : plan_lora(ranges)) {
    EXPECT_GE(tile.count, 1);
    EXPECT_LE(tile.count, cuda::kLoraRows);
    for (int32_t row = tile.first; row < tile.first + tile.count; ++row) {
      EXPECT_EQ(adapters.at(row), -1) << row;
      adapters[row] = tile.adapter;
    }
  }
  std::vector<int32_t> expected(210, -1);
  for (const auto& [adapter, begin, end] : ranges) {
    for (int64_t row = begin; row < end; ++row) expected[row] = adapter;
  }
  EXPECT_EQ(adapters, expected);
}

TEST(LoraPlan, TilesAreFullButForTheLastOfARange) {
  EXPECT_EQ(plan_lora(std::vector<LoraRows>{{0, 0, 64}}).size(), 4u);
  EXPECT_EQ(plan_lora(std::vector<LoraRows>{{0, 0, 65}}).size(), 5u);
  EXPECT_TRUE(plan_lora({}).empty());
}

}  // namespace
}  // namespace weft
