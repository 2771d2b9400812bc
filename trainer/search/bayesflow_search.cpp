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

std::vector<StepPrefix> BayesflowSearch::extend(const std::vector<StepPrefix>& prefixes,
                                                int64_t round) {
  std::vector<StepPrefix> open;
  std::vector<size_t> places;
  for (size_t i = 0; i < prefixes.size(); ++i) {
    if (evaluator_.is_whole(prefixes[i])) continue;
    open.push_back(prefixes[i]);
    places.push_back(i);
  }
  auto steps = evaluator_.generator().extend(evaluator_.target().task, open,
                                             evaluator_.target().seed_of("extend", round));
  std::vector<StepPrefix> extended = prefixes;
  Spent spent;
  for (size_t j = 0; j < steps.size(); ++j) {
    if (!steps[j].text.empty()) extended[places[j]].push_back(std::move(steps[j].text));
    spent += spent_by_generator(steps[j].usage, steps[j].calls);
  }
  extension_spent_ += spent;
  evaluator_.spend(spent);
  return extended;
}

std::vector<Candidate> BayesflowSearch::written(const std::vector<StepPrefix>& prefixes,
                                                int64_t round) {
  StepGenerator& generator = evaluator_.generator();
  const SearchTarget& target = evaluator_.target();
  std::vector<Candidate> written(prefixes.size());
  std::vector<StepPrefix> open;
  std::vector<size_t> places;
  for (size_t i = 0; i < prefixes.size(); ++i) {
    if (evaluator_.is_whole(prefixes[i])) {
      const auto index = static_cast<int64_t>(i);
      written[i] =
          generator.finish(target.task, prefixes[i], target.seed_of("finish", round, index));
    } else {
      open.push_back(prefixes[i]);
      places.push_back(i);
    }
  }
  auto completed = generator.complete(target.task, open, target.seed_of("complete", round));
  for (size_t j = 0; j < completed.size(); ++j) written[places[j]] = std::move(completed[j]);
  return written;
}

std::vector<std::vector<Scored<Sampled>>> BayesflowSearch::complete(
    const std::vector<StepPrefix>& prefixes, int64_t num_completions, int64_t round) {
  std::vector<StepPrefix> repeated;
  for (const auto& prefix : prefixes) {
    repeated.insert(repeated.end(), static_cast<size_t>(num_completions), prefix);
  }
  auto sampled = evaluator_.evaluate(written(repeated, round), round);
  std::vector<std::vector<Scored<Sampled>>> rollouts(prefixes.size());
  for (size_t i = 0; i < sampled.size(); ++i) {
    const auto reward = sampled[i].reward;
    rollouts[i / static_cast<size_t>(num_completions)].push_back({std::move(sampled[i]), reward});
  }
  return rollouts;
}

std::optional<Scored<Sampled>> BayesflowSearch::refine(const Scored<Sampled>& parent, int64_t round,
                                                       int64_t index) {
  if (evaluator_.exhausted()) {
    evaluator_.skip();
    return std::nullopt;
  }
  const Sampled& from = parent.item;
  Candidate edited = evaluator_.generator().refine(
      evaluator_.target().task, from.candidate, {*parent.reward, from.evaluation.error, ""},
      evaluator_.target().seed_of("refine", round, index));
  edited.parent = from.row;
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
          {"log_values", state_.log_values},
          {"extension_spent", extension_spent_.to_json()}};
}

void BayesflowSearch::restore(const Json& state) {
  const std::string where = "the saved state of the search";
  if (get_field<std::string>(state, "method", where) != "bayesflow") {
    throw InputError(where + ": expected that of bayesflow");
  }
  state_.round = get_field<int64_t>(state, "round", where);
  state_.prefixes = get_field<Json>(state, "prefixes", where).get<std::vector<StepPrefix>>();
  state_.log_values = get_field<std::vector<double>>(state, "log_values", where);
  extension_spent_ = spent_from_json(get_field<Json>(state, "extension_spent", where));
  evaluator_.spend_earlier(extension_spent_);
}

}  // namespace weft
