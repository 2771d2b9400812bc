#pragma once

#include <memory>
#include <vector>

#include "model/engine/engine.h"

namespace weft {

/// Engine::score on the calling thread with the trainer's forward, where the model lies; `adapters`
/// one for each request, null for the base.
std::vector<std::vector<float>> score_packed(
    const Transformer& model, const std::vector<ScoreRequest>& requests,
    const std::vector<std::shared_ptr<const Lora>>& adapters);

}  // namespace weft
