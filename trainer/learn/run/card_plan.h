/// Whether a training run fits a GPU's memory, and what would.
#pragma once

#include <cstdint>
#include <string>

#include "base/config.h"
#include "trainer/learn/run/memory_plan.h"

namespace weft {

struct PlanOptions {
  std::string gpu;  ///< card that the memory plan must fit; empty: none

  template <class V>
  void visit(V& v) {
    v("gpu", gpu,
      "card that the memory plan of --dry-run must fit: a100-40gb, a100, h100, h200, b200, l40s, "
      "rtx-4090, or a size as \"48gb\"; empty: none");
  }
  /// Throws InputError for a card that is not known.
  void validate() const;
};

/// Memory of a card in bytes, as its maker states it (1 GB = 1e9 bytes). Throws InputError naming
/// the cards that are known.
int64_t card_bytes(const std::string& gpu);

/// memory_plan(input), where a card is named with "card" {"gpu", "bytes", "for_the_run", "left"}
/// behind it. A run may take 95 % of a card: the rest is left to CUDA, its libraries and gaps
/// between blocks. Throws InputError where the plan is larger, with its largest parts and with
/// settings, as few and as mild as are enough, under which it would fit.
Json fitted_plan(const MemoryPlanInput& input, const PlanOptions& plan);

}  // namespace weft
