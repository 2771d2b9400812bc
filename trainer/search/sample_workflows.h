/// The program `sample_workflows` without its wiring: which searches run, in parallel and
/// resumably, and what they leave.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/config.h"
#include "data/task.h"
#include "data/trajectory_store.h"
#include "trainer/search/methods.h"

namespace weft {

enum class SearchScope {
  kTaskLevel,  ///< one workflow for all tasks; R = mean over a subset of them
  kPerQuery,   ///< one small search per task; R from that task's val tests
};

inline EnumTable<SearchScope> enum_table(SearchScope) {
  return {{SearchScope::kTaskLevel, "task_level"}, {SearchScope::kPerQuery, "per_query"}};
}

/// The fresh look at the best few. The arg max of noisy means is optimistic; these runs are less
/// so, but their winner is again the best of a few, on tasks that the search has seen: quote
/// `evaluate` on others.
struct FinalOptions {
  int64_t candidates = 3;
  int64_t repeats = 3;
  int64_t tasks = 16;

  template <class V>
  void visit(V& v) {
    v("candidates", candidates, "best workflows that are run again; 0: none, no best_workflow.py");
    v("repeats", repeats, "fresh runs of each on each task");
    v("tasks", tasks, "tasks they run on, drawn by the seed; 0: all");
  }
  void validate() const;
};

struct SampleOptions {
  SearchScope scope = SearchScope::kPerQuery;
  SearchOptions search;
  BudgetOptions budget;
  FinalOptions final;
  int64_t max_tasks = 0;
  int64_t reward_tasks = 32;
  std::string task_description;
  int64_t concurrent_searches = 8;
  uint64_t seed = 0;

  template <class V>
  void visit(V& v) {
    v("scope", scope, "per_query (a search per task) or task_level (one for all)");
    v("search", search, "the method and its options");
    v("budget", budget, "what the run may spend; 0: no limit");
    v("final", final, "fresh re-evaluation of the best few");
    v("max_tasks", max_tasks, "tasks used, drawn by the seed; 0: all");
    v("reward_tasks", reward_tasks, "task_level: tasks that a workflow is scored on; 0: all");
    v("task_description", task_description, "task_level: the query shown to the generator");
    v("concurrent_searches", concurrent_searches, "per_query: searches at a time");
    v("seed", seed, "of every draw");
  }
  void validate() const;
};

/// What the searches work with. All borrowed; must be usable from several threads.
struct SearchTools {
  StepGenerator& generator;
  SearchScorer& scorer;
  TrajectoryStore& store;
  std::function<std::string(const Task&)> prompt;  ///< stored with every workflow of a task
  std::string worker_name;
  FeedbackText feedback = {};                   ///< for a generator that reads it; may be empty
  std::string reward_text = {};                 ///< what the reward is, for the report
  std::vector<std::string> clock_reasons = {};  ///< of the models: OpenModels::clock_reasons
  std::function<int64_t()> tokens = {};         ///< RunModels::tokens, for the progress
};

/// The searches of a run: one target per task, or the one of all tasks. Seeds depend on the run's
/// seed and the target's id alone, never on order or number of threads.
std::vector<SearchTarget> make_targets(const SampleOptions& options, const std::vector<Task>& tasks,
                                       const SearchTools& tools);

/// Runs all searches that the store does not know as finished, then the final re-evaluation; writes
/// best_workflow.py and report.json into `dir` and returns the report. Every workflow sampled is in
/// the store. The result is a function of seed, config and answers: no byte of it depends on which
/// search or run was done first. "clock" in the report says what may differ all the same
/// (base/clock_report.h).
///
/// Throws Error with the counted reasons, after report.json and without a best_workflow.py, when no
/// workflow was written (a generator that is down), none is valid, none ran to an answer that could
/// be scored (a worker that is down), or no candidate of the final choice could be; Interrupted
/// after a stop signal; a later call on the same store goes on after the last finished round of
/// each search.
Json sample_workflows(const SampleOptions& options, const std::vector<Task>& tasks,
                      const SearchTools& tools, const std::filesystem::path& dir);

}  // namespace weft
