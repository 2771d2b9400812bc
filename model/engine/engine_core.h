/// The engine without its thread: a scheduler, the cache that it plans for, and the runner that
/// computes the plans.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "model/engine/engine.h"
#include "model/engine/kv_cache.h"
#include "model/engine/pass_runner.h"
#include "model/engine/scheduler.h"

namespace weft {

/// Used by one thread.
class EngineCore {
 public:
  /// Borrows all but the options. `device` holds the model's weights. Throws InputError where the
  /// memory has no room for two blocks.
  EngineCore(const Transformer& model, const Tokenizer* tokenizer, const EngineOptions& options,
             int64_t max_context, const ComputeDevice& device);

  /// Plans the next pass, so that the scheduler's statistics are those of the pass. Only where
  /// there is work.
  void plan();

  /// Computes what was planned, and learns what it took. While `may_go_on` says so, passes that can
  /// be planned meanwhile follow at once, where the device takes them; `applied` is called between
  /// them. Where any of it throws, every request ends as failed; as cancelled where the runner's
  /// stop check threw PassDropped.
  void compute(const std::function<bool()>& may_go_on, const std::function<void()>& applied);

  /// With what was left to the device.
  const EngineOptions& options() const { return options_; }
  Scheduler& scheduler() { return scheduler_; }
  PassRunner& runner() { return *runner_; }

 private:
  EngineCore(const Transformer& model, const Tokenizer* tokenizer, const EngineOptions& options,
             int64_t max_context, const ComputeDevice& device, int64_t available);
  using Clock = std::chrono::steady_clock;
  Clock::time_point begin(const PassPlan& plan);
  PassResult end(const PassPlan& plan, Clock::time_point begun);
  void learn(double seconds);
  void fail(const std::exception& error);

  const EngineOptions options_;
  Scheduler scheduler_;
  KvCache cache_;
  std::unique_ptr<PassRunner> runner_;
  PassPlan plan_;
  Clock::time_point last_end_{};
  PassCosts costs_;
  PassWork unmeasured_;  // of passes that may have gone on when their call returned
  double unmeasured_s_ = 0;
};

}  // namespace weft
