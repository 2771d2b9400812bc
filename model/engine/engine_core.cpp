#include "model/engine/engine_core.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/error.h"
#include "base/memory.h"
#include "model/ops/cuda/cuda_library.h"

namespace weft {
namespace {

int64_t free_memory(const ComputeDevice& device) {
  if (device.library == nullptr) return available_memory();
  int64_t free_bytes = 0, total_bytes = 0;
  const int32_t status = device.library->services.memory(device.index, &free_bytes, &total_bytes);
  if (status != 0) throw Error(std::string("CUDA: ") + device.library->error_text(status));
  return free_bytes;
}

EngineOptions options_for(const Transformer& model, const EngineOptions& options,
                          const ComputeDevice& device, int64_t available) {
  const int64_t block = KvCache::block_bytes(model.num_layers(), model.head_shape(), model.dtype());
  return options.for_device(device.library != nullptr, available, block / kernels::kBlockTokens);
}

int64_t cache_blocks(const Transformer& model, const EngineOptions& options, int64_t max_context,
                     int64_t available) {
  const int64_t block = KvCache::block_bytes(model.num_layers(), model.head_shape(), model.dtype());
  const int64_t budget = options.kv_bytes(available);
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
  return {options.max_batch,    options.prefill_tokens,
          options.mixed_tokens, max_context,
          num_blocks,           kept};
}

PassCosts::Shape cost_shape(const Transformer& model) {
  const TransformerConfig& c = model.config();
  const auto layers = static_cast<double>(c.num_layers),
             hidden = static_cast<double>(c.hidden_size);
  const double queries = static_cast<double>(c.q_size());
  const double keys = static_cast<double>(c.kv_size());
  const double multiplied =
      layers * hidden * (2 * queries + 2 * keys + 3 * static_cast<double>(c.intermediate_size));
  const double read = multiplied + hidden * static_cast<double>(c.vocab_size);
  const auto bytes = static_cast<double>(c10::elementSize(model.dtype()));
  const double weight_bytes = model.is_rounded() ? 1 : bytes;
  return {2 * layers * keys * bytes / (read * weight_bytes),
          4 * layers * queries / (2 * multiplied)};
}

std::vector<PassSpan> spans_of(const PassPlan& plan) {
  std::vector<PassSpan> spans;
  for (const PlannedSpan& s : plan.spans) {
    spans.push_back({s.ids, s.start, &s.blocks, s.lora, s.wants_logits, s.of_draw});
  }
  return spans;
}

}  // namespace

EngineCore::EngineCore(const Transformer& model, const Tokenizer* tokenizer,
                       const EngineOptions& options, int64_t max_context,
                       const ComputeDevice& device)
    : EngineCore(model, tokenizer, options, max_context, device, free_memory(device)) {}

EngineCore::EngineCore(const Transformer& model, const Tokenizer* tokenizer,
                       const EngineOptions& options, int64_t max_context,
                       const ComputeDevice& device, int64_t available)
    : options_(options_for(model, options, device, available)),
      scheduler_(scheduler_options(options_, max_context,
                                   cache_blocks(model, options_, max_context, available)),
                 tokenizer, model.config().eos_ids),
      cache_(model.num_layers(), model.head_shape(), model.dtype(), scheduler_.pool().num_blocks(),
             model.final_norm_weight().device()),
      runner_(make_pass_runner(
          device, model, cache_,
          {options_.max_batch, max_context, options_.cuda_graphs, options_.invariant})),
      costs_(cost_shape(model)) {}

void EngineCore::plan() {
  plan_ = {};
  try {
    plan_ = scheduler_.plan(costs_);
  } catch (const std::exception& e) {
    fail(e);
  }
}

void EngineCore::compute(const std::function<bool()>& may_go_on,
                         const std::function<void()>& applied) {
  if (plan_.spans.empty() && plan_.edits.empty()) return;
  const bool takes_more = options_.plan_ahead && runner_->takes_passes_ahead();
  try {
    auto begun = begin(plan_);
    while (true) {
      std::optional<PassPlan> next;
      if (takes_more && may_go_on()) next = scheduler_.plan_ahead(plan_, costs_);
      const auto next_begun = next ? begin(*next) : begun;
      const PassResult result = end(plan_, begun);
      learn(result.seconds);
      scheduler_.apply(plan_, result);
      if (!next) break;
      plan_ = std::move(*next);
      begun = next_begun;
      applied();
    }
  } catch (const PassDropped&) {
    scheduler_.drop(plan_);
  } catch (const std::exception& e) {
    fail(e);
  }
  plan_ = {};
}

void EngineCore::fail(const std::exception& error) {
  runner_->forget_draws();
  scheduler_.fail(plan_, std::string("the engine failed: ") + error.what());
}

EngineCore::Clock::time_point EngineCore::begin(const PassPlan& plan) {
  const auto now = Clock::now();
  for (const BlockEdit& edit : plan.edits) {
    edit.from == kZeros ? cache_.clear(edit.block) : cache_.copy(edit.from, edit.block);
  }
  if (plan.spans.empty()) return now;
  const at::Tensor logits = runner_->forward(spans_of(plan));
  std::vector<kernels::SampleArgs> draws;
  std::vector<int64_t> rows;
  for (const PlannedDraw& draw : plan.draws) {
    draws.push_back(draw.args);
    rows.push_back(draw.row);
  }
  runner_->draw(logits, std::move(draws), rows);
  return now;
}

// A pass that was begun before the end of the one before it takes its time from there on.
PassResult EngineCore::end(const PassPlan& plan, Clock::time_point begun) {
  PassResult result;
  if (plan.spans.empty()) return result;
  result.samples = runner_->drawn();
  const auto now = Clock::now();
  result.seconds = std::chrono::duration<double>(now - std::max(begun, last_end_)).count();
  last_end_ = now;
  return result;
}

// On a GPU only a pass that draws has ended when its call returns.
void EngineCore::learn(double seconds) {
  unmeasured_ = unmeasured_ + plan_.work;
  unmeasured_s_ += seconds;
  if (plan_.draws.empty()) return;
  costs_.learn(std::exchange(unmeasured_, {}), std::exchange(unmeasured_s_, 0.0));
}

}  // namespace weft
