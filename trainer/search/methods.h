/// The search methods over whole workflows, one round at a time, so that any of them can be stopped
/// after a round and go on from its saved state.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/config.h"
#include "trainer/search/aflow.h"
#include "trainer/search/evaluator.h"
#include "trainer/search/smc.h"

namespace weft {

enum class SearchMethodKind { kBayesflow, kAflow, kAdas, kRandom };

inline EnumTable<SearchMethodKind> enum_table(SearchMethodKind) {
  return {{SearchMethodKind::kBayesflow, "bayesflow"},
          {SearchMethodKind::kAflow, "aflow"},
          {SearchMethodKind::kAdas, "adas"},
          {SearchMethodKind::kRandom, "random"}};
}

/// Meta Agent Search (arXiv:2408.08435): a linear archive that is shown to the generator as a
/// whole.
struct AdasOptions {
  int64_t generations = 30;
  int64_t max_archive_bytes = 24000;

  template <class V>
  void visit(V& v) {
    v("generations", generations, "new workflows, one after the other");
    v("max_archive_bytes", max_archive_bytes,
      "most text of the archive in a prompt; the best are kept");
  }
  void validate() const;
};

/// Independent drafts: the baseline that a search has to beat at equal cost.
struct RandomOptions {
  int64_t workflows = 20;
  int64_t batch = 10;

  template <class V>
  void visit(V& v) {
    v("workflows", workflows, "independent drafts");
    v("batch", batch, "drafts of one round; they run together");
  }
  void validate() const;
};

struct SearchOptions {
  SearchMethodKind method = SearchMethodKind::kBayesflow;
  SmcOptions smc;
  AflowOptions aflow;
  AdasOptions adas;
  RandomOptions random;
  EvaluatorOptions evaluation;

  template <class V>
  void visit(V& v) {
    v("method", method, "bayesflow, aflow, adas or random");
    v("smc", smc, "of bayesflow");
    v("aflow", aflow, "of aflow");
    v("adas", adas, "of adas");
    v("random", random, "of random");
    v("evaluation", evaluation, "how a workflow gets its reward");
  }
};

/// One line of the reward curve.
struct RoundReport {
  int64_t round = 0;                        ///< from 1
  double ess = 0;                           ///< bayesflow only
  double reward_mean = 0, reward_best = 0;  ///< over the round's scored workflows
  int64_t num_scored = 0, num_dropped = 0;
  Json to_json() const;  ///< with null for the rewards where nothing was scored
};

class SearchMethod {
 public:
  virtual ~SearchMethod() = default;
  /// No further round: all are done, the search has converged, or the budget is spent.
  virtual bool finished() const = 0;
  virtual RoundReport run_round() = 0;
  /// All that the next round needs beside the store; a pure function of the rounds done.
  virtual Json state() const = 0;
  /// Throws InputError when the state is not of this method.
  virtual void restore(const Json& state) = 0;
};

/// Borrows the evaluator.
///
/// bayesflow  trainer/search/smc.h over step prefixes.
/// aflow      round 1 is the single call (io_workflow) as template; each later round edits one
///            parent drawn by aflow_selection_probabilities with the experience of that parent in
///            the prompt, and accepts an edit whose code no earlier child of the parent has (AFlow
///            compares the text of the modification), at most four tries. Successful edits are
///            shown as such; AFlow's code lists them under what is forbidden.
/// adas       the archive opens with io, cot and cot_sc (of the paper's seven), each entry with its
///            reward; its two reflexion turns are left out, its three debug turns are the
///            evaluator's corrections.
/// random     independent drafts.
std::unique_ptr<SearchMethod> make_search_method(const SearchOptions& options,
                                                 Evaluator& evaluator);

/// Rounds that a full run has, for progress.
int64_t num_rounds(const SearchOptions& options);

/// Runs a method to its end, saving its state in the store under "search/ID" after every round and
/// going on from there. Returns the report: {"rounds": [...], "best_row", "best_reward", "dropped",
/// "cached", "generator_failed": {reason: count}, "cut_by_budget", "complete"}; a finished target
/// gives its stored report without any work, one of which not a single workflow could be scored
/// begins anew. `on_round` is called after each round. Throws Interrupted after a stop signal, with
/// nothing lost.
Json run_search(const SearchOptions& options, Evaluator& evaluator, TrajectoryStore& store,
                const std::function<void(const RoundReport&)>& on_round = {});

}  // namespace weft
