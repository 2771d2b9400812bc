/// One pass of the engine as a value: what is to be computed, without a tensor. Free of LibTorch.
#pragma once

#include <cstdint>
#include <vector>

#include "model/engine/pass_costs.h"
#include "model/ops/cpu/kernel_table.h"

namespace weft {

class Lora;

/// Choice of a request that stands for its prompt.
constexpr int kPrompt = -1;

/// Most first tokens that one pass draws for choices that are to start.
constexpr int64_t most_first_draws(int64_t max_batch) { return max_batch < 64 ? 64 : max_batch; }

/// Most draws of one pass.
constexpr int64_t most_draws(int64_t max_batch) { return max_batch + most_first_draws(max_batch); }

/// A change of the cache that is to be made before the pass, in the order of the plan.
struct BlockEdit {
  int32_t block;
  int32_t from;  ///< block to copy, or kZeros
};
constexpr int32_t kZeros = -1;

/// Draw of no pass.
constexpr int64_t kNoDraw = -1;

/// New tokens of one text.
struct PlannedSpan {
  int64_t request = 0;  ///< as Scheduler::add returned
  int choice = kPrompt;
  std::vector<int32_t> ids;     ///< at least one; what stands there is not read where:
  int64_t of_draw = kNoDraw;    ///< the one id is that of this draw of the pass before
  int64_t start = 0;            ///< tokens of the text that are in the cache already
  std::vector<int32_t> blocks;  ///< of the text, enough for start + ids
  const Lora* lora = nullptr;   ///< lives until the pass is applied
  bool wants_logits = false;    ///< of the last token
};

/// A token to be sampled.
struct PlannedDraw {
  int64_t request = 0;
  int choice = 0;
  int64_t row = 0;           ///< of the logits: the place among the spans that want some
  kernels::SampleArgs args;  ///< logits and size are the runner's to fill in
};

/// Spans of one adapter are adjacent.
struct PassPlan {
  std::vector<BlockEdit> edits;
  std::vector<PlannedSpan> spans;
  std::vector<PlannedDraw> draws;
  int64_t decoded = 0;       ///< spans that are the next token of a sequence
  int64_t prefilled = 0;     ///< tokens of the other spans
  PassWork work;             ///< of all spans
  double prefill_share = 0;  ///< of the pass's time that the other spans are expected to add
};

/// What came of a plan.
struct PassResult {
  std::vector<kernels::SampleResult> samples;  ///< one for each draw
  double seconds = 0;                          ///< that the pass took
};

}  // namespace weft
