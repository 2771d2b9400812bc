#include "trainer/search/methods.h"

#include "base/error.h"
#include "base/stop.h"
#include "trainer/search/archive_search.h"
#include "trainer/search/bayesflow_search.h"

namespace weft {

Json RoundReport::to_json() const {
  const auto if_scored = [this](double reward) { return num_scored > 0 ? Json(reward) : Json(); };
  return {{"round", round},
          {"ess", ess},
          {"reward_mean", if_scored(reward_mean)},
          {"reward_best", if_scored(reward_best)},
          {"scored", num_scored},
          {"dropped", num_dropped}};
}

std::unique_ptr<SearchMethod> make_search_method(const SearchOptions& options,
                                                 Evaluator& evaluator) {
  switch (options.method) {
    case SearchMethodKind::kBayesflow:
      return std::make_unique<BayesflowSearch>(options.smc, evaluator);
    case SearchMethodKind::kAflow:
      return std::make_unique<AflowSearch>(options.aflow, evaluator);
    case SearchMethodKind::kAdas:
      return std::make_unique<AdasSearch>(options.adas, evaluator);
    case SearchMethodKind::kRandom:
      return std::make_unique<RandomSearch>(options.random, evaluator);
  }
  throw InputError("search.method: unknown value");
}

int64_t num_rounds(const SearchOptions& options) {
  switch (options.method) {
    case SearchMethodKind::kBayesflow:
      return options.smc.rounds;
    case SearchMethodKind::kAflow:
      return options.aflow.rounds + 1;
    case SearchMethodKind::kAdas:
      return options.adas.generations + 1;
    case SearchMethodKind::kRandom:
      return (options.random.workflows + options.random.batch - 1) / options.random.batch;
  }
  throw InputError("search.method: unknown value");
}

Json run_search(const SearchOptions& options, Evaluator& evaluator, TrajectoryStore& store,
                const std::function<void(const RoundReport&)>& on_round) {
  const std::string key = "search/" + evaluator.target().id;
  const auto method = make_search_method(options, evaluator);
  Json saved = {{"rounds", Json::array()}, {"complete", false}};
  if (auto before = store.get_state(key)) {
    saved = std::move(*before);
    if (saved.contains("method")) method->restore(saved.at("method"));
    if (get_field<bool>(saved, "complete", key)) return saved.at("report");
  }
  bool cut = false;
  while (!method->finished()) {
    throw_if_stopped();
    const int64_t skipped = evaluator.num_skipped();
    const RoundReport round = method->run_round();
    // A round that the budget cut short is not done: resumed with a larger budget, it is run again,
    // on the stored rows where it has some.
    cut = evaluator.num_skipped() > skipped;
    if (cut) break;
    saved["rounds"].push_back(round.to_json());
    saved["method"] = method->state();
    store.put_state(key, saved);
    if (on_round) on_round(round);
  }
  int64_t dropped = 0;
  for (const auto& round : saved["rounds"]) dropped += round.at("dropped").get<int64_t>();
  const Sampled* best = evaluator.best();
  Json report = {{"rounds", saved["rounds"]},
                 {"best_row", best ? Json(best->row) : Json()},
                 {"best_reward", best ? Json(*best->reward) : Json()},
                 {"dropped", dropped},
                 {"cached", evaluator.num_cached()},
                 {"generator_failed", evaluator.failures().to_json()},
                 {"cut_by_budget", cut},
                 {"complete", best && !cut && !evaluator.exhausted()}};
  if (report["complete"].get<bool>()) {
    saved = {{"complete", true}, {"report", report}, {"method", method->state()}};
    store.put_state(key, saved);
  } else if (!best) {
    store.put_state(key, {{"complete", false}, {"rounds", Json::array()}});
  }
  return report;
}

}  // namespace weft
