#include "trainer/search/bayesflow_search.h"

#include "base/error.h"
#include "workflow/steps.h"

namespace weft {

BayesflowSearch::BayesflowSearch(const SmcOptions& options, Evaluator& evaluator)
    : options_(options), evaluator_(evaluator), state_(initial_smc_state<StepPrefix>(options)) {
  options_.validate();
}

bool BayesflowSearch::finished() const {
  return state_.round >= options_.rounds || evaluator_.exhausted();
}

RoundReport BayesflowSearch::run_round() {
  Rng rng(evaluator_.target().seed_of("resample", state_.round + 1));
  SmcRound round;
  smc_round<StepPrefix, Sampled>(*this, options_, state_, rng, &round);
  return {round.round,       round.ess,        round.reward_mean,
          round.reward_best, round.num_scored, round.num_dropped};
}

/// The prefixes among the first `count` that are not whole, and their places.
BayesflowSearch::Open BayesflowSearch::open(const std::vector<StepPrefix>& prefixes,
                                            size_t count) const {
  Open open;
  for (size_t i = 0; i < count; ++i) {
    if (evaluator_.is_whole(prefixes[i])) continue;
    open.prefixes.push_back(prefixes[i]);
    open.places.push_back(i);
  }
  return open;
}

// A prefix that the budget leaves no completion for is not extended either.
std::vector<StepPrefix> BayesflowSearch::extend(const std::vector<StepPrefix>& prefixes,
                                                int64_t round) {
  const int64_t wanted = static_cast<int64_t>(prefixes.size()) * options_.completions;
  granted_ = evaluator_.reserve(wanted, round, 1);
  const int64_t asked = (granted_ + options_.completions - 1) / options_.completions;
  const Open open = this->open(prefixes, static_cast<size_t>(asked));
  steps_.assign(static_cast<size_t>(asked), {});
  std::vector<StepPrefix> extended = prefixes;
  if (open.prefixes.empty()) return extended;
  auto written = evaluator_.generator().extend(evaluator_.target().task, open.prefixes,
                                               evaluator_.target().seed_of("extend", round));
  for (size_t j = 0; j < written.size(); ++j) {
    NextStep& step = steps_[open.places[j]] = std::move(written[j]);
    if (!step.text.empty()) extended[open.places[j]].push_back(step.text);
  }
  return extended;
}

// What a step cost is stored with the first completion of its prefix.
std::vector<Candidate> BayesflowSearch::written(const std::vector<StepPrefix>& repeated,
                                                int64_t round) {
  Spent of_steps;
  for (const auto& step : steps_) of_steps += spent_by_generator(step.usage, step.calls);
  const bool last = evaluator_.means_spent(of_steps);
  if (last) evaluator_.spend(of_steps);
  const auto granted = static_cast<size_t>(evaluator_.reserve(granted_, round));
  StepGenerator& generator = evaluator_.generator();
  const SearchTarget& target = evaluator_.target();
  std::vector<Candidate> candidates(granted);
  const Open open = this->open(repeated, granted);
  std::vector<bool> is_open(granted, false);
  for (const size_t i : open.places) is_open[i] = true;
  for (size_t i = 0; i < granted; ++i) {
    if (is_open[i]) continue;
    const uint64_t seed = target.seed_of("finish", round, static_cast<int64_t>(i));
    candidates[i] = generator.finish(target.task, repeated[i], seed);
  }
  if (!open.prefixes.empty()) {
    auto completed =
        generator.complete(target.task, open.prefixes, target.seed_of("complete", round));
    for (size_t j = 0; j < completed.size(); ++j) {
      candidates[open.places[j]] = std::move(completed[j]);
    }
  }
  for (size_t i = 0; i < steps_.size() && granted > 0 && !last; ++i) {
    candidates.at(i * static_cast<size_t>(options_.completions))
        .charge(steps_[i].usage, steps_[i].calls);
  }
  return candidates;
}

std::vector<std::vector<Scored<Sampled>>> BayesflowSearch::complete(
    const std::vector<StepPrefix>& prefixes, int64_t num_completions, int64_t round) {
  std::vector<StepPrefix> repeated;
  for (const auto& prefix : prefixes) {
    repeated.insert(repeated.end(), static_cast<size_t>(num_completions), prefix);
  }
  auto sampled = evaluator_.evaluate(written(repeated, round), round);
  while (sampled.size() < repeated.size()) sampled.emplace_back().skipped = true;
  std::vector<std::vector<Scored<Sampled>>> rollouts(prefixes.size());
  for (size_t i = 0; i < sampled.size(); ++i) {
    const auto reward = sampled[i].reward;
    rollouts[i / static_cast<size_t>(num_completions)].push_back({std::move(sampled[i]), reward});
  }
  return rollouts;
}

std::optional<Scored<Sampled>> BayesflowSearch::refine(const Scored<Sampled>& parent, int64_t round,
                                                       int64_t index) {
  if (evaluator_.reserve(1, round) == 0) return std::nullopt;
  const Sampled& from = parent.item;
  Candidate edited = evaluator_.generator().refine(
      evaluator_.target().task, from.candidate, {*parent.reward, from.evaluation.feedback, ""},
      evaluator_.target().seed_of("refine", round, index));
  edited.parent = from.row;
  edited.edited_from = from.candidate.code;
  auto sampled = evaluator_.evaluate({std::move(edited)}, round);
  if (sampled.front().skipped) return std::nullopt;
  const auto reward = sampled.front().reward;
  return Scored<Sampled>{std::move(sampled.front()), reward};
}

StepPrefix BayesflowSearch::project(const Sampled& item, int64_t num_steps) const {
  StepPrefix steps = split_steps(item.candidate.code);
  if (static_cast<int64_t>(steps.size()) > num_steps) steps.resize(static_cast<size_t>(num_steps));
  return steps;
}

Json BayesflowSearch::state() const {
  return {{"method", "bayesflow"},
          {"round", state_.round},
          {"prefixes", state_.prefixes},
          {"log_values", state_.log_values}};
}

void BayesflowSearch::restore(const Json& state) {
  const std::string where = "the saved state of the search";
  if (get_field<std::string>(state, "method", where) != "bayesflow") {
    throw InputError(where + ": expected that of bayesflow");
  }
  state_.round = get_field<int64_t>(state, "round", where);
  state_.prefixes = get_field<Json>(state, "prefixes", where).get<std::vector<StepPrefix>>();
  state_.log_values = get_field<std::vector<double>>(state, "log_values", where);
}

}  // namespace weft
