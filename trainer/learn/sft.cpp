#include "trainer/learn/sft.h"

#include <algorithm>
#include <chrono>
#include <numeric>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/progress.h"
#include "base/rng.h"
#include "base/run_dir.h"
#include "base/stop.h"
#include "model/checkpoint/hf_model.h"
#include "model/provenance.h"
#include "trainer/learn/memory_plan.h"
#include "trainer/learn/policy.h"

namespace weft {
namespace {

constexpr int kMaxSkippedInARow = 10;

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

SftData load_data(const SftConfig& config, const Policy& policy) {
  const ExampleEncoder encoder(*policy.tokenizer, policy.chat_template.get(),
                               policy.model->config().eos_ids);
  SftDataOptions options = config.data;
  options.max_tokens = std::min(options.max_tokens, policy.model->config().max_positions);
  if (!options.jsonl.empty()) return load_jsonl_examples(options, encoder);
  SandboxOptions sandbox_options;
  sandbox_options.num_slots = 1;
  Sandbox sandbox(sandbox_options);
  PythonAnalyser analyser(sandbox);
  return load_store_examples(options, encoder, MetaAgent(analyser, config.meta_agent));
}

Json state_of(const SftSummary& s) {
  return {{"step", s.steps},
          {"tokens", s.tokens},
          {"trained_tokens", s.trained_tokens},
          {"skipped_steps", s.skipped_steps},
          {"last_loss", s.last_loss}};
}

SftSummary summary_of(const Json& state, const std::string& where) {
  return {get_field<int64_t>(state, "step", where), get_field<int64_t>(state, "tokens", where),
          get_field<int64_t>(state, "trained_tokens", where),
          get_field<int64_t>(state, "skipped_steps", where),
          get_field_or<double>(state, "last_loss", 0, where)};  // null: it was not finite
}

class SftRun {
 public:
  SftRun(const SftConfig& config, bool resume, const Json& resolved)
      : config_(config),
        dir_(config.out, resume, resolved, {"out", "checkpoint", "epochs", "max_steps"}),
        checkpoints_(dir_.path(), config.model, config.checkpoint),
        policy_(open_policy({config.model, config.dtype, config.device}, config.learn, config.seed,
                            checkpoints_.latest())),
        data_(load_data(config, policy_)),
        schedule_(static_cast<int64_t>(data_.sequences.size()), config),
        learner_(policy_.model, policy_.lora, config.learn) {
    if (const auto latest = checkpoints_.latest()) {
      summary_ = summary_of(CheckpointSet::restore(*latest, learner_), *latest);
      log::info("going on from {}", latest->string());
    }
    config.learn.schedule.require_warmup_within(schedule_.num_steps());
    saved_step_ = summary_.steps;
    if (data_.num_too_long > 0) {
      log::warn("{} examples are longer than data.max_tokens or the model's context and left out",
                data_.num_too_long);
    }
  }

  SftSummary run() {
    MetricWriter metrics(dir_.path(), summary_.steps);
    Progress progress("sft", schedule_.num_steps(), "steps", summary_.steps);
    try {
      while (summary_.steps < schedule_.num_steps()) {
        throw_if_stopped();
        const Json values = step();
        metrics.write(summary_.steps, values);
        progress.note(fmt::format("loss {:.3f}", summary_.last_loss));
        progress.advance();
        if (checkpoints_.due(summary_.steps)) save();
      }
    } catch (const Interrupted&) {
      save();
      throw;
    }
    save();
    checkpoints_.publish_final();
    const LearnOptions& learn = config_.learn;
    write_teachers(dir_.file("final"),
                   learn.init_adapter.empty() ? config_.model : learn.init_adapter, data_.teachers);
    write_file_atomically(dir_.file("summary.json"), dump_json_pretty(state_of(summary_)));
    return summary_;
  }

 private:
  Json step() {
    const auto start = std::chrono::steady_clock::now();
    std::vector<TrainSequence> batch;
    int64_t loss_tokens = 0;
    for (const int64_t i : schedule_.batch(summary_.steps)) {
      batch.push_back(data_.sequences[i]);
      loss_tokens += static_cast<int64_t>(batch.back().completion_ids.size());
    }
    const double lr = learning_rate(config_.learn.schedule, summary_.steps, schedule_.num_steps());
    double loss_sum = 0;
    const UpdateResult update = learner_.step(batch, supervised_loss(loss_tokens, loss_sum), lr);
    count_skipped(update.applied);
    ++summary_.steps;
    summary_.tokens += update.num_tokens;
    summary_.trained_tokens += update.loss_tokens;
    summary_.last_loss = loss_sum / static_cast<double>(loss_tokens);
    return {{"loss", summary_.last_loss},
            {"lr", lr},
            {"grad_norm", update.grad_norm},
            {"tokens", update.num_tokens},
            {"trained_tokens", update.loss_tokens},
            {"tokens_per_s", static_cast<double>(update.num_tokens) / seconds_since(start)},
            {"skipped", update.applied ? 0 : 1}};
  }

  void count_skipped(bool applied) {
    skipped_in_a_row_ = applied ? 0 : skipped_in_a_row_ + 1;
    if (applied) return;
    ++summary_.skipped_steps;
    log::warn("step {}: the gradient is not finite, skipped", summary_.steps + 1);
    if (skipped_in_a_row_ >= kMaxSkippedInARow) {
      throw Error(
          fmt::format("the gradient was not finite for {} steps in a row", kMaxSkippedInARow));
    }
  }

  void save() {
    if (saved_step_ == summary_.steps && checkpoints_.latest()) return;
    checkpoints_.save(summary_.steps, learner_, state_of(summary_));
    saved_step_ = summary_.steps;
  }

  const SftConfig& config_;
  RunDir dir_;
  CheckpointSet checkpoints_;
  Policy policy_;
  SftData data_;
  SftSchedule schedule_;
  Learner learner_;
  SftSummary summary_;
  int64_t saved_step_ = 0;
  int skipped_in_a_row_ = 0;
};

void check_at_least(const char* field, int64_t value, int64_t least) {
  if (value < least) {
    throw InputError(fmt::format("{}: expected >= {}, got {}", field, least, value));
  }
}

}  // namespace

void SftConfig::validate() const {
  resolve_dtype(dtype);
  check_at_least("epochs", epochs, 1);
  check_at_least("sequences_per_step", sequences_per_step, 1);
  check_at_least("max_steps", max_steps, 0);
  if (learn.full_weights && !learn.init_adapter.empty()) {
    throw InputError("init_adapter: has no meaning with learn.full_weights = true");
  }
}

Json SftConfig::memory_plan() const {
  MemoryPlanInput input;
  input.shape = plan_shape(model, model_shape);
  input.weight_bytes = plan_weight_bytes(dtype);
  input.learn = learn;
  return weft::memory_plan(input);
}

SftSchedule::SftSchedule(int64_t num_examples, const SftConfig& config)
    : num_examples_(num_examples),
      per_step_(config.sequences_per_step),
      steps_per_epoch_((num_examples + per_step_ - 1) / per_step_),
      num_steps_(steps_per_epoch_ * config.epochs),
      seed_(config.seed) {
  if (config.max_steps > 0) num_steps_ = std::min(num_steps_, config.max_steps);
}

std::vector<int64_t> SftSchedule::batch(int64_t step) const {
  std::vector<int64_t> order(num_examples_);
  std::iota(order.begin(), order.end(), 0);
  Rng(seed_, static_cast<uint64_t>(step / steps_per_epoch_)).shuffle(order);
  const int64_t begin = (step % steps_per_epoch_) * per_step_;
  const int64_t end = std::min(begin + per_step_, num_examples_);
  return {order.begin() + begin, order.begin() + end};
}

SftSummary run_sft(const SftConfig& config, bool resume, const Json& resolved_config) {
  config.data.require_source();
  return SftRun(config, resume, resolved_config).run();
}

}  // namespace weft
