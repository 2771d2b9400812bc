/// One search with fakes in place of model and sandbox, on a store of its own.
#pragma once

#include <cstdint>
#include <vector>

#include "tests/support/support.h"
#include "tests/trainer/search/fakes.h"
#include "trainer/search/methods.h"

namespace weft::test {

struct SearchBench {
  explicit SearchBench(SearchOptions search = {}) : options(search) {}

  Json run(int stop_after = -1) {
    scorer.runs_until_stop = stop_after;
    TrajectoryStore store(dir / "store.sqlite");
    Budget spending(budget, spent_in(store.select()));
    Evaluator evaluator(target(), *generator, scorer, store, spending, options.evaluation,
                        feedback);
    return run_search(options, evaluator, store);
  }
  SearchTarget target() {
    SearchTarget target;
    target.id = task.id;
    target.task = task;
    target.tasks = {&task};
    target.prompt = "the prompt";
    target.model_version = "worker";
    target.seed = 42;
    return target;
  }
  std::vector<Trajectory> rows() const { return TrajectoryStore(dir / "store.sqlite").select(); }

  TempDir dir;
  SearchOptions options;
  BudgetOptions budget;
  Task task = code_task("square");
  FakeScorer scorer;
  ScriptedGenerator scripted;
  StepGenerator* generator = &scripted;
  FeedbackText feedback;
};

inline SearchOptions bayesflow(int64_t particles, int64_t refined, int64_t rounds) {
  SearchOptions options;
  options.smc.particles = particles;
  options.smc.refined = refined;
  options.smc.rounds = rounds;
  return options;
}

inline SearchOptions of_kind(SearchMethodKind kind) {
  SearchOptions options;
  options.method = kind;
  return options;
}

}  // namespace weft::test
