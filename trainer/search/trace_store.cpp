#include "trainer/search/trace_store.h"

#include <fmt/format.h>

#include "base/hash.h"

namespace weft {

namespace {

constexpr const char* kRoundSuffix = "/round";

}  // namespace

bool is_round(const Trajectory& row) { return row.origin.ends_with(kRoundSuffix); }

TraceProgress::TraceProgress(const SearchTools& tools, const Task& task, int64_t number,
                             uint64_t seed)
    : tools_(tools), task_(task), key_(fmt::format("trace/{}/{}", task.id, number)) {
  target_.id = task.id;
  target_.prompt = tools.prompt(task);
  target_.model_version = tools.worker_name;
  target_.seed = hash_combine(hash_combine(seed, hash64(task.id)), static_cast<uint64_t>(number));
  restore();
}

uint64_t TraceProgress::round_seed() const { return hash_combine(target_.seed, rounds_.size()); }

uint64_t TraceProgress::run_seed() const { return hash_combine(round_seed(), hash64("run")); }

Candidate TraceProgress::ask(StepGenerator& teacher) {
  if (rounds_.empty()) return teacher.draft(task_, 1, "", round_seed()).front();
  const TraceRound& last = rounds_.back();
  Candidate parent;
  parent.kind = last.kind;
  parent.reasoning = last.reasoning;
  parent.code = last.code;
  if (!last.valid && teacher.can_correct()) {
    return teacher.correct(task_, {{parent, last.feedback}}, round_seed()).front();
  }
  std::string notes;
  for (size_t i = 0; i + 1 < rounds_.size(); ++i) {
    notes +=
        fmt::format("Round {}: {} Result: {}\n", i + 1, rounds_[i].reasoning, rounds_[i].feedback);
  }
  if (!notes.empty()) notes = "Earlier rounds on this task:\n" + notes;
  Candidate edited =
      teacher.refine(task_, parent, {last.reward.total, last.feedback, notes}, round_seed());
  edited.edited_from = parent.code;
  return edited;
}

void TraceProgress::add(const Candidate& candidate, const Evaluation& evaluation) {
  Sampled sampled;
  sampled.candidate = candidate;
  sampled.evaluation = evaluation;
  if (!rows_.empty()) sampled.candidate.parent = rows_.back().id;
  const auto number = static_cast<int64_t>(rounds_.size()) + 1;
  Trajectory row =
      to_trajectory(sampled, target_, tools_.generator.origin() + kRoundSuffix, number);
  rounds_.push_back({candidate.reasoning, candidate.code, candidate.kind, evaluation.feedback,
                     evaluation.reward, evaluation.valid});
  row.id = place_id(target_.seed, number, 0);
  row.id = tools_.store.insert(row);
  rows_.push_back(std::move(row));
}

TraceProgress::End TraceProgress::finish() {
  if (done_) return end_;
  done_ = true;
  const JoinedTrace joined = join_rounds(rounds_);
  if (joined.chosen >= 0) end_ = joined.reasoning.empty() ? End::kNoReasoning : End::kTrace;
  std::vector<Trajectory> rows;
  if (end_ == End::kTrace) {
    Trajectory trace = rows_[static_cast<size_t>(joined.chosen)];
    trace.parent = trace.id;
    trace.origin = tools_.generator.origin();
    trace.reasoning = joined.reasoning;
    const RewardTerms reward = reward_of(trace);
    trace.usage = {
        {"rounds", rounds_.size()}, {"chosen_round", joined.chosen + 1}, {"cached", true}};
    put_reward(trace, reward);
    trace.id = place_id(target_.seed, trace.round, 1);
    rows.push_back(std::move(trace));
  }
  tools_.store.commit(rows, key_,
                      {{"done", done_},
                       {"has_trace", end_ == End::kTrace},
                       {"no_reasoning", end_ == End::kNoReasoning}});
  return end_;
}

void TraceProgress::restore() {
  if (const auto state = tools_.store.get_state(key_)) {
    done_ = get_field<bool>(*state, "done", key_);
    if (get_field<bool>(*state, "has_trace", key_)) end_ = End::kTrace;
    if (get_field_or<bool>(*state, "no_reasoning", false, key_)) end_ = End::kNoReasoning;
  }
  TrajectoryFilter filter;
  filter.task_id = task_.id;
  auto rows = tools_.store.select(filter);
  std::erase_if(rows,
                [&](const Trajectory& row) { return row.seed != target_.seed || !is_round(row); });
  spent_ = spent_in(rows);
  if (done_) return;
  for (auto& row : rows) {
    rounds_.push_back({row.reasoning, row.code, row.kind, row.usage.value("feedback", ""),
                       reward_of(row), row.valid});
    rows_.push_back(std::move(row));
  }
}

}  // namespace weft
