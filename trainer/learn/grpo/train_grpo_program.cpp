#include "trainer/learn/grpo/train_grpo_program.h"

#include <fmt/format.h>

#include <memory>
#include <optional>

#include "base/clock_report.h"
#include "base/error.h"
#include "base/file.h"
#include "base/jsonl.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/reasons.h"
#include "base/run_dir.h"
#include "base/stop.h"
#include "data/provenance.h"
#include "model/checkpoint/hf_model.h"
#include "model/ops/threads.h"
#include "trainer/learn/grpo/rollout_store.h"
#include "trainer/learn/run/policy.h"
#include "trainer/learn/run/step_log.h"
#include "trainer/usage_file.h"
#include "workflow/environment.h"
#include "workflow/test_checks.h"

namespace weft {
namespace {

/// More steps are the same run only where the rate does not depend on their number.
ResumeRules resume_rules(const GrpoConfig& config, const std::vector<Task>& tasks) {
  ResumeRules rules{{"out", "trajectories", "plan", "checkpoint", "lost_rollouts",
                     "max_bad_rollouts", "worker.remote.base_url", "worker.remote.more_base_urls"},
                    {},
                    config.resume.allow,
                    config_to_json(GrpoConfig{})};
  if (config.learn.schedule.decay == LrDecay::kConstant) rules.may_change.push_back("steps");
  rules.inputs.model("model", config.model).model("init_adapter", config.learn.init_adapter);
  config.workbench.add_inputs(rules.inputs, tasks);
  rules.inputs.files("tasks", config.tasks).files("validation", config.validation.tasks);
  if (!config.shares_worker()) add_inputs(rules.inputs, "worker", config.worker);
  return rules;
}

// With `exact`, what is computed together must not depend on the clock.
LocalOptions local_options(const GrpoConfig& config) {
  EngineOptions engine = config.engine;
  if (config.exact && engine.mixed_tokens == 0) engine.mixed_tokens = engine.prefill_tokens;
  return {config.model, config.device, config.dtype, config.threads, engine};
}

/// The models of a run: the policy's engine, the worker, the KL reference.
struct Models {
  Policy policy;
  std::unique_ptr<Engine> engine;
  OpenModels opened;
  TextModel* worker = nullptr;  // the policy's engine where that holds a base that is not trained
  std::shared_ptr<Lora> reference_adapter;
  std::shared_ptr<Transformer> reference_model;

  Models(const GrpoConfig& config, const std::optional<fs::path>& checkpoint,
         const ComputeDevice& device)
      : policy(open_policy({config.model, config.dtype, device}, config.learn, config.seed,
                           checkpoint)),
        opened(local_options(config), device) {
    engine = std::make_unique<Engine>(policy.model, policy.tokenizer, policy.chat_template,
                                      local_options(config).engine, config.model, device);
    if (policy.lora) engine->set_adapter(kPolicyAdapter, policy.lora);
    opened.adopt(*engine, /*as_base=*/policy.lora != nullptr);
    worker = &opened.open(config.worker);
    if (config.reference == "init") {
      reference_adapter = Lora::load(config.learn.init_adapter, policy.model->config());
      reference_adapter->to(policy.model->device());
      reference_adapter->bind(*policy.model);
    }
    if (config.learn.full_weights && config.update.loss.kl_coefficient > 0) {
      reference_model = open_frozen_model({config.model, config.dtype, device});
    }
  }

  Reference reference() const {
    if (policy.lora) return {Reference::Kind::kAdapter, reference_adapter.get(), nullptr};
    if (reference_model) return {Reference::Kind::kModel, nullptr, reference_model.get()};
    return {};
  }
};

class GrpoRun {
 public:
  GrpoRun(const GrpoConfig& config, bool resume, const Json& resolved, const ComputeDevice& device)
      : config_(config),
        tasks_(load_judgeable_tasks(config.tasks)),
        dir_(config.out, resume, resolved, resume_rules(config, tasks_)),
        checkpoints_(dir_.path(), config.model, config.checkpoint),
        validation_tasks_(config.validation.tasks.empty()
                              ? std::vector<Task>()
                              : load_judgeable_tasks(config.validation.tasks)),
        models_(config, checkpoints_.latest(), device),
        learner_(models_.policy.model, models_.policy.lora, seeded(config.learn, config.seed),
                 /*entropy=*/true, config.temperature),
        bench_(config.workbench),
        environment_(bench_, *models_.worker, config.workbench.runner),
        trainer_(config, *models_.engine, learner_, environment_, tasks_, models_.reference()),
        store_(
            config.trajectories.empty() ? dir_.file("store.sqlite") : fs::path(config.trajectories),
            {"model:" + config.out, models_.worker->name(),
             [this](const Task& task) { return bench_.meta_agent().query(task); }},
            tasks_) {
    const auto wanted = static_cast<size_t>(config.validation.num_prompts);
    if (validation_tasks_.size() > wanted) validation_tasks_.resize(wanted);
    if (const auto latest = checkpoints_.latest()) {
      const Json state = CheckpointSet::restore(*latest, learner_);
      const std::string where = CheckpointSet::state_file(*latest);
      Json known = GrpoState().to_json();
      known["unwritten"] = known["halved_microbatch"] = nullptr;
      require_known_fields(state, known, where);
      trainer_.state() = GrpoState::from_json(state, where);
      unwritten_ = get_field_or<Json>(state, "unwritten", nullptr, where);
      const auto halved = get_field_or<int64_t>(state, "halved_microbatch", 0, where);
      if (halved > 0) learner_.set_halved_microbatch(halved);
      models_.engine->weights_changed();
      log::info("going on from {}", latest->string());
    }
    saved_step_ = trainer_.state().step;
    bench_.require_working(tasks_);
    bench_.require_working(validation_tasks_);
    for (const Task& task : tasks_) check_prompt(task);
    for (const Task& task : validation_tasks_) check_prompt(task);
  }

  GrpoState run() {
    const int64_t first = trainer_.state().step;
    move_later_steps_aside(validation_file(), first);
    StepLog log(dir_.path(), "rollouts.jsonl", first, unwritten_);
    unwritten_ = nullptr;  // is written now
    store_.add_missing(dir_.file("rollouts.jsonl"), first);
    const auto train = [&] {
      Progress progress("grpo", config_.steps, "steps", first,
                        [this] { return models_.opened.usage()["decoded_tokens"].get<int64_t>(); });
      validate_before();
      validate_between();  // that of the last step, where something cut it short
      while (trainer_.state().step < config_.steps) {
        throw_if_stopped();
        progress.note(one_step(log));
        progress.advance();
      }
    };
    save_on_failure(train, [&] {
      environment_.stop();  // else the end waits for every workflow that has been submitted
      unwritten_ = log.unwritten();
      if (!saving_) save();
    });
    save();
    check_that_something_was_learnt();
    checkpoints_.publish_final();
    const LearnOptions& learn = config_.learn;
    write_teachers(dir_.file("final"),
                   learn.init_adapter.empty() ? config_.model : learn.init_adapter, {});
    validate_after();
    Json summary = trainer_.state().to_json();
    summary["clock"] = clock();
    summary["rollouts_not_stored"] = store_.num_missing();
    write_file_atomically(dir_.file("summary.json"), dump_json_pretty(summary));
    return trainer_.state();
  }

 private:
  /// Throws where a rollout of the task would be refused, which would end the run at some later
  /// step.
  void check_prompt(const Task& task) const {
    TextRequest request;
    request.prompt = environment_.prompt(task);
    request.sampling.max_tokens = static_cast<int>(config_.max_completion_tokens);
    const std::string refusal = models_.engine->refusal(request);
    if (!refusal.empty()) throw InputError(fmt::format("task \"{}\": {}", task.id, refusal));
  }

  std::string one_step(StepLog& log) {
    const GrpoTrainer::Step step = trainer_.step();
    warn_of_memory();
    const int64_t number = trainer_.state().step;
    std::vector<Json> rows;
    for (const Episode& e : step.episodes) rows.push_back(episode_to_json(number, e));
    log.write(number, step.metrics, rows);
    store_.add(number, rows);
    if (!step.warning.empty()) log::warn("step {}: {}", number, step.warning);
    report_bad_rollouts(number, step);
    if (!step.out_of_memory.empty()) {
      throw Error(fmt::format("step {}: {}", number, step.out_of_memory));
    }
    if (checkpoints_.due(number)) save();
    validate_between();
    const Json& reward = step.metrics["reward_mean"];
    return reward.is_null() ? "no reward" : fmt::format("reward {:.3f}", reward.get<double>());
  }

  void warn_of_memory() {
    const std::string warning = learner_.take_warning();
    if (!warning.empty()) log::warn("step {}: {}", trainer_.state().step, warning);
  }

  /// The first batch with such rollouts is kept; too many of them end the run.
  void report_bad_rollouts(int64_t number, const GrpoTrainer::Step& step) {
    if (step.bad.empty() && step.non_finite.empty()) return;
    ReasonCounts reasons;
    for (const BadEpisode& bad : step.bad) reasons.add(bad.reason);
    const fs::path file = dir_.file("bad_batch.json");
    if (!fs::exists(file)) {
      Json bad = Json::array(), episodes = Json::array();
      for (const auto& [index, reason] : step.bad) {
        bad.push_back({{"rollout", index}, {"reason", reason}});
      }
      for (const Episode& e : step.episodes) episodes.push_back(episode_to_json(number, e));
      write_file_atomically(file, dump_json({{"step", number},
                                             {"tensor", step.non_finite},
                                             {"bad", std::move(bad)},
                                             {"rollouts", std::move(episodes)}}) +
                                      "\n");
    }
    if (!step.non_finite.empty()) {
      log::warn("step {}: the gradient of {} is not finite; the first such batch is in {}", number,
                step.non_finite, file.string());
    }
    if (step.bad.empty()) return;
    log::warn("step {}: {} rollouts cannot be learnt from ({}); the first such batch is in {}",
              number, step.bad.size(), reasons.to_string(), file.string());
    const int64_t so_far = trainer_.state().bad_rollouts;
    if (so_far > config_.max_bad_rollouts) {
      throw Error(fmt::format("{} rollouts could not be learnt from, max_bad_rollouts is {}: {}",
                              so_far, config_.max_bad_rollouts, reasons.to_string()));
    }
  }

  void check_that_something_was_learnt() const {
    if (config_.steps == 0) return;
    const GrpoState& state = trainer_.state();
    if (state.rewarded_updates > 0) return;
    const bool by_kl = learner_.optimizer().num_updates() > 0;
    throw Error(
        fmt::format("no update in {} steps{}: {}; nothing was learnt, final/ is not written",
                    state.step, by_kl ? " but by the KL term" : "", state.validity()));
  }

  void save() {
    const GrpoState& state = trainer_.state();
    if (saved_step_ == state.step && checkpoints_.latest()) return;
    saving_ = true;
    if (!trainer_.whole()) {
      throw Error("the step under way was not whole, a resume goes on from the last checkpoint");
    }
    Json json = state.to_json();
    if (!unwritten_.is_null()) json["unwritten"] = unwritten_;
    if (const auto tokens = learner_.halved_microbatch()) json["halved_microbatch"] = *tokens;
    checkpoints_.save(state.step, learner_, json);
    saved_step_ = state.step;
    saving_ = false;
  }

  GrpoValidation validate() {
    const GrpoValidation result = trainer_.validate(validation_tasks_, config_.validation.samples);
    log::info("validation after step {}: reward {:.4f}, valid {:.3f} over {} prompts",
              trainer_.state().step, result.reward, result.valid, result.task_ids.size());
    if (!result.left_out.empty()) {
      log::warn("validation: {} prompts are left out, a reward of each is lost",
                result.left_out.size());
    }
    return result;
  }

  fs::path validation_file() const { return dir_.file("validation.jsonl"); }

  /// Takes the place of what is there of this step: a run that ended between this and the next
  /// file, or one that is resumed when it is done, measures once more.
  void record_validation(const GrpoValidation& v) {
    move_later_steps_aside(validation_file(), trainer_.state().step - 1);
    JsonlWriter(validation_file(), /*append=*/true)
        .write({{"step", trainer_.state().step},
                {"reward", v.reward},
                {"valid", v.valid},
                {"pass", v.pass},
                {"n", v.task_ids.size()},
                {"left_out", v.left_out.size()}});
  }

  bool is_recorded(int64_t step) const {
    if (!fs::exists(validation_file())) return false;
    JsonlReader reader(validation_file());
    for (JsonlLine line; reader.next(line);) {
      if (line.error.empty() && line.value.value("step", int64_t{-1}) == step) return true;
    }
    return false;
  }

  void validate_between() {
    const int64_t step = trainer_.state().step, every = config_.validation.every_steps;
    const bool due = every > 0 && step > 0 && step % every == 0 && step < config_.steps;
    if (due && !validation_tasks_.empty() && !is_recorded(step)) record_validation(validate());
  }

  void validate_before() {
    if (validation_tasks_.empty() || fs::exists(before_file())) return;
    if (trainer_.state().step > 0) throw Error(before_file().string() + " is missing");
    const GrpoValidation before = validate();
    record_validation(before);
    write_file_atomically(before_file(), dump_json_pretty(before.to_json()));
  }

  void validate_after() {
    if (validation_tasks_.empty()) return;
    const GrpoValidation after = validate();
    record_validation(after);
    const Json both = {{"before", read_json_file(before_file())}, {"after", after.to_json()}};
    write_file_atomically(dir_.file("before_after.json"), dump_json_pretty(both));
  }

  /// Of the models, and of the rollouts that were trained on.
  Json clock() const {
    int64_t decisions = 0;
    JsonlReader reader(dir_.file("rollouts.jsonl"));
    for (JsonlLine line; reader.next(line);) {
      const Json usage = line.value.value("usage", Json::object());
      if (usage.is_object()) decisions += usage.value("clock_decisions", int64_t{0});
    }
    return report_clock(models_.opened.clock_reasons(), decisions);
  }

  fs::path before_file() const { return dir_.file("validation_before.json"); }

  const GrpoConfig& config_;
  std::vector<Task> tasks_;
  RunDir dir_;
  CheckpointSet checkpoints_;
  std::vector<Task> validation_tasks_;
  Models models_;
  Learner learner_;
  Workbench bench_;
  SandboxEnvironment environment_;
  GrpoTrainer trainer_;
  RolloutStore store_;
  Json unwritten_;
  int64_t saved_step_ = 0;
  bool saving_ = false;  ///< or the saving failed
  UsageFile usage_{dir_.file("usage.json"), [this] { return models_.opened.usage(); }};
};

}  // namespace

GrpoState run_train_grpo(const GrpoConfig& config, bool resume, const Json& resolved_config,
                         const ComputeDevice& device) {
  use_threads(config.threads);
  return GrpoRun(config, resume, resolved_config, device).run();
}

}  // namespace weft
