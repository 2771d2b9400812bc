#include "trainer/learn/grpo/grpo.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <numeric>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "base/rng.h"

namespace weft {
namespace {

constexpr uint64_t kOrderStream = 0x6f72646572, kPermuteStream = 0x7065726d, kValidation = 0x76616c;

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Sums over the episodes of whole groups.
struct RewardStatistics {
  RewardTerms terms;
  double count = 0, total = 0, squares = 0;
  double valid = 0, truncated = 0;
  int64_t infra_errors = 0;

  /// `none` has the terms that the run's reward has.
  RewardStatistics(const std::vector<Episode>& episodes, const RewardTerms& none) : terms(none) {
    const auto lost = lost_groups(episodes);
    for (const Episode& e : episodes) {
      infra_errors += e.infra_error ? 1 : 0;
      if (lost.contains(e.group)) continue;
      count += 1;
      total += e.reward;
      squares += e.reward * e.reward;
      terms += e.terms;
      valid += e.valid ? 1 : 0;
      truncated += e.truncated ? 1 : 0;
    }
  }
  /// NaN where there is no reward.
  double mean(double sum) const { return sum / count; }
  double deviation() const {
    const double variance = mean(squares) - mean(total) * mean(total);
    return variance < 0 ? 0 : std::sqrt(variance);
  }
};

/// Groups in which some reward differs from another.
int64_t count_live_groups(const std::vector<Episode>& episodes) {
  std::vector<double> rewards;
  std::vector<uint64_t> groups;
  const auto lost = lost_groups(episodes);
  for (const Episode& e : episodes) {
    if (lost.contains(e.group)) continue;
    rewards.push_back(e.reward);
    groups.push_back(e.group);
  }
  const std::set<uint64_t> all(groups.begin(), groups.end());
  return static_cast<int64_t>(all.size() - equal_groups(rewards, groups).size());
}

std::vector<Episode> permute_rewards(std::vector<Episode> episodes, Rng rng) {
  std::vector<size_t> scored;
  std::vector<double> rewards;
  const auto lost = lost_groups(episodes);
  for (size_t i = 0; i < episodes.size(); ++i) {
    if (lost.contains(episodes[i].group)) continue;
    scored.push_back(i);
    rewards.push_back(episodes[i].reward);
  }
  rng.shuffle(rewards);
  for (size_t i = 0; i < scored.size(); ++i) episodes[scored[i]].reward = rewards[i];
  return episodes;
}

/// Null stands for what was not measured.
Json number_or_null(double value) { return std::isfinite(value) ? Json(value) : Json(); }

Json reward_metrics(const RolloutBatch& batch, const RewardTerms& none) {
  const RewardStatistics s(batch.episodes, none);
  const auto rollouts = static_cast<double>(batch.episodes.size());
  Json metrics = {{"reward_mean", number_or_null(s.mean(s.total))},
                  {"reward_std", number_or_null(s.deviation())}};
  each_term(s.terms / s.count, [&metrics](const std::string& field, double mean) {
    metrics[field] = number_or_null(mean);
  });
  metrics.update({{"completion_tokens_mean",
                   number_or_null(static_cast<double>(batch.completion_tokens) / rollouts)},
                  {"truncated", number_or_null(s.mean(s.truncated))},
                  {"valid_workflows", number_or_null(s.mean(s.valid))},
                  {"worker_calls", batch.worker_calls},
                  {"worker_tokens", batch.worker_tokens},
                  {"infra_errors", s.infra_errors},
                  {"rollouts", batch.episodes.size()},
                  {"t_rollout_s", batch.rollout_s},
                  {"t_reward_s", batch.reward_s}});
  return metrics;
}

Json update_metrics(const PolicyUpdateResult& r, double lr, double update_s) {
  const auto if_updated = [&r](double value) {
    return r.num_updates > 0 ? number_or_null(value) : Json();
  };
  const auto if_compared = [&r](double value) {
    return r.mismatch.num_tokens > 0 ? number_or_null(value) : Json();
  };
  const double tokens = std::max<double>(1, static_cast<double>(r.trained_tokens));
  const double seen = static_cast<double>(r.num_tokens);
  return {{"loss", if_updated(r.sums.loss)},
          {"lr", lr},
          {"grad_norm", if_updated(r.grad_norm)},
          {"tokens", r.num_tokens},
          {"trained_tokens", r.trained_tokens},
          {"tokens_per_s", seen > 0 ? Json(seen / std::max(update_s, 1e-9)) : Json()},
          {"zero_std_groups", r.zero_std_groups},
          {"dropped_groups", r.dropped_groups},
          {"kl", r.kl ? number_or_null(*r.kl) : Json()},
          {"clip_low", if_updated(static_cast<double>(r.sums.clipped_low) / tokens)},
          {"clip_high", if_updated(static_cast<double>(r.sums.clipped_high) / tokens)},
          {"entropy", if_updated(r.entropy_sum / tokens)},
          {"mismatch_mean", if_compared(r.mismatch.mean())},
          {"mismatch_max", if_compared(r.mismatch.max)},
          {"mismatch_k3", if_compared(r.mismatch.k3())},
          {"updates", r.num_updates},
          {"skipped_updates", r.skipped_updates},
          {"t_update_s", update_s}};
}

/// With a correction only: of the trainer's and the sampler's probability.
Json ratio_metrics(const RatioStatistics& r) {
  const auto share = [](int64_t part, int64_t all) {
    return all > 0 ? Json(static_cast<double>(part) / static_cast<double>(all)) : Json();
  };
  const auto if_measured = [&](double value) {
    return r.num_tokens > 0 ? number_or_null(value) : Json();
  };
  return {{"correction_mean", if_measured(r.mean())},
          {"correction_min", if_measured(r.min)},
          {"correction_max", if_measured(r.max)},
          {"correction_ess", if_measured(r.effective_share())},
          {"correction_truncated", share(r.truncated_tokens, r.num_tokens)},
          {"correction_rejected", share(r.rejected_sequences, r.num_sequences)}};
}

void count_valid(const std::vector<Episode>& episodes, GrpoState& state) {
  for (const Episode& e : episodes) {
    ++state.rollouts;
    state.valid += e.valid ? 1 : 0;
    if (!e.valid) state.not_valid.add(why_not_valid(e));
  }
}

std::string no_update_warning(const RolloutBatch& batch, const PolicyUpdateResult& r,
                              size_t num_bad) {
  GrpoState counted;
  count_valid(batch.episodes, counted);
  std::string text = counted.validity();
  if (batch.refills > 0) text += fmt::format("; after {} further draws", batch.refills);
  if (r.num_groups > 0) {
    text += fmt::format("; {} of {} groups of equal rewards", r.zero_std_groups, r.num_groups);
  }
  if (r.dropped_groups > 0) text += fmt::format("; {} groups dropped", r.dropped_groups);
  if (r.masked_truncated > 0) {
    text += fmt::format("; {} truncated rollouts masked", r.masked_truncated);
  }
  if (r.ratios.rejected_sequences > 0) {
    text += fmt::format("; {} rollouts rejected by update.correction", r.ratios.rejected_sequences);
  }
  if (num_bad > 0) text += fmt::format("; {} bad rollouts", num_bad);
  return text + (r.num_updates > 0 ? "; no update but by the KL term" : "; no update");
}

/// Empty where the batch is full.
std::string not_full_warning(const RolloutBatch& batch, int64_t num_prompts) {
  const int64_t live = count_live_groups(batch.episodes);
  if (live >= num_prompts) return "";
  return fmt::format("{} of {} groups have a difference in reward, after {} further draws", live,
                     num_prompts, batch.refills);
}

}  // namespace

std::string GrpoState::validity() const {
  const std::string why = not_valid.empty() ? "" : ": " + not_valid.to_string();
  return fmt::format("{} of {} valid{}", valid, rollouts, why);
}

Json GrpoState::to_json() const {
  return {{"step", step},
          {"tasks_drawn", tasks_drawn},
          {"decoded_tokens", decoded_tokens},
          {"worker_tokens", worker_tokens},
          {"trained_tokens", trained_tokens},
          {"skipped_updates", skipped_updates},
          {"rewarded_updates", rewarded_updates},
          {"bad_rollouts", bad_rollouts},
          {"rollouts", rollouts},
          {"valid", valid},
          {"not_valid", not_valid.to_json(/*most=*/64)}};
}

GrpoState GrpoState::from_json(const Json& json, const std::string& where) {
  const auto read = [&](const char* key) { return get_field<int64_t>(json, key, where); };
  GrpoState state;
  state.step = read("step");
  state.tasks_drawn = read("tasks_drawn");
  state.decoded_tokens = read("decoded_tokens");
  state.worker_tokens = read("worker_tokens");
  state.trained_tokens = read("trained_tokens");
  state.skipped_updates = read("skipped_updates");
  state.rewarded_updates = read("rewarded_updates");
  state.bad_rollouts = read("bad_rollouts");
  state.rollouts = read("rollouts");
  state.valid = read("valid");
  const Json not_valid = get_field<Json>(json, "not_valid", where);
  for (const auto& [reason, any] : not_valid.items()) {
    state.not_valid.add(reason, get_field<int64_t>(not_valid, reason.c_str(), where));
  }
  return state;
}

Json GrpoValidation::to_json() const {
  Json tasks = Json::array();
  for (size_t i = 0; i < task_ids.size(); ++i) {
    tasks.push_back({{"id", task_ids[i]}, {"rewards", rewards[i]}});
  }
  return {{"reward", reward},     {"valid", valid},       {"pass", pass},
          {"n", task_ids.size()}, {"left_out", left_out}, {"tasks", std::move(tasks)}};
}

GrpoTrainer::GrpoTrainer(const GrpoConfig& config, Engine& engine, Learner& learner,
                         WorkflowEnvironment& environment, const std::vector<Task>& tasks,
                         const Reference& reference)
    : config_(config),
      engine_(engine),
      learner_(learner),
      rounds_(environment),
      tasks_(tasks),
      reference_(reference) {
  if (tasks.empty()) throw InputError("tasks: expected at least one task, got none");
}

RolloutOptions GrpoTrainer::rollout_options(int samples, std::string label) const {
  RolloutOptions options;
  options.samples_per_prompt = samples;
  options.max_completion_tokens = static_cast<int>(config_.max_completion_tokens);
  options.temperature = config_.temperature;
  if (learner_.lora() != nullptr) options.adapter = kPolicyAdapter;
  options.eos_ids = learner_.model().config().eos_ids;
  options.overlap = !config_.exact;
  options.lost = config_.lost_rollouts;
  options.label = std::move(label);
  return options;
}

const Task& GrpoTrainer::task_at(int64_t position) const {
  const auto n = static_cast<int64_t>(tasks_.size());
  std::vector<size_t> order(tasks_.size());
  std::iota(order.begin(), order.end(), size_t{0});
  Rng(config_.seed, kOrderStream + static_cast<uint64_t>(position / n)).shuffle(order);
  return tasks_[order[position % n]];
}

RolloutBatch GrpoTrainer::draw(GrpoState& state, uint64_t round, int64_t num_prompts) {
  std::vector<const Task*> tasks;
  std::vector<uint64_t> seeds;
  const uint64_t step_seed =
      hash_combine(hash_combine(config_.seed, static_cast<uint64_t>(state.step)), round);
  for (int64_t i = 0; i < num_prompts; ++i) {
    tasks.push_back(&task_at(state.tasks_drawn++));
    seeds.push_back(hash_combine(step_seed, static_cast<uint64_t>(i)));
  }
  return collect_whole_rollouts(engine_, rounds_, tasks, seeds,
                                rollout_options(static_cast<int>(config_.samples_per_prompt),
                                                fmt::format("step {}", state.step + 1)));
}

RolloutBatch GrpoTrainer::sample_batch(GrpoState& state) {
  RolloutBatch batch = draw(state, 0, config_.prompts_per_step);
  for (int64_t round = 1; round <= config_.refill_rounds; ++round) {
    const int64_t missing = config_.prompts_per_step - count_live_groups(batch.episodes);
    if (missing <= 0) break;
    batch.append(draw(state, static_cast<uint64_t>(round), missing));
    batch.refills = round;
  }
  return batch;
}

bool GrpoTrainer::whole() const {
  return !in_step_ || learner_.optimizer().num_updates() == updates_before_;
}

/// The engine is this process: where it gives no completion, asking again would not help.
std::vector<BadEpisode> GrpoTrainer::failures_of_the_policy(
    const std::vector<Episode>& episodes) const {
  std::vector<BadEpisode> bad;
  for (size_t i = 0; i < episodes.size(); ++i) {
    const Episode& e = episodes[i];
    if (e.infra_error && e.completion_ids.empty()) bad.push_back({i, e.problem});
  }
  if (bad.empty()) return bad;
  const std::string tensor = learner_.non_finite_weight(/*frozen_too=*/true);
  if (!tensor.empty()) throw Error("the policy's weights are not finite: " + tensor);
  return bad;
}

GrpoTrainer::Step GrpoTrainer::step() {
  const auto start = Clock::now();
  in_step_ = true;
  updates_before_ = learner_.optimizer().num_updates();
  GrpoState next = state_;
  RolloutBatch batch = sample_batch(next);
  Step result;
  result.bad = failures_of_the_policy(batch.episodes);
  engine_.wait_idle();
  const auto update_start = Clock::now();
  const double lr = learning_rate(config_.learn.schedule, state_.step, config_.steps);
  const bool permuted = config_.control.permute_rewards;
  const std::vector<Episode> shuffled =
      permuted ? permute_rewards(batch.episodes, Rng(config_.seed, kPermuteStream + state_.step))
               : std::vector<Episode>();
  const PolicyUpdateResult update = update_policy(learner_, permuted ? shuffled : batch.episodes,
                                                  reference_, lr, config_.policy_update());
  engine_.weights_changed();

  result.bad.insert(result.bad.end(), update.bad.begin(), update.bad.end());
  result.non_finite = update.non_finite;
  result.out_of_memory = update.out_of_memory;
  if (update.rewarded_updates == 0) {
    result.warning = no_update_warning(batch, update, result.bad.size());
  } else if (batch.refills > 0) {
    result.warning = not_full_warning(batch, config_.prompts_per_step);
  }
  next.step += 1;
  next.decoded_tokens += batch.completion_tokens;
  next.worker_tokens += batch.worker_tokens;
  next.trained_tokens += update.trained_tokens;
  next.skipped_updates += update.skipped_updates;
  next.rewarded_updates += update.rewarded_updates;
  next.bad_rollouts += static_cast<int64_t>(result.bad.size());
  count_valid(batch.episodes, next);
  result.metrics = update_metrics(update, lr, seconds_since(update_start));
  result.metrics.update(reward_metrics(batch, config_.workbench.runner.reward.no_terms()));
  if (config_.update.correction.enabled()) result.metrics.update(ratio_metrics(update.ratios));
  if (config_.refill_rounds > 0) result.metrics["refills"] = batch.refills;
  result.metrics["bad_rollouts"] = result.bad.size();
  result.metrics["t_step_s"] = seconds_since(start);
  result.episodes = std::move(batch.episodes);
  state_ = std::move(next);
  in_step_ = false;
  return result;
}

GrpoValidation GrpoTrainer::validate(const std::vector<Task>& tasks, int samples) {
  std::vector<const Task*> prompts;
  std::vector<uint64_t> seeds;
  for (size_t i = 0; i < tasks.size(); ++i) {
    prompts.push_back(&tasks[i]);
    seeds.push_back(hash_combine(hash_combine(config_.seed, kValidation), i));
  }
  const RolloutBatch batch = collect_whole_rollouts(engine_, rounds_, prompts, seeds,
                                                    rollout_options(samples, "validation"));
  failures_of_the_policy(batch.episodes);
  const auto lost = lost_groups(batch.episodes);
  GrpoValidation result;
  for (size_t i = 0; i < tasks.size(); ++i) {
    if (lost.contains(seeds[i])) {
      result.left_out.push_back(tasks[i].id);
      continue;
    }
    result.task_ids.push_back(tasks[i].id);
    auto& rewards = result.rewards.emplace_back();
    const auto first = batch.episodes.begin() + static_cast<std::ptrdiff_t>(i) * samples;
    for (auto e = first; e != first + samples; ++e) rewards.push_back(e->reward);
    result.reward += std::accumulate(rewards.begin(), rewards.end(), 0.0) / samples;
  }
  if (result.task_ids.empty()) {
    throw Error("validation: no prompt has a reward for each of its rollouts");
  }
  const RewardStatistics s(batch.episodes, {});
  result.reward /= static_cast<double>(result.task_ids.size());
  result.valid = s.mean(s.valid);
  result.pass = s.mean(s.terms.pass);
  return result;
}

}  // namespace weft
