#include "model/engine/engine_core.h"

#include <algorithm>
#include <chrono>

#include "base/error.h"
#include "base/memory.h"
#include "model/device/cuda/cuda_library.h"

namespace weft {
namespace {

using Clock = std::chrono::steady_clock;

int64_t free_memory(const ComputeDevice& device) {
  if (device.library == nullptr) return available_memory();
  int64_t free_bytes = 0, total_bytes = 0;
  const int32_t status = device.library->services.memory(device.index, &free_bytes, &total_bytes);
  if (status != 0) throw Error(std::string("CUDA: ") + device.library->error_text(status));
  return free_bytes;
}

int64_t cache_blocks(const Transformer& model, const EngineOptions& options, int64_t max_context,
                     const ComputeDevice& device) {
  const int64_t block = KvCache::block_bytes(model.num_layers(), model.head_shape(), model.dtype());
  const int64_t budget =
      options.kv_mb > 0
          ? options.kv_mb << 20
          : static_cast<int64_t>(options.kv_fraction * static_cast<double>(free_memory(device)));
  const int64_t most = options.max_batch * (blocks_for(max_context) + 1);
  const int64_t blocks = std::min(budget / block, most);
  if (blocks < 2) {
    throw InputError("kv_mb: expected room for at least 2 blocks of " + std::to_string(block) +
                     " bytes, got " + std::to_string(budget) + " bytes");
  }
  return blocks;
}

SchedulerOptions scheduler_options(const EngineOptions& options, int64_t max_context,
                                   int64_t num_blocks) {
  const auto kept = static_cast<int64_t>(options.prefix_fraction * static_cast<double>(num_blocks));
  return {options.max_batch, options.prefill_tokens, max_context, num_blocks, kept};
}

std::vector<StepSpan> spans_of(const StepPlan& plan) {
  std::vector<StepSpan> spans;
  for (const PlannedSpan& s : plan.spans) {
    spans.push_back({s.ids, s.start, &s.blocks, s.lora, s.wants_logits});
  }
  return spans;
}

}  // namespace

EngineCore::EngineCore(const Transformer& model, const Tokenizer* tokenizer,
                       const EngineOptions& options, int64_t max_context,
                       const ComputeDevice& device)
    : scheduler_(scheduler_options(options, max_context,
                                   cache_blocks(model, options, max_context, device)),
                 tokenizer, model.config().eos_ids),
      cache_(model.num_layers(), model.head_shape(), model.dtype(), scheduler_.pool().num_blocks(),
             model.final_norm_weight().device()),
      runner_(make_step_runner(device, model, cache_,
                               {options.max_batch, max_context, options.cuda_graphs})) {}

void EngineCore::step() {
  StepPlan plan;
  try {
    plan = scheduler_.plan();
    scheduler_.apply(plan, compute(plan));
  } catch (const std::exception& e) {
    scheduler_.fail(plan, std::string("the engine failed: ") + e.what());
  }
}

StepResult EngineCore::compute(const StepPlan& plan) {
  const auto start = Clock::now();
  for (const BlockEdit& edit : plan.edits) {
    edit.from == kZeros ? cache_.clear(edit.block) : cache_.copy(edit.from, edit.block);
  }
  StepResult result;
  if (plan.spans.empty()) return result;
  const at::Tensor logits = runner_->forward(spans_of(plan));
  std::vector<kernels::SampleArgs> draws;
  std::vector<int64_t> rows;
  for (const PlannedDraw& draw : plan.draws) {
    draws.push_back(draw.args);
    rows.push_back(draw.row);
  }
  result.samples = runner_->sample(logits, std::move(draws), rows);
  result.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  return result;
}

}  // namespace weft
