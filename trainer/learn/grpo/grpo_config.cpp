#include "trainer/learn/grpo/grpo_config.h"

#include <fmt/format.h>

#include <cmath>

#include "base/error.h"
#include "base/file.h"
#include "base/machine.h"
#include "data/trajectory_log.h"
#include "model/checkpoint/hf_model.h"
#include "model/ops/threads.h"
#include "trainer/learn/run/policy.h"
#include "trainer/learn/run/rough_time.h"
#include "trainer/learn/run/start.h"
#include "workflow/test_checks.h"

namespace weft {
namespace {

constexpr double kMostRollouts = 1e6;  // of a step; they are in memory at once

void check_at_least(const char* field, int64_t value, int64_t least) {
  if (value < least) {
    throw InputError(fmt::format("{}: expected >= {}, got {}", field, least, value));
  }
}

int64_t kv_bytes(const GrpoConfig& config, const TransformerConfig& shape, int64_t weight_bytes) {
  if (config.engine.kv_mb > 0) return config.engine.kv_mb << 20;
  // What the engine's batch can fill at the rollouts' length, prompts estimated as long as them.
  const int64_t token_bytes = 2 * shape.num_layers * shape.kv_size() * weight_bytes;
  const EngineOptions engine = config.engine.for_device(false, 0, token_bytes);
  return engine.max_batch * 2 * config.max_completion_tokens * token_bytes;
}

}  // namespace

void GrpoValidationOptions::validate() const {
  check_at_least("num_prompts", num_prompts, 1);
  check_at_least("samples", samples, 1);
  require_room("samples", samples, kRecordBytes);
  check_at_least("every_steps", every_steps, 0);
}

PolicyUpdateOptions GrpoConfig::policy_update() const {
  PolicyUpdateOptions options = update;
  options.max_completion_tokens = max_completion_tokens;
  return options;
}

bool GrpoConfig::shares_worker() const {
  return worker.kind == ModelKind::kLocal && !learn.full_weights &&
         (worker.model.empty() || worker.model == model) &&
         (worker.dtype.empty() ||
          resolve_inference_dtype(worker.dtype) == resolve_inference_dtype(dtype));
}

void GrpoConfig::validate() const {
  resolve_dtype(dtype);
  require_threads("threads", threads);
  workbench.validate();
  check_at_least("steps", steps, 0);
  check_at_least("prompts_per_step", prompts_per_step, 1);
  if (samples_per_prompt < 2) {
    throw InputError(
        fmt::format("samples_per_prompt: expected >= 2, got {}: the baseline of a rollout is its "
                    "group's, so that a group of one has no advantage",
                    samples_per_prompt));
  }
  const double rollouts = double(prompts_per_step) * double(samples_per_prompt);
  if (rollouts > kMostRollouts) {
    throw InputError(
        fmt::format("prompts_per_step, samples_per_prompt: expected at most {:.0f} rollouts a "
                    "step, got {} x {}",
                    kMostRollouts, prompts_per_step, samples_per_prompt));
  }
  check_at_least("max_completion_tokens", max_completion_tokens, 1);
  require_room("max_completion_tokens", max_completion_tokens, kTokenBytes);
  check_at_least("max_bad_rollouts", max_bad_rollouts, 0);
  check_at_least("refill_rounds", refill_rounds, 0);
  check_method(method, update);
  if (steps > 0) learn.schedule.require_warmup_within(steps);
  if (!(temperature >= 0.01 && temperature <= 100)) {
    throw InputError(
        fmt::format("temperature: expected a number in [0.01, 100], got {}", temperature));
  }
  if (reference != "base" && reference != "init") {
    throw InputError("reference: expected base or init, got " + reference);
  }
  if (exact && engine.kv_mb == 0) {
    throw InputError(
        "exact: needs engine.kv_mb > 0, since a cache of a share of the free memory differs from "
        "run to run, and with it what is decoded together");
  }
  const bool local_worker = worker.kind == ModelKind::kLocal && !worker.model.empty();
  if (local_worker && fs::exists(fs::path(worker.model) / "adapter_config.json")) {
    throw InputError("worker.model: expected a Hugging Face directory, got a PEFT adapter: " +
                     worker.model);
  }
  if (reference == "init" && learn.init_adapter.empty()) {
    throw InputError("reference: \"init\" needs init_adapter");
  }
  if (learn.full_weights && !learn.init_adapter.empty()) {
    throw InputError("init_adapter: has no meaning with learn.full_weights = true");
  }
  if (learn.full_weights && worker.kind == ModelKind::kLocal && worker.model.empty()) {
    throw InputError(
        "worker.model: training full weights changes the base, so a local worker needs a model "
        "folder of its own, got nothing");
  }
}

void GrpoConfig::check_start(StartCheck& check) const {
  check_trainer_start({model, learn.init_adapter, device, out, plans_for_a_card(),
                       [this] { return memory_plan(); }},
                      check);
  const bool are_there = check.files("tasks", tasks);
  const bool validates =
      !validation.tasks.empty() && check.files("validation.tasks", validation.tasks);
  check.without_error([this] {
    if (!trajectories.empty()) {
      const TrajectoryLog log(trajectories, {});
    }
  });
  if (worker.kind == ModelKind::kRemote) {
    worker.remote.check_start("worker.remote", check);
  } else if (!worker.model.empty()) {
    check.model_folder("worker.model", worker.model);
  }
  workbench.check_start(check, [&](Workbench& bench) {
    if (are_there) bench.require_working(load_judgeable_tasks(tasks));
    if (validates) bench.require_working(load_judgeable_tasks(validation.tasks));
  });
}

Json GrpoConfig::memory_plan() const {
  MemoryPlanInput input;
  input.shape = plan_shape(model, model_shape);
  input.weight_bytes = plan_weight_bytes(dtype);
  input.learn = learn;
  input.learn.lora = adapter_shape(learn);
  input.entropy = true;
  input.kv_cache_bytes = kv_bytes(*this, input.shape, input.weight_bytes);
  const bool frozen_reference = learn.full_weights && update.loss.kl_coefficient > 0;
  input.frozen_copies = frozen_reference ? 1 : 0;
  if (worker.kind == ModelKind::kLocal && !shares_worker()) {
    const TransformerConfig shape =
        worker.model.empty() ? input.shape : plan_shape(worker.model, "");
    const std::string& held = worker.dtype.empty() ? dtype : worker.dtype;
    const int64_t cache_bytes = plan_weight_bytes(held == "int8" ? "auto" : held);
    input.worker_bytes =
        shape.num_parameters() * plan_weight_bytes(held) + kv_bytes(*this, shape, cache_bytes);
  }
  return fitted_plan(input, plan);
}

Json GrpoConfig::data_plan() const {
  const auto config_file = std::filesystem::path(model) / "config.json";
  if (model.empty() || !std::filesystem::exists(config_file)) return nullptr;
  const int64_t rollouts = steps * prompts_per_step * samples_per_prompt;
  Json shown = {{"rollouts", rollouts}};
  const bool on_this_cpu = plan.gpu.empty() && (device == "cpu" || device == "auto");
  if (!on_this_cpu) return shown;
  use_threads(threads);
  const double tokens = double(rollouts) * double(max_completion_tokens);
  shown["time"] =
      rough_rollout_time(TransformerConfig::from_directory(model), learn, resolve_dtype(dtype),
                         tokens, update.epochs, update.loss.kl_coefficient > 0);
  return shown;
}

}  // namespace weft
