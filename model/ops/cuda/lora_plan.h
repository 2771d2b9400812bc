/// How the GPU's batched low-rank update divides its rows.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/ops/cuda/cuda_library.h"

namespace weft {

/// Rows [begin, end) that an adapter applies to, by its place in BatchedLora::weights.
struct LoraRows {
  int32_t adapter;
  int64_t begin, end;
};

/// Tiles that have each of the ranges' rows once, and no others.
std::vector<cuda::LoraTile> plan_lora(std::span<const LoraRows> ranges);

}  // namespace weft
