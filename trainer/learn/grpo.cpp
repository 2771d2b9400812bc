#include "trainer/learn/grpo.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <numeric>

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

/// Sums over the episodes that have a reward.
struct RewardStatistics {
  double count = 0, total = 0, squares = 0, pass = 0, complexity = 0, diversity = 0;
  double valid = 0, truncated = 0;
  int64_t infra_errors = 0;

  explicit RewardStatistics(const std::vector<Episode>& episodes) {
    for (const Episode& e : episodes) {
      if (e.infra_error) {
        ++infra_errors;
        continue;
      }
      count += 1;
      total += e.reward;
      squares += e.reward * e.reward;
      pass += e.reward_pass;
      complexity += e.reward_complexity;
      diversity += e.reward_diversity;
      valid += e.valid ? 1 : 0;
      truncated += e.truncated ? 1 : 0;
    }
  }
  double mean(double sum) const { return count > 0 ? sum / count : 0; }
  double deviation() const {
    return std::sqrt(std::max(0.0, mean(squares) - mean(total) * mean(total)));
  }
};

/// Groups in which some reward differs from another.
int64_t count_live_groups(const std::vector<Episode>& episodes) {
  std::vector<double> rewards;
  std::vector<uint64_t> groups;
  for (const Episode& e : episodes) {
    if (e.infra_error) continue;
    rewards.push_back(e.reward);
    groups.push_back(e.group);
  }
  const auto a = group_advantages(rewards, groups, AdvantageKind::kCentered);
  return a.num_groups - a.zero_std_groups;
}

std::vector<Episode> permute_rewards(std::vector<Episode> episodes, Rng rng) {
  std::vector<size_t> scored;
  std::vector<double> rewards;
  for (size_t i = 0; i < episodes.size(); ++i) {
    if (episodes[i].infra_error) continue;
    scored.push_back(i);
    rewards.push_back(episodes[i].reward);
  }
  rng.shuffle(rewards);
  for (size_t i = 0; i < scored.size(); ++i) episodes[scored[i]].reward = rewards[i];
  return episodes;
}

Json reward_metrics(const RolloutBatch& batch) {
  const RewardStatistics s(batch.episodes);
  const auto rollouts = static_cast<double>(batch.episodes.size());
  return {{"reward_mean", s.mean(s.total)},
          {"reward_std", s.deviation()},
          {"reward_pass", s.mean(s.pass)},
          {"reward_complexity", s.mean(s.complexity)},
          {"reward_diversity", s.mean(s.diversity)},
          {"completion_tokens_mean", static_cast<double>(batch.completion_tokens) / rollouts},
          {"truncated", s.mean(s.truncated)},
          {"valid_workflows", s.mean(s.valid)},
          {"worker_calls", batch.worker_calls},
          {"worker_tokens", batch.worker_tokens},
          {"infra_errors", s.infra_errors},
          {"rollouts", batch.episodes.size()},
          {"t_rollout_s", batch.rollout_s},
          {"t_reward_s", batch.reward_s}};
}

Json update_metrics(const PolicyUpdateResult& r, double lr, double update_s) {
  const double tokens = std::max<double>(1, static_cast<double>(r.trained_tokens));
  return {{"loss", r.sums.loss},
          {"lr", lr},
          {"grad_norm", r.grad_norm},
          {"tokens", r.num_tokens},
          {"trained_tokens", r.trained_tokens},
          {"tokens_per_s", static_cast<double>(r.num_tokens) / std::max(update_s, 1e-9)},
          {"zero_std_groups", r.zero_std_groups},
          {"kl", r.kl},
          {"clip_low", static_cast<double>(r.sums.clipped_low) / tokens},
          {"clip_high", static_cast<double>(r.sums.clipped_high) / tokens},
          {"entropy", r.entropy_sum / tokens},
          {"mismatch_mean", r.mismatch.mean()},
          {"mismatch_max", r.mismatch.max},
          {"mismatch_k3", r.mismatch.k3()},
          {"skipped_updates", r.skipped_updates},
          {"t_update_s", update_s}};
}

}  // namespace

Json GrpoState::to_json() const {
  return {{"step", step},
          {"tasks_drawn", tasks_drawn},
          {"decoded_tokens", decoded_tokens},
          {"worker_tokens", worker_tokens},
          {"trained_tokens", trained_tokens},
          {"skipped_updates", skipped_updates}};
}

GrpoState GrpoState::from_json(const Json& json, const std::string& where) {
  const auto read = [&](const char* key) { return get_field<int64_t>(json, key, where); };
  return {read("step"),          read("tasks_drawn"),    read("decoded_tokens"),
          read("worker_tokens"), read("trained_tokens"), read("skipped_updates")};
}

Json GrpoValidation::to_json() const {
  Json tasks = Json::array();
  for (size_t i = 0; i < task_ids.size(); ++i) {
    tasks.push_back({{"id", task_ids[i]}, {"rewards", rewards[i]}});
  }
  return {{"reward", reward},
          {"valid", valid},
          {"pass", pass},
          {"n", task_ids.size()},
          {"tasks", std::move(tasks)}};
}

GrpoTrainer::GrpoTrainer(const GrpoConfig& config, Engine& engine, Learner& learner,
                         RolloutScorer& scorer, const std::vector<Task>& tasks,
                         const Reference& reference)
    : config_(config),
      engine_(engine),
      learner_(learner),
      scorer_(scorer),
      tasks_(tasks),
      reference_(reference) {
  if (tasks.empty()) throw InputError("tasks: expected at least one task, got none");
}

RolloutOptions GrpoTrainer::rollout_options(int samples) const {
  RolloutOptions options;
  options.samples_per_prompt = samples;
  options.max_completion_tokens = static_cast<int>(config_.max_completion_tokens);
  options.temperature = config_.temperature;
  if (learner_.lora() != nullptr) options.adapter = kPolicyAdapter;
  options.eos_ids = learner_.model().config().eos_ids;
  options.overlap = !config_.exact;
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
  return collect_rollouts(engine_, scorer_, tasks, seeds,
                          rollout_options(static_cast<int>(config_.samples_per_prompt)));
}

RolloutBatch GrpoTrainer::sample_batch(GrpoState& state) {
  RolloutBatch batch = draw(state, 0, config_.prompts_per_step);
  for (int64_t round = 1; round <= config_.refill_rounds; ++round) {
    const int64_t missing = config_.prompts_per_step - count_live_groups(batch.episodes);
    if (missing <= 0) break;
    batch.append(draw(state, static_cast<uint64_t>(round), missing));
  }
  return batch;
}

GrpoTrainer::Step GrpoTrainer::step() {
  const auto start = Clock::now();
  GrpoState next = state_;
  RolloutBatch batch = sample_batch(next);
  Json metrics = reward_metrics(batch);
  if (metrics["infra_errors"] == metrics["rollouts"]) {
    throw Error("every rollout of a batch failed for reasons that are not the policy's");
  }
  engine_.wait_idle();
  const auto update_start = Clock::now();
  const double lr = learning_rate(config_.learn.schedule, state_.step, config_.steps);
  const bool permuted = config_.control.permute_rewards;
  const std::vector<Episode> shuffled =
      permuted ? permute_rewards(batch.episodes, Rng(config_.seed, kPermuteStream + state_.step))
               : std::vector<Episode>();
  const PolicyUpdateResult update =
      update_policy(learner_, permuted ? shuffled : batch.episodes, reference_, lr, config_.update);
  engine_.weights_changed();

  next.step += 1;
  next.decoded_tokens += batch.completion_tokens;
  next.worker_tokens += batch.worker_tokens;
  next.trained_tokens += update.trained_tokens;
  next.skipped_updates += update.skipped_updates;
  state_ = next;
  Step result;
  result.metrics = update_metrics(update, lr, seconds_since(update_start));
  result.metrics.update(metrics);
  result.metrics["t_step_s"] = seconds_since(start);
  result.episodes = std::move(batch.episodes);
  return result;
}

GrpoValidation GrpoTrainer::validate(const std::vector<Task>& tasks, int samples) {
  std::vector<const Task*> prompts;
  std::vector<uint64_t> seeds;
  for (size_t i = 0; i < tasks.size(); ++i) {
    prompts.push_back(&tasks[i]);
    seeds.push_back(hash_combine(hash_combine(config_.seed, kValidation), i));
  }
  const RolloutBatch batch =
      collect_rollouts(engine_, scorer_, prompts, seeds, rollout_options(samples));
  GrpoValidation result;
  double prompts_scored = 0;
  for (size_t i = 0; i < tasks.size(); ++i) {
    result.task_ids.push_back(tasks[i].id);
    auto& rewards = result.rewards.emplace_back();
    for (int k = 0; k < samples; ++k) {
      const Episode& e = batch.episodes[i * static_cast<size_t>(samples) + static_cast<size_t>(k)];
      if (!e.infra_error) rewards.push_back(e.reward);
    }
    if (rewards.empty()) continue;
    const double n = static_cast<double>(rewards.size());
    result.reward += std::accumulate(rewards.begin(), rewards.end(), 0.0) / n;
    prompts_scored += 1;
  }
  const RewardStatistics s(batch.episodes);
  result.reward /= std::max(prompts_scored, 1.0);
  result.valid = s.mean(s.valid);
  result.pass = s.mean(s.pass);
  return result;
}

}  // namespace weft
