#include "trainer/learn/rollouts.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <iterator>
#include <memory>
#include <mutex>

#include "base/error.h"
#include "base/hash.h"
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
  RolloutScorer* scorer = nullptr;
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
  void on_score(size_t episode, const ScoredRollout& scored);
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
  scorer->submit(tasks[prompt], std::move(text), hash_combine(seeds[prompt], choice),
                 [self = shared_from_this(), episode](const ScoredRollout& scored) {
                   self->on_score(episode, scored);
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

void Collection::on_score(size_t index, const ScoredRollout& scored) {
  const std::lock_guard lock(mutex);
  Episode& episode = batch.episodes[index];
  episode.reward = scored.reward.total;
  episode.reward_pass = scored.reward.pass;
  episode.reward_complexity = scored.reward.complexity;
  episode.reward_diversity = scored.reward.diversity;
  episode.valid = scored.valid;
  if (!episode.infra_error) episode.outcome = scored.outcome;
  episode.infra_error |= scored.infra_error;
  episode.usage = scored.usage;
  batch.worker_calls += scored.worker_calls;
  batch.worker_tokens += scored.worker_tokens;
  --pending_scores;
  changed.notify_all();
}

/// Scores what on_response has left unscored, in the order of the prompts.
void score_all(Collection& collection) {
  std::vector<std::pair<size_t, std::string>> texts;
  {
    const std::lock_guard lock(collection.mutex);
    for (size_t i = 0; i < collection.batch.episodes.size(); ++i) {
      const Episode& episode = collection.batch.episodes[i];
      if (!episode.infra_error) texts.emplace_back(i, episode.text);
    }
    collection.pending_scores += static_cast<int64_t>(texts.size());
  }
  const auto samples = static_cast<size_t>(collection.options.samples_per_prompt);
  for (auto& [i, text] : texts) collection.submit(i / samples, i % samples, std::move(text));
}

/// On a signal the completions are cancelled and waited for, so that none reaches the scorer later.
void wait_until_done(Collection& collection, const CancelFlag& cancelled) {
  std::unique_lock lock(collection.mutex);
  while (!collection.done()) {
    collection.changed.wait_for(lock, std::chrono::milliseconds(100));
    if (stop_signal() == 0) continue;
    cancelled->store(true);
    collection.changed.wait(lock, [&] { return collection.pending_completions == 0; });
    throw_if_stopped();
  }
}

}  // namespace

void RolloutBatch::append(RolloutBatch other) {
  episodes.insert(episodes.end(), std::make_move_iterator(other.episodes.begin()),
                  std::make_move_iterator(other.episodes.end()));
  completion_tokens += other.completion_tokens;
  worker_calls += other.worker_calls;
  worker_tokens += other.worker_tokens;
  rollout_s += other.rollout_s;
  reward_s += other.reward_s;
}

RolloutBatch collect_rollouts(TextModel& policy, RolloutScorer& scorer,
                              const std::vector<const Task*>& tasks,
                              const std::vector<uint64_t>& seeds, const RolloutOptions& options) {
  WEFT_ASSERT(tasks.size() == seeds.size());
  const auto start = Clock::now();
  const auto cancelled = std::make_shared<std::atomic<bool>>(false);
  auto collection = std::make_shared<Collection>();
  collection->seeds = seeds;
  collection->options = options;
  collection->scorer = &scorer;
  collection->pending_completions = static_cast<int64_t>(tasks.size());
  for (size_t i = 0; i < tasks.size(); ++i) {
    collection->tasks.push_back(*tasks[i]);
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
    request.prompt = scorer.prompt(*tasks[i]);
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
    score_all(*collection);
    wait_until_done(*collection, cancelled);
  }
  if (!collection->refused.empty()) throw InputError("rollout refused: " + collection->refused);
  collection->batch.rollout_s = seconds(collection->last_completion - start);
  collection->batch.reward_s = seconds(Clock::now() - collection->last_completion);
  return std::move(collection->batch);
}

}  // namespace weft
