/// Where the passes of the decoder are computed: the CPU, or a GPU through libweft_cuda.so. One
/// thread makes all calls, the engine's.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/stop.h"
#include "model/device.h"
#include "model/engine/engine.h"
#include "model/engine/kv_cache.h"
#include "model/engine/paged_forward.h"
#include "model/engine/pass_plan.h"
#include "model/ops/cpu/kernel_table.h"

namespace weft {

/// What decode passes may come to.
struct PassLimits {
  int64_t max_batch;    ///< sequences decoded together
  int64_t max_context;  ///< tokens of each
  bool cuda_graphs = true;
  bool invariant = false;  ///< EngineOptions::invariant
};

/// For a stop check: nobody wants the pass any more.
class PassDropped : public Error {
 public:
  PassDropped() : Error("cancelled") {}
};

class PassRunner {
 public:
  virtual ~PassRunner() = default;

  /// Looked at before each layer of forward() where a pass may take long: on the CPU. To be called
  /// before the first pass.
  virtual void set_stop_check(StopCheck /*stop*/) {}

  /// Called once, by the thread that makes all other calls, before them: makes it the device's and
  /// records what is replayed later. Nothing is under way when it returns.
  virtual void start() {}

  /// Which products run, and how far logprobs of one text computed in different batches may differ:
  /// one line for people.
  virtual std::string numerics() const = 0;

  /// As paged_forward: fp32 logits [spans that want them, V], where the weights lie. They stay
  /// until the next call.
  virtual at::Tensor forward(const std::vector<PassSpan>& spans) = 0;

  /// Begins to draw from rows of the logits [rows, V] of the last forward, `draws[i]` from
  /// `rows[i]`: at most most_draws(max_batch). They need no logits and size.
  virtual void draw(const at::Tensor& logits, std::vector<kernels::SampleArgs> draws,
                    const std::vector<int64_t>& rows) = 0;

  /// What the first call of draw() gave of which this was not asked yet; waits for it.
  virtual std::vector<kernels::SampleResult> drawn() = 0;

  /// Drops what was drawn and not asked for: its pass failed.
  virtual void forget_draws() {}

  /// Whether one pass more, one without prompts, may be begun before drawn() is asked for the last
  /// one's: its spans name the draws whose ids they take.
  virtual bool takes_passes_ahead() const { return false; }

  /// draw() and drawn().
  std::vector<kernels::SampleResult> sample(const at::Tensor& logits,
                                            std::vector<kernels::SampleArgs> draws,
                                            const std::vector<int64_t>& rows) {
    draw(logits, std::move(draws), rows);
    return drawn();
  }

  /// Engine::logprobs; `adapters` one for each request, null for the base. Throws Interrupted after
  /// SIGINT or SIGTERM.
  virtual std::vector<std::vector<float>> logprobs(
      const std::vector<LogprobRequest>& requests,
      const std::vector<std::shared_ptr<const Lora>>& adapters) = 0;

  /// Waits for the passes that were begun.
  virtual void rest() {}

  /// To be called between passes when weights were written on the device, by any thread; waits for
  /// that.
  virtual void weights_changed() {}
};

/// The runner for a device, whose memory holds the model's weights and the cache; both are
/// borrowed. Throws InputError for a model that the GPU's kernels do not take.
std::unique_ptr<PassRunner> make_pass_runner(const ComputeDevice& device, const Transformer& model,
                                             KvCache& cache, const PassLimits& limits);

}  // namespace weft
