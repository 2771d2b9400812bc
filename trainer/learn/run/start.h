/// What keeps a training run from starting, for --dry-run.
#pragma once

#include <functional>
#include <string>

#include "base/json.h"
#include "base/start_check.h"

namespace weft {

/// What every trainer's config names.
struct TrainerParts {
  std::string model, init_adapter, device, out;
  bool for_a_card = false;            ///< the memory of this machine is of no account
  std::function<Json()> memory_plan;  ///< may throw InputError
};

/// Adds what is wrong with model, adapter, device and folder, and where the run computes on the CPU
/// a plan that is larger than the machine's memory.
void check_trainer_start(const TrainerParts& parts, StartCheck& check);

}  // namespace weft
