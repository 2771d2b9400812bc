#include "trainer/learn/grpo/rollouts.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <iterator>
#include <memory>
#include <mutex>
#include <thread>

#include "base/check.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/reasons.h"
#include "base/stop.h"

namespace weft {
namespace {

using Clock = std::chrono::steady_clock;

double seconds(Clock::duration d) { return std::chrono::duration<double>(d).count(); }

/// Shared with the callbacks: rewards may come after an interrupted collect_rollouts has left.
struct Collection : std::enable_shared_from_this<Collection> {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<Task> tasks;
  std::vector<uint64_t> seeds;
  RolloutOptions options;
  RoundRunner* rounds = nullptr;
  RolloutBatch batch;
  int64_t pending_completions = 0;  // requests
  int64_t pending_scores = 0;       // episodes
  struct Stream {
    std::string text;
    int64_t num_ids = 0;
    bool submitted = false;
  };
  std::vector<Stream> streams;  // [episodes]
  std::string refused;
  Clock::time_point last_completion;

  void on_delta(size_t prompt, const StreamDelta& delta);
  void on_response(size_t prompt, TextResponse response);
  void on_round(size_t episode, const WorkflowRound& round);
  void submit(size_t prompt, size_t choice, std::string text);
  bool ends(const StreamDelta& delta, int64_t num_ids) const;
  bool done() const { return pending_completions == 0 && pending_scores == 0; }
};

void fill(Episode& episode, const TextResponse& response, const Completion& completion) {
  episode.prompt_ids = response.prompt_ids;
  episode.completion_ids = completion.ids;
  const bool raw = completion.sampling_logprobs.empty();
  episode.sampling_logprobs = raw ? completion.logprobs : completion.sampling_logprobs;
  episode.text = completion.text;
  episode.truncated = completion.finish == FinishReason::kLength;
}

bool Collection::ends(const StreamDelta& delta, int64_t num_ids) const {
  const auto& eos = options.eos_ids;
  return num_ids >= options.max_completion_tokens ||
         (!delta.ids.empty() && std::find(eos.begin(), eos.end(), delta.ids.back()) != eos.end());
}

void Collection::submit(size_t prompt, size_t choice, std::string text) {
  const size_t episode = prompt * static_cast<size_t>(options.samples_per_prompt) + choice;
  rounds->submit(tasks[prompt], std::move(text), hash_combine(seeds[prompt], choice),
                 [self = shared_from_this(), episode](const WorkflowRound& round) {
                   self->on_round(episode, round);
                 });
}

void Collection::on_delta(size_t prompt, const StreamDelta& delta) {
  const auto choice = static_cast<size_t>(delta.choice);
  std::string text;
  {
    const std::lock_guard lock(mutex);
    Stream& stream = streams[prompt * static_cast<size_t>(options.samples_per_prompt) + choice];
    stream.text += delta.text;
    stream.num_ids += static_cast<int64_t>(delta.ids.size());
    if (stream.submitted || !ends(delta, stream.num_ids)) return;
    stream.submitted = true;
    ++pending_scores;
    text = std::move(stream.text);
  }
  submit(prompt, choice, std::move(text));
}

void Collection::on_response(size_t prompt, TextResponse response) {
  const size_t samples = options.samples_per_prompt, first = prompt * samples;
  const bool ok = response.status == ResponseStatus::kOk && response.choices.size() == samples;
  std::vector<size_t> unscored;
  {
    const std::lock_guard lock(mutex);
    --pending_completions;
    last_completion = Clock::now();
    if (response.status == ResponseStatus::kRefused) refused = response.error;
    for (size_t k = 0; k < samples; ++k) {
      Episode& episode = batch.episodes[first + k];
      if (!ok) {
        episode.infra_error = true;
        episode.outcome = "infrastructure";
        episode.problem = "policy: " + response.error;
        continue;
      }
      fill(episode, response, response.choices[k]);
      episode.temperature = options.temperature;
      batch.completion_tokens += static_cast<int64_t>(episode.completion_ids.size());
      if (options.overlap && !streams[first + k].submitted) unscored.push_back(k);
    }
    pending_scores += static_cast<int64_t>(unscored.size());
    changed.notify_all();
  }
  for (const size_t k : unscored) submit(prompt, k, response.choices[k].text);
}

/// What a round gave its episode, which may have been scored before and lost.
void take(Episode& episode, const WorkflowRound& round) {
  const Outcome& outcome = round.outcome;
  episode.terms = outcome.reward.value_or(RewardTerms());
  episode.reward = episode.terms.total;
  episode.valid = round.workflow.valid;
  episode.lost_for_good = outcome.own_reward_failed;
  episode.usage = usage_to_json(outcome.usage);
  if (episode.infra_error) return;
  episode.infra_error = outcome.kind == Outcome::Kind::kInfrastructure;
  episode.outcome = outcome_name(outcome.kind);
  episode.problem = round.problem();
}

void Collection::on_round(size_t index, const WorkflowRound& round) {
  const WorkflowUsage& used = round.outcome.usage;
  const std::lock_guard lock(mutex);
  take(batch.episodes[index], round);
  batch.worker_calls += used.calls;
  batch.worker_tokens += used.prompt_tokens + used.completion_tokens;
  --pending_scores;
  changed.notify_all();
}

/// Lost while it was scored, not while it was sampled.
bool is_lost(const Episode& episode) {
  return episode.infra_error && !episode.completion_ids.empty();
}

bool can_be_scored_again(const Episode& episode) {
  return is_lost(episode) && !episode.lost_for_good;
}

/// Scores the episodes that `wanted` takes, in the order of the prompts.
void score_all(Collection& collection, const std::function<bool(const Episode&)>& wanted) {
  std::vector<std::pair<size_t, std::string>> texts;
  {
    const std::lock_guard lock(collection.mutex);
    for (size_t i = 0; i < collection.batch.episodes.size(); ++i) {
      Episode& episode = collection.batch.episodes[i];
      if (!wanted(episode)) continue;
      episode.infra_error = false;
      texts.emplace_back(i, episode.text);
    }
    collection.pending_scores += static_cast<int64_t>(texts.size());
  }
  const auto samples = static_cast<size_t>(collection.options.samples_per_prompt);
  for (auto& [i, text] : texts) collection.submit(i / samples, i % samples, std::move(text));
}

std::shared_ptr<Collection> new_collection(RoundRunner& rounds,
                                           const std::vector<const Task*>& tasks,
                                           const std::vector<uint64_t>& seeds,
                                           const RolloutOptions& options) {
  auto collection = std::make_shared<Collection>();
  for (const Task* task : tasks) collection->tasks.push_back(*task);
  collection->seeds = seeds;
  collection->options = options;
  collection->rounds = &rounds;
  return collection;
}

/// On a signal the completions are cancelled and waited for, so that none reaches the scorer later;
/// what is scored is given up too, since it may need the same engine.
void wait_until_done(Collection& collection, const CancelFlag& cancelled) {
  std::unique_lock lock(collection.mutex);
  while (!collection.done()) {
    collection.changed.wait_for(lock, std::chrono::milliseconds(100));
    if (stop_signal() == 0) continue;
    cancelled->store(true);
    lock.unlock();
    collection.rounds->stop();
    lock.lock();
    collection.changed.wait(lock, [&] { return collection.pending_completions == 0; });
    throw_if_stopped();
  }
}

/// Lost rollouts of those whose workflow was run, or that the user's own term was asked about.
struct Losses {
  int64_t lost = 0, for_good = 0, run = 0;
  ReasonCounts reasons;
  std::string first_for_good;  ///< its problem

  explicit Losses(const std::vector<Episode>& episodes) {
    for (const Episode& e : episodes) {
      run += is_lost(e) || e.valid || e.terms.file ? 1 : 0;
      if (!is_lost(e)) continue;
      ++lost;
      reasons.add(e.problem.substr(0, e.problem.find(" (attempt ")));
      if (e.lost_for_good && for_good++ == 0) first_for_good = e.problem;
    }
  }
  double share() const { return share_of(lost); }
  double share_of(int64_t count) const {
    return run > 0 ? static_cast<double>(count) / static_cast<double>(run) : 0;
  }
  std::string text(const std::string& label) const {
    return fmt::format("{}: {} of {} rollouts that were run are lost ({})", label, lost, run,
                       reasons.to_string());
  }
};

void wait_or_stop(double wait_s) {
  const auto end = Clock::now() + std::chrono::duration<double>(wait_s);
  while (Clock::now() < end) {
    throw_if_stopped();
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

}  // namespace

void LostRolloutOptions::validate() const {
  require_share("max_share", max_share);
  require_at_least("max_waits", max_waits, 0);
  require_at_least("wait_s", wait_s, 0);
  require_at_least("max_wait_s", max_wait_s, 0);
}

void RolloutBatch::append(RolloutBatch other) {
  episodes.insert(episodes.end(), std::make_move_iterator(other.episodes.begin()),
                  std::make_move_iterator(other.episodes.end()));
  completion_tokens += other.completion_tokens;
  worker_calls += other.worker_calls;
  worker_tokens += other.worker_tokens;
  rollout_s += other.rollout_s;
  reward_s += other.reward_s;
}

RolloutBatch collect_rollouts(TextModel& policy, RoundRunner& rounds,
                              const std::vector<const Task*>& tasks,
                              const std::vector<uint64_t>& seeds, const RolloutOptions& options) {
  WEFT_ASSERT(tasks.size() == seeds.size());
  const auto start = Clock::now();
  const auto cancelled = std::make_shared<std::atomic<bool>>(false);
  auto collection = new_collection(rounds, tasks, seeds, options);
  collection->pending_completions = static_cast<int64_t>(tasks.size());
  for (size_t i = 0; i < tasks.size(); ++i) {
    for (int k = 0; k < options.samples_per_prompt; ++k) {
      Episode episode;
      episode.task_id = tasks[i]->id;
      episode.group = seeds[i];
      collection->batch.episodes.push_back(std::move(episode));
    }
  }
  collection->streams.resize(collection->batch.episodes.size());
  std::vector<TextModel::Submission> submissions;
  for (size_t i = 0; i < tasks.size(); ++i) {
    TextRequest request;
    request.prompt = rounds.environment().prompt(*tasks[i]);
    request.n = options.samples_per_prompt;
    request.sampling.temperature = options.temperature;
    request.sampling.max_tokens = options.max_completion_tokens;
    request.sampling.seed = seeds[i];
    request.adapter = options.adapter;
    request.cancelled = cancelled;
    if (options.overlap) {
      request.on_delta = [collection, i](const StreamDelta& delta) {
        collection->on_delta(i, delta);
      };
    }
    submissions.push_back({std::move(request), [collection, i](TextResponse response) {
                             collection->on_response(i, std::move(response));
                           }});
  }
  policy.submit_all(std::move(submissions));
  wait_until_done(*collection, cancelled);
  if (!options.overlap && collection->refused.empty()) {
    score_all(*collection, [](const Episode& e) { return !e.infra_error; });
    wait_until_done(*collection, cancelled);
  }
  if (!collection->refused.empty()) throw InputError("rollout refused: " + collection->refused);
  collection->batch.rollout_s = seconds(collection->last_completion - start);
  collection->batch.reward_s = seconds(Clock::now() - collection->last_completion);
  return std::move(collection->batch);
}

RolloutBatch collect_whole_rollouts(TextModel& policy, RoundRunner& rounds,
                                    const std::vector<const Task*>& tasks,
                                    const std::vector<uint64_t>& seeds,
                                    const RolloutOptions& options) {
  const LostRolloutOptions& lost = options.lost;
  RolloutBatch batch = collect_rollouts(policy, rounds, tasks, seeds, options);
  double wait_s = lost.wait_s;
  int64_t waits = 0;
  for (bool again = false;; again = true) {
    const Losses losses(batch.episodes);
    if (losses.share_of(losses.for_good) > lost.max_share) {
      throw Error(fmt::format(
          "{}: {} of {} rollouts are lost and would be lost again; lost_rollouts.max_share is {}; "
          "the first: {}",
          options.label, losses.for_good, losses.run, lost.max_share, losses.first_for_good));
    }
    const bool may_go_on = losses.share() <= lost.max_share;
    if (losses.lost == losses.for_good || (again && may_go_on)) return batch;
    if (!may_go_on) {
      if (waits == lost.max_waits) {
        throw Error(fmt::format("{}, after {} waits; lost_rollouts.max_share is {}",
                                losses.text(options.label), waits, lost.max_share));
      }
      wait_s = std::min(wait_s, lost.max_wait_s);
      log::warn("{}: again in {:.3g} s, {} of {}", losses.text(options.label), wait_s, ++waits,
                lost.max_waits);
      wait_or_stop(wait_s);
      wait_s *= 2;
    }
    const auto start = Clock::now();
    auto collection = new_collection(rounds, tasks, seeds, options);
    collection->batch = std::move(batch);
    score_all(*collection, can_be_scored_again);
    wait_until_done(*collection, std::make_shared<std::atomic<bool>>(false));
    batch = std::move(collection->batch);
    batch.reward_s += seconds(Clock::now() - start);
  }
}

}  // namespace weft
