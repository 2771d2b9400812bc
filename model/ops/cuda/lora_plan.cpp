#include "model/ops/cuda/lora_plan.h"

#include <algorithm>

namespace weft {

std::vector<cuda::LoraTile> plan_lora(std::span<const LoraRows> ranges) {
  std::vector<cuda::LoraTile> tiles;
  for (const auto& [adapter, begin, end] : ranges) {
    for (int64_t row = begin; row < end; row += cuda::kLoraRows) {
      const int64_t count = std::min<int64_t>(cuda::kLoraRows, end - row);
      tiles.push_back({adapter, static_cast<int32_t>(row), static_cast<int32_t>(count)});
    }
  }
  return tiles;
}

}  // namespace weft
