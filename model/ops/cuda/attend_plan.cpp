#include "model/ops/cuda/attend_plan.h"

#include <algorithm>
#include <utility>

namespace weft {
namespace {

constexpr int64_t kPartBlocks = 16;

// Units of work (a part of a tile and kv head) that a pass is cut into at least, if its parts allow
// it: several for each of the some hundred blocks of threads that a GPU holds at once.
constexpr int64_t kLeastUnits = 1024;

int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

int64_t blocks_of(int64_t tokens) { return divide_up(tokens, kernels::kBlockTokens); }

int64_t part_blocks(int64_t blocks) {
  return kPartBlocks * std::max<int64_t>(divide_up(blocks, kPartBlocks * cuda::kMostParts), 1);
}

// Counting sort: lengths are few.
std::vector<cuda::AttendItem> longest_first(const std::vector<cuda::AttendItem>& items) {
  const auto length = [](const cuda::AttendItem& item) { return item.last - item.first; };
  int32_t longest = 0;
  for (const auto& item : items) longest = std::max(longest, length(item));
  std::vector<size_t> place(longest + 1);  // of the next item that is so much shorter
  for (const auto& item : items) ++place[longest - length(item) + 1];
  for (size_t i = 1; i < place.size(); ++i) place[i] += place[i - 1];
  std::vector<cuda::AttendItem> sorted(items.size());
  for (const auto& item : items) sorted[place[longest - length(item)]++] = item;
  return sorted;
}

// One row's parts, with slots from `slot` on or, if it is negative, without.
void add_items(std::vector<cuda::AttendItem>& items, int64_t row, int64_t blocks, int32_t slot) {
  const int64_t share = part_blocks(blocks);
  for (int64_t first = 0; first < blocks; first += share) {
    items.push_back({static_cast<int32_t>(row), static_cast<int32_t>(first),
                     static_cast<int32_t>(std::min(first + share, blocks)),
                     slot < 0 ? -1 : slot++});
  }
}

}  // namespace

int64_t most_attend_parts(int64_t context) {
  return std::min<int64_t>(divide_up(blocks_of(context), kPartBlocks), cuda::kMostParts);
}

AttendPlan plan_attention(std::span<const int32_t> lengths) {
  std::vector<cuda::AttendItem> items;
  std::vector<int32_t> first_slot = {0};
  for (size_t row = 0; row < lengths.size(); ++row) {
    const int64_t blocks = blocks_of(lengths[row]), parts = divide_up(blocks, part_blocks(blocks));
    const int32_t slot = first_slot.back();
    add_items(items, static_cast<int64_t>(row), blocks, parts > 1 ? slot : -1);
    first_slot.push_back(parts > 1 ? slot + static_cast<int32_t>(parts) : slot);
  }
  return {longest_first(items), std::move(first_slot), {}};
}

AttendPlan plan_context(std::span<const ContextRows> spans, int64_t group, int64_t kv_heads) {
  const int64_t tile_rows = std::max<int64_t>(cuda::kTilePairs / group, 1);
  int64_t work = 0;
  for (const auto& [row, count, start] : spans) {
    if (count > 1) work += divide_up(count, tile_rows) * kv_heads * blocks_of(start);
  }
  AttendPlan plan{{}, {0}, {}};
  for (const auto& [row, count, start] : spans) {
    const int64_t blocks = blocks_of(start);
    int64_t share = part_blocks(blocks);
    if (count > 1) share = std::max(share, divide_up(work, kLeastUnits));
    const auto parts = static_cast<int32_t>(divide_up(blocks, share));
    if (count == 1) {
      add_items(plan.items, row, blocks, plan.first_slot.back());
    } else {
      for (int64_t first = 0; first < count; first += tile_rows) {
        for (int32_t p = 0; p < parts; ++p) {
          plan.tiles.push_back({static_cast<int32_t>(row + first),
                                static_cast<int32_t>(std::min(tile_rows, count - first)),
                                static_cast<int32_t>(p * share),
                                static_cast<int32_t>(std::min((p + 1) * share, blocks)), p});
        }
      }
    }
    for (int64_t r = 0; r < count; ++r) plan.first_slot.push_back(plan.first_slot.back() + parts);
  }
  plan.items = longest_first(plan.items);
  return plan;
}

}  // namespace weft
