#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "model/engine/engine.h"

namespace weft {

/// Texts of one adapter laid end to end, and which of their next-token logprobs are wanted.
struct ScorePack {
  std::vector<int64_t> lengths;
  std::vector<int64_t> ids;
  std::vector<int64_t> rows;     ///< places in `ids`
  std::vector<int64_t> targets;  ///< the id after each of `rows`
  const Lora* lora = nullptr;
};

/// Gives [rows] f32 on the CPU: log p(targets | text up to the row).
using PackScorer = std::function<at::Tensor(const ScorePack&)>;

/// Engine::score by means of `scorer`; `adapters` one for each request, null for the base.
std::vector<std::vector<float>> score_in_packs(
    const std::vector<ScoreRequest>& requests,
    const std::vector<std::shared_ptr<const Lora>>& adapters, const PackScorer& scorer);

/// Engine::score on the calling thread with the trainer's forward.
std::vector<std::vector<float>> score_packed(
    const Transformer& model, const std::vector<ScoreRequest>& requests,
    const std::vector<std::shared_ptr<const Lora>>& adapters);

/// Numbers as a tensor [n] int64 on the CPU.
at::Tensor index_tensor(const std::vector<int64_t>& values);

}  // namespace weft
