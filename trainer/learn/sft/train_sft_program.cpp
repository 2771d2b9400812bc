#include "trainer/learn/sft/train_sft_program.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/clock_report.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/run_dir.h"
#include "base/stop.h"
#include "data/provenance.h"
#include "model/checkpoint/hf_model.h"
#include "model/open_model.h"
#include "model/ops/threads.h"
#include "trainer/learn/run/finite_guard.h"
#include "trainer/learn/run/policy.h"
#include "trainer/learn/run/step_log.h"
#include "trainer/learn/sft/sft_batches.h"

namespace weft {
namespace {

constexpr int kMaxSkippedInARow = 10;

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// A longer run is the same one only where the rate does not depend on its length.
ResumeRules resume_rules(const SftConfig& config) {
  ResumeRules rules{{"out", "plan", "checkpoint", "max_skipped_examples"},
                    {},
                    config.resume.allow,
                    config_to_json(SftConfig{})};
  if (config.learn.schedule.decay == LrDecay::kConstant) {
    rules.may_change.insert(rules.may_change.end(), {"epochs", "max_steps"});
  }
  const SftDataOptions& data = config.data;
  rules.inputs.model("model", config.model).model("init_adapter", config.learn.init_adapter);
  rules.inputs.files("tasks", data.tasks).files("data", {data.jsonl});
  if (!data.store.empty()) {
    rules.inputs.content("data", content_hash(stored_examples(data)), data.store);
  }
  return rules;
}

SftData load_data(const SftConfig& config, const SftDataOptions& options,
                  const ExampleEncoder& encoder, const std::filesystem::path& spool_dir) {
  if (!options.jsonl.empty()) return open_jsonl_examples(options, encoder, spool_dir);
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
          {"last_loss", s.last_loss},
          {"skipped_examples", s.skipped_examples}};
}

SftSummary summary_of(const Json& state, const std::string& where) {
  Json known = state_of({});
  known["unwritten"] = known["halved_microbatch"] = nullptr;
  require_known_fields(state, known, where);
  return {get_field<int64_t>(state, "step", where),
          get_field<int64_t>(state, "tokens", where),
          get_field<int64_t>(state, "trained_tokens", where),
          get_field<int64_t>(state, "skipped_steps", where),
          get_field_or<double>(state, "last_loss", 0, where),
          get_field_or<std::vector<int64_t>>(state, "skipped_examples", {}, where)};
}

SftDataOptions options_for(SftDataOptions options, const TransformerConfig& model) {
  options.max_tokens = std::min(options.max_tokens, model.max_positions);
  return options;
}

Json number_or_null(double value) { return std::isfinite(value) ? Json(value) : Json(); }

class SftRun {
 public:
  SftRun(const SftConfig& config, bool resume, const Json& resolved, const ComputeDevice& device)
      : config_(config),
        dir_(config.out, resume, resolved, resume_rules(config)),
        checkpoints_(dir_.path(), config.model, config.checkpoint),
        policy_(open_policy({config.model, config.dtype, device}, config.learn, config.seed,
                            checkpoints_.latest())),
        encoder_(*policy_.tokenizer, policy_.chat_template.get(), policy_.model->config().eos_ids),
        data_options_(options_for(config.data, policy_.model->config())),
        data_(load_data(config, data_options_, encoder_, dir_.path())),
        batches_(*data_.examples, SftSchedule(data_.examples->size(), config)),
        learner_(policy_.model, policy_.lora, seeded(config.learn, config.seed)) {
    if (const auto latest = checkpoints_.latest()) {
      const Json state = CheckpointSet::restore(*latest, learner_);
      const std::string where = CheckpointSet::state_file(*latest);
      summary_ = summary_of(state, where);
      unwritten_ = get_field_or<Json>(state, "unwritten", nullptr, where);
      const auto halved = get_field_or<int64_t>(state, "halved_microbatch", 0, where);
      if (halved > 0) learner_.set_halved_microbatch(halved);
      log::info("going on from {}", latest->string());
    }
    config.learn.schedule.require_warmup_within(batches_.num_steps());
    saved_step_ = summary_.steps;
    log_counts(data_.counts, data_options_);
  }

  SftSummary run() {
    StepLog log(dir_.path(), "skipped_examples.jsonl", summary_.steps, unwritten_);
    unwritten_ = nullptr;  // is written now
    Progress progress("sft", batches_.num_steps(), "steps", summary_.steps);
    num_updates_ = learner_.optimizer().num_updates();
    const auto train = [&] {
      while (summary_.steps < batches_.num_steps()) {
        throw_if_stopped();
        rows_.clear();
        const Json values = step();
        log.write(summary_.steps, values, rows_);
        check_limits();
        progress.note(fmt::format("loss {:.3f}", summary_.last_loss));
        progress.advance();
        if (checkpoints_.due(summary_.steps)) save();
      }
    };
    save_on_failure(train, [&] {
      unwritten_ = log.unwritten();
      if (!saving_) save();
    });
    save();
    if (num_updates_ == 0) throw Error(nothing_learnt());
    checkpoints_.publish_final();
    const LearnOptions& learn = config_.learn;
    write_teachers(dir_.file("final"),
                   learn.init_adapter.empty() ? config_.model : learn.init_adapter, data_.teachers);
    Json summary = state_of(summary_);
    summary["data"] = data_.counts.to_json();
    summary["clock"] = report_clock(reasons_to_differ(), /*decisions=*/0);
    write_file_atomically(dir_.file("summary.json"), dump_json_pretty(summary));
    return summary_;
  }

 private:
  Json step() {
    const auto start = std::chrono::steady_clock::now();
    const double lr = learning_rate(config_.learn.schedule, summary_.steps, batches_.num_steps());
    SftBatch batch = batches_.at(summary_.steps);
    batch.leave_out(summary_.skipped_examples);
    Attempt attempt = try_step(batch.sequences, lr);
    std::vector<int64_t> bad;
    if (!batch.sequences.empty() && !attempt.update.applied) bad = find_bad_examples(batch);
    if (!bad.empty()) {
      batch.leave_out(bad);
      attempt = try_step(batch.sequences, lr);
    }
    const UpdateResult& update = attempt.update;
    // With the step, and so with its lines: where it is cut short, a resume finds them again.
    summary_.skipped_examples.insert(summary_.skipped_examples.end(), bad.begin(), bad.end());
    num_updates_ = learner_.optimizer().num_updates();
    ++summary_.steps;
    count_skipped(update.applied);
    summary_.tokens += update.num_tokens;
    summary_.trained_tokens += update.applied ? update.loss_tokens : 0;
    if (std::isfinite(attempt.loss)) summary_.last_loss = attempt.loss;
    const bool measured = update.num_tokens > 0;
    const double rate = static_cast<double>(update.num_tokens) / seconds_since(start);
    return {{"loss", number_or_null(attempt.loss)},
            {"lr", lr},
            {"grad_norm", measured ? number_or_null(update.grad_norm) : Json()},
            {"tokens", update.num_tokens},
            {"trained_tokens", update.applied ? update.loss_tokens : 0},
            {"tokens_per_s", measured ? Json(rate) : Json()},
            {"packing", measured ? Json(packing(update)) : Json()},
            {"skipped", update.applied ? 0 : 1}};
  }

  /// Above 1 where a sequence is longer than a microbatch.
  double packing(const UpdateResult& update) const {
    const int64_t room = update.num_microbatches * learner_.tokens_per_microbatch();
    return static_cast<double>(update.num_tokens) / static_cast<double>(room);
  }

  struct Attempt {
    UpdateResult update;
    double loss = std::nan("");  ///< mean nats per loss token, by weight
  };

  /// An update by these sequences; not applied where there are none.
  Attempt try_step(const std::vector<TrainSequence>& batch, double lr) {
    Attempt attempt;
    attempt.update.applied = false;
    if (batch.empty()) return attempt;
    const double weight = total_loss_weight(batch);
    learner_.fit([&] {
      LoggedSum loss_sum;
      attempt.update = learner_.update(batch, supervised_loss(weight, loss_sum), lr);
      attempt.loss = loss_sum.value() / weight;
    });
    warn_of_memory();
    if (!attempt.update.applied) {
      log::warn("{}", keep_non_finite_batch(dir_.path(), summary_.steps + 1,
                                            attempt.update.non_finite, batch, *policy_.tokenizer));
    }
    return attempt;
  }

  /// Tries each example alone; the numbers of the bad ones, each with its line in rows_.
  std::vector<int64_t> find_bad_examples(const SftBatch& batch) {
    const std::string tensor = learner_.non_finite_weight(/*frozen_too=*/true);
    if (!tensor.empty()) {
      throw Error(
          fmt::format("step {}: the weights are not finite: {}", summary_.steps + 1, tensor));
    }
    const std::span<const TrainSequence> sequences = batch.sequences;
    LoggedSum ignored;
    const auto found = learner_.find_non_finite(sequences, [&](size_t i) {
      return supervised_loss(total_loss_weight(sequences.subspan(i, 1)), ignored);
    });
    warn_of_memory();
    std::vector<int64_t> bad;
    for (const size_t i : found) {
      const TrainSequence& example = batch.sequences[i];
      const int64_t number = batch.examples[i];
      if (!bad.empty() && bad.back() == number) continue;  // another part of the same one
      const std::string where = batches_.where(number);
      bad.push_back(number);
      rows_.push_back({{"step", summary_.steps + 1},
                       {"example", number},
                       {"where", where},
                       {"reason", "its gradient is not finite"},
                       {"prompt", policy_.tokenizer->decode(example.prompt_ids)},
                       {"completion", policy_.tokenizer->decode(example.completion_ids)},
                       {"prompt_ids", example.prompt_ids},
                       {"completion_ids", example.completion_ids}});
      log::warn("step {}: the gradient of example {} ({}) is not finite: left out from now on",
                summary_.steps + 1, number, where);
    }
    return bad;
  }

  void warn_of_memory() {
    const std::string warning = learner_.take_warning();
    if (!warning.empty()) log::warn("step {}: {}", summary_.steps + 1, warning);
  }

  void count_skipped(bool applied) {
    skipped_in_a_row_ = applied ? 0 : skipped_in_a_row_ + 1;
    if (applied) return;
    ++summary_.skipped_steps;
    log::warn("step {}: no finite gradient, no update", summary_.steps);
  }

  void check_limits() const {
    const auto skipped = static_cast<int64_t>(summary_.skipped_examples.size());
    if (skipped > config_.max_skipped_examples) {
      throw Error(fmt::format(
          "{} examples gave a gradient that is not finite, max_skipped_examples is {}: see {}",
          skipped, config_.max_skipped_examples, dir_.file("skipped_examples.jsonl").string()));
    }
    if (skipped_in_a_row_ >= kMaxSkippedInARow) {
      throw Error(fmt::format("no finite gradient for {} steps in a row", kMaxSkippedInARow));
    }
  }

  /// Why another run of this config may end with other bits.
  std::vector<std::string> reasons_to_differ() const {
    std::vector<std::string> reasons;
    if (data_.through_template) reasons = clock_reasons(config_.model, /*on_gpu=*/false);
    if (policy_.device.library != nullptr) {
      reasons.push_back("gradients of attention on a GPU add up in no fixed order");
    }
    return reasons;
  }

  std::string nothing_learnt() const {
    return fmt::format(
        "no update in {} steps: {} without a finite gradient, {} of {} examples left "
        "out; nothing was learnt and final/ is not written",
        summary_.steps, summary_.skipped_steps, summary_.skipped_examples.size(),
        data_.examples->size());
  }

  void save() {
    if (saved_step_ == summary_.steps && checkpoints_.latest()) return;
    saving_ = true;
    if (learner_.optimizer().num_updates() != num_updates_) {
      throw Error("the step under way was not whole, a resume goes on from the last checkpoint");
    }
    Json state = state_of(summary_);
    if (!unwritten_.is_null()) state["unwritten"] = unwritten_;
    if (const auto tokens = learner_.halved_microbatch()) state["halved_microbatch"] = *tokens;
    checkpoints_.save(summary_.steps, learner_, state);
    saved_step_ = summary_.steps;
    saving_ = false;
  }

  const SftConfig& config_;
  RunDir dir_;
  CheckpointSet checkpoints_;
  Policy policy_;
  ExampleEncoder encoder_;
  SftDataOptions data_options_;  ///< max_tokens within the model's context
  SftData data_;
  SftBatches batches_;
  Learner learner_;
  SftSummary summary_;
  std::vector<Json> rows_;  ///< of skipped_examples.jsonl, of the step under way
  Json unwritten_;
  int64_t num_updates_ = 0;  ///< of the optimizer, after the last whole step
  int64_t saved_step_ = 0;
  bool saving_ = false;  ///< or the saving failed
  int skipped_in_a_row_ = 0;
};

}  // namespace

SftSummary run_train_sft(const SftConfig& config, bool resume, const Json& resolved_config,
                         const ComputeDevice& device) {
  config.data.require_source();
  use_threads(config.threads);
  return SftRun(config, resume, resolved_config, device).run();
}

}  // namespace weft
