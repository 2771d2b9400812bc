#include "trainer/search/evaluator.h"

#include <algorithm>

#include "base/check.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/machine.h"
#include "workflow/steps.h"

namespace weft {

void EvaluatorOptions::validate() const {
  require_at_least("repeats", repeats, 1);
  require_room("repeats", repeats, kRecordBytes);
  require_at_least("max_corrections", max_corrections, 0);
}

uint64_t SearchTarget::seed_of(const char* what, int64_t round, int64_t index) const {
  const uint64_t of_round =
      hash_combine(hash_combine(seed, hash64(what)), static_cast<uint64_t>(round));
  return hash_combine(of_round, static_cast<uint64_t>(index));
}

Evaluator::Evaluator(SearchTarget target, StepGenerator& generator, SearchScorer& scorer,
                     TrajectoryStore& store, Budget& budget, EvaluatorOptions options,
                     FeedbackText feedback)
    : target_(std::move(target)),
      generator_(generator),
      scorer_(scorer),
      store_(store),
      budget_(budget),
      options_(options),
      feedback_(std::move(feedback)) {
  TrajectoryFilter filter;
  filter.task_id = target_.id;
  for (const auto& row : store_.select(filter)) load(row);
}

void Evaluator::load(const Trajectory& row) {
  Sampled sampled = from_trajectory(row);
  sampled.reward = objective_of(sampled.evaluation);
  if (!sampled.reward) return;
  stored_[{row.round, row.code}].push_back(row.id);
  cache_.emplace(row.code, sampled.evaluation);
  keep_best(sampled, row.round);
}

void Evaluator::keep_best(const Sampled& sampled, int64_t round) {
  const auto is_better = [&] {
    if (*sampled.reward != *best_.reward) return *sampled.reward > *best_.reward;
    if (round != best_round_) return round < best_round_;
    return sampled.candidate.code < best_.candidate.code;
  };
  if (best_.row != 0 && !is_better()) return;
  best_ = sampled;
  best_round_ = round;
}

std::optional<double> Evaluator::objective_of(const Evaluation& evaluation) const {
  if (!evaluation.rewarded()) return std::nullopt;
  return options_.objective == Objective::kReward ? evaluation.reward.total
                                                  : evaluation.reward.pass;
}

/// Rows of this round that are still to be met again.
int64_t Evaluator::num_stored(int64_t round) const {
  int64_t count = 0;
  for (auto it = stored_.lower_bound({round, ""}); it != stored_.end(); ++it) {
    if (it->first.first != round) break;
    count += static_cast<int64_t>(it->second.size());
  }
  return count;
}

int64_t Evaluator::reserve(int64_t wanted, int64_t round, int64_t steps) {
  if (budget_.means_spent()) {
    num_skipped_ += wanted;
    return 0;
  }
  // One that can correct is a model, each request to it a call.
  const int64_t calls_each = 1 + (generator_.can_correct() ? 1 + steps : 0);
  const int64_t stored = num_stored(round);
  const int64_t missing = wanted - stored - num_reserved_;
  if (missing > 0) num_reserved_ += budget_.reserve_workflows(missing, calls_each);
  const int64_t granted = std::min(wanted, stored + num_reserved_);
  num_skipped_ += wanted - granted;
  return granted;
}

std::vector<Sampled> Evaluator::evaluate(std::vector<Candidate> candidates, int64_t round) {
  std::vector<Sampled> batch(candidates.size());
  std::vector<size_t> indices;
  for (size_t i = 0; i < batch.size(); ++i) {
    batch[i].candidate = std::move(candidates[i]);
    indices.push_back(i);
  }
  score_new(batch, indices, round);
  correct_failed(batch, round);
  budget_.release_workflows(num_reserved_);
  num_reserved_ = 0;
  return batch;
}

void Evaluator::score_new(std::vector<Sampled>& batch, const std::vector<size_t>& indices,
                          int64_t round) {
  std::vector<WorkflowScoreRequest> requests;
  std::vector<size_t> running, repeated;
  std::map<std::string, size_t> first_of;
  const auto start = [&](size_t i) {
    const Candidate& candidate = batch[i].candidate;
    first_of.emplace(candidate.code, i);
    running.push_back(i);
    requests.push_back({&candidate, &target_.tasks, options_.repeats,
                        hash_combine(target_.seed, hash64(candidate.code)), budget_.calls()});
  };
  for (const size_t i : indices) {
    Sampled& sampled = batch[i];
    sampled.place = next_place(round);
    budget_.add(spent_by_generator(sampled.candidate.usage, sampled.candidate.calls));
    if (sampled.candidate.out_of_budget && budget_.has_refused()) {
      sampled.skipped = true;
      ++num_skipped_;
      continue;
    }
    if (sampled.candidate.status == Candidate::Status::kFailed) {
      log::warn("{}: the generator failed: {}", target_.id, sampled.candidate.problem);
      failures_.add(sampled.candidate.problem);
      continue;
    }
    const std::string& code = sampled.candidate.code;
    const bool known = options_.cache && sampled.candidate.status == Candidate::Status::kWritten &&
                       (cache_.count(code) > 0 || first_of.count(code) > 0);
    if (known) {
      repeated.push_back(i);
    } else if (num_reserved_ > 0) {
      --num_reserved_;
      start(i);
    } else if (budget_.reserve_workflow()) {
      start(i);
    } else {
      sampled.skipped = true;
      ++num_skipped_;
    }
  }
  scorer_.score(requests, [&](size_t r, Evaluation evaluation) {
    budget_.add(spent_by_worker(evaluation.usage));
    Sampled& sampled = batch[running[r]];
    sampled.evaluation = std::move(evaluation);
    if (sampled.evaluation.out_of_budget) return record_cut(sampled, round);
    if (feedback_ && generator_.reads_feedback()) {
      sampled.evaluation.feedback = feedback_(target_.tasks, sampled.candidate, sampled.evaluation);
    }
    record(sampled, round);
  });
  for (const size_t i : repeated) {
    const auto found = cache_.find(batch[i].candidate.code);
    if (found == cache_.end()) continue;
    batch[i].evaluation = found->second;
    batch[i].evaluation.usage = {{"cached", true}};
    ++num_cached_;
    record(batch[i], round);
  }
}

int64_t Evaluator::next_place(int64_t round) {
  if (round != placed_round_) num_placed_ = 0;
  placed_round_ = round;
  return num_placed_++;
}

void Evaluator::record(Sampled& sampled, int64_t round) {
  sampled.reward = objective_of(sampled.evaluation);
  sampled.evaluation.edit = extent_of(sampled.candidate);
  const auto found = stored_.find({round, sampled.candidate.code});
  if (found != stored_.end() && !found->second.empty()) {
    sampled.row = found->second.front();
    found->second.pop_front();
  } else {
    Trajectory row = to_trajectory(sampled, target_, generator_.origin(), round);
    row.id = place_id(hash_combine(target_.seed, hash64(target_.id)), round, sampled.place);
    sampled.row = store_.insert(row);
  }
  if (!sampled.reward) {
    log::warn("{}: a workflow was dropped, no run of it could be scored: {}", target_.id,
              sampled.evaluation.error);
    return;
  }
  cache_.emplace(sampled.candidate.code, sampled.evaluation);
  keep_best(sampled, round);
}

/// What it cost is remembered for a budget that goes on; a resumed search runs it again.
void Evaluator::record_cut(Sampled& sampled, int64_t round) {
  sampled.skipped = true;
  ++num_skipped_;
  if (spent_by_worker(sampled.evaluation.usage).calls() == 0 && sampled.candidate.calls == 0)
    return;
  Trajectory row = to_trajectory(sampled, target_, generator_.origin(), round);
  row.id = place_id(hash_combine(target_.seed, hash64(target_.id)), round, sampled.place);
  store_.insert(row);
}

std::optional<EditExtent> Evaluator::extent_of(const Candidate& candidate) {
  const bool is_edit =
      candidate.status == Candidate::Status::kWritten && !candidate.edited_from.empty();
  return is_edit ? scorer_.compare(candidate.edited_from, candidate.code) : std::nullopt;
}

void Evaluator::correct_failed(std::vector<Sampled>& batch, int64_t round) {
  if (!generator_.can_correct()) return;
  for (int64_t attempt = 0; attempt < options_.max_corrections; ++attempt) {
    std::vector<size_t> failed;
    std::vector<FailedCandidate> corrections;
    for (size_t i = 0; i < batch.size(); ++i) {
      const auto& sampled = batch[i];
      if (sampled.row == 0 || !sampled.reward || !sampled.evaluation.failed()) continue;
      failed.push_back(i);
      corrections.push_back({sampled.candidate, sampled.evaluation.error});
    }
    if (failed.empty()) return;
    failed.resize(static_cast<size_t>(reserve(static_cast<int64_t>(failed.size()), round)));
    corrections.resize(failed.size());
    if (failed.empty()) return;
    const uint64_t seed =
        hash_combine(hash_combine(target_.seed, static_cast<uint64_t>(round)),
                     hash_combine(hash64("correct"), static_cast<uint64_t>(attempt)));
    auto corrected = generator_.correct(target_.task, corrections, seed);
    std::vector<Sampled> retried(failed.size());
    std::vector<size_t> indices;
    for (size_t j = 0; j < failed.size(); ++j) {
      retried[j].candidate = std::move(corrected[j]);
      retried[j].candidate.kind = batch[failed[j]].candidate.kind;
      retried[j].candidate.parent = batch[failed[j]].row;
      indices.push_back(j);
    }
    score_new(retried, indices, round);
    for (size_t j = 0; j < failed.size(); ++j) {
      if (retried[j].reward) batch[failed[j]] = std::move(retried[j]);
    }
  }
}

Trajectory to_trajectory(const Sampled& sampled, const SearchTarget& target,
                         const std::string& origin, int64_t round) {
  const Candidate& candidate = sampled.candidate;
  const Evaluation& evaluation = sampled.evaluation;
  Trajectory row;
  row.parent = candidate.parent;
  row.task_id = target.id;
  row.origin = origin;
  row.kind = candidate.kind;
  row.prompt = target.prompt;
  row.reasoning = candidate.reasoning;
  row.code = candidate.code;
  row.num_steps = evaluation.num_steps;
  row.valid = evaluation.valid;
  row.outcome = evaluation.outcome;
  row.usage = evaluation.usage;
  put_reward(row, evaluation.reward);
  if (!evaluation.error.empty()) row.usage["error"] = evaluation.error;
  if (evaluation.num_infra > 0) row.usage["infra_errors"] = evaluation.num_infra;
  if (evaluation.reward_deviation > 0) row.usage["reward_sd"] = evaluation.reward_deviation;
  if (!evaluation.feedback.empty()) row.usage["feedback"] = evaluation.feedback;
  if (evaluation.names_query) row.usage["names_query"] = true;
  if (evaluation.edit) {
    row.usage["edit"] = {{"places", evaluation.edit->places},
                         {"statements", evaluation.edit->statements}};
  }
  if (candidate.calls > 0) {
    row.usage["generator_calls"] = candidate.calls;
    row.usage["generator_prompt_tokens"] = candidate.usage.prompt_tokens;
    row.usage["generator_completion_tokens"] = candidate.usage.completion_tokens;
    row.usage["generator_usd"] = candidate.usage.usd;
  }
  row.seed = target.seed;
  row.model_version = target.model_version;
  row.round = static_cast<int>(round);
  return row;
}

Sampled from_trajectory(const Trajectory& row) {
  Sampled sampled;
  sampled.row = row.id;
  sampled.candidate.kind = row.kind;
  sampled.candidate.reasoning = row.reasoning;
  sampled.candidate.code = row.code;
  sampled.candidate.parent = row.parent;
  Evaluation& evaluation = sampled.evaluation;
  evaluation.valid = row.valid;
  evaluation.num_steps = row.num_steps;
  evaluation.outcome = row.outcome;
  evaluation.reward = reward_of(row);
  evaluation.usage = row.usage.is_object() ? row.usage : Json::object();
  evaluation.error = evaluation.usage.value("error", std::string());
  evaluation.reward_deviation = evaluation.usage.value("reward_sd", 0.0);
  evaluation.num_infra = evaluation.usage.value("infra_errors", 0);
  evaluation.feedback = evaluation.usage.value("feedback", std::string());
  evaluation.names_query = evaluation.usage.value("names_query", false);
  return sampled;
}

Spent spent_in(const std::vector<Trajectory>& rows) {
  Spent spent;
  for (const auto& row : rows) {
    if (!row.usage.is_object()) continue;
    spent.workflows += !row.usage.value("cached", false);
    spent += spent_by_worker(row.usage);
    const TextUsage generator = {row.usage.value("generator_prompt_tokens", int64_t{0}),
                                 row.usage.value("generator_completion_tokens", int64_t{0}),
                                 row.usage.value("generator_usd", 0.0)};
    spent += spent_by_generator(generator, row.usage.value("generator_calls", int64_t{0}));
  }
  return spent;
}

bool Evaluator::is_whole(const StepPrefix& prefix) const {
  return scorer_.is_whole(join_steps(prefix));
}

int64_t clock_decisions_in(const std::vector<Trajectory>& rows) {
  int64_t sum = 0;
  for (const auto& row : rows) {
    if (row.usage.is_object()) sum += row.usage.value("clock_decisions", int64_t{0});
  }
  return sum;
}

}  // namespace weft
