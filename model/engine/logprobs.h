#pragma once

#include <memory>
#include <vector>

#include "model/engine/engine.h"

namespace weft {

/// Engine::logprobs on the calling thread with the trainer's forward, where the model lies;
/// `adapters` one for each request, null for the base. Looks at `stop` before each layer and each
/// chunk of the head.
std::vector<std::vector<float>> packed_logprobs(
    const Transformer& model, const std::vector<LogprobRequest>& requests,
    const std::vector<std::shared_ptr<const Lora>>& adapters, const StopCheck& stop = {});

}  // namespace weft
