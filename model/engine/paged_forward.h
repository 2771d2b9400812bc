/// One pass of the decoder over the paged cache: prompt chunks and single tokens alike.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "model/engine/kv_cache.h"
#include "model/engine/pass_plan.h"
#include "model/transformer/lora.h"
#include "model/transformer/transformer.h"

namespace weft {

/// New tokens of one sequence.
struct PassSpan {
  std::vector<int32_t> ids;  ///< at least one
  int64_t start = 0;         ///< tokens of the sequence that are in the cache already
  const std::vector<int32_t>* blocks = nullptr;  ///< its blocks, enough for start + ids
  const Lora* lora = nullptr;
  bool wants_logits = true;   ///< of its last token
  int64_t of_draw = kNoDraw;  ///< the one id is that of this draw of the pass before
};

/// Runs all spans at once and writes their keys and values to the cache. Returns fp32 logits
/// [spans that want them, V], in the order of the spans. Spans of one adapter must be adjacent.
/// Looks at `stop` before each layer.
at::Tensor paged_forward(const Transformer& model, KvCache& cache,
                         const std::vector<PassSpan>& spans, const StopCheck& stop = {});

}  // namespace weft
