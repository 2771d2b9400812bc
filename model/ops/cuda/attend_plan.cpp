#include "model/ops/cuda/attend_plan.h"

#include <algorithm>
#include <utility>

namespace weft {
namespace {

constexpr int64_t kPartBlocks = 16;

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

}  // namespace

int64_t most_attend_parts(int64_t context) {
  return std::min<int64_t>(divide_up(blocks_of(context), kPartBlocks), cuda::kMostParts);
}

AttendPlan plan_attention(std::span<const int32_t> lengths) {
  std::vector<cuda::AttendItem> items;
  std::vector<int32_t> first_slot = {0};
  for (size_t row = 0; row < lengths.size(); ++row) {
    const int64_t blocks = blocks_of(lengths[row]), share = part_blocks(blocks);
    int32_t slot = first_slot.back();
    for (int64_t first = 0; first < blocks; first += share) {
      const int64_t last = std::min(first + share, blocks);
      items.push_back({static_cast<int32_t>(row), static_cast<int32_t>(first),
                       static_cast<int32_t>(last), blocks <= share ? -1 : slot++});
    }
    first_slot.push_back(slot);
  }
  return {longest_first(items), std::move(first_slot)};
}

}  // namespace weft
