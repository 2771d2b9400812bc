/// What the scheduler is given. Free of LibTorch.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "model/text_model.h"

namespace weft {

class Lora;

/// A text that stays in the cache beyond its request. The engine's thread alone touches it, but for
/// `num_sampled`, which is there when the response is.
struct HeldText {
  std::shared_ptr<const Lora> lora;
  std::vector<int32_t> text;    ///< what the blocks hold
  std::vector<int32_t> blocks;  ///< empty: the cache let go of it
  size_t num_sampled = 0;       ///< ids of the completion before its stop string
};

/// A checked request with its prompt as ids.
struct EngineRequest {
  TextRequest request;
  std::vector<int32_t> prompt;
  std::shared_ptr<const Lora> lora;
  bool lowered = false;  ///< by its allowance
  int64_t job = 0;       ///< requests of one job share its slots in their order; 0: one of its own
  std::function<void(TextResponse)> done;
  std::shared_ptr<HeldText> begins_with;  ///< its text is the head of the prompt; may be null
  std::shared_ptr<HeldText> hold_as;      ///< is to hold prompt and completion; only with n = 1
};

}  // namespace weft
