/// From candidates to stored, rewarded workflows of one search: self-correction, score cache,
/// budget, trajectory store.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/reasons.h"
#include "data/task.h"
#include "data/trajectory_store.h"
#include "trainer/search/budget.h"
#include "trainer/search/candidate.h"
#include "trainer/search/feedback.h"
#include "trainer/search/generator.h"
#include "trainer/search/scorer.h"

namespace weft {

/// What a search maximises. The R of arXiv:2601.22305 and AFlow's score are an accuracy in [0, 1],
/// which is kPassRate. The default is the reward that training uses, a deviation from both: it is
/// no accuracy, may be below 0 and lies in the range that workflow/reward.h gives; the weights of
/// SMC, exp(beta R), the refiner's softmax and AFlow's are taken of it as it is.
enum class Objective {
  kReward,    ///< the total of workflow/reward.h
  kPassRate,  ///< P alone
};

inline EnumTable<Objective> enum_table(Objective) {
  return {{Objective::kReward, "reward"}, {Objective::kPassRate, "pass_rate"}};
}

struct EvaluatorOptions {
  Objective objective = Objective::kReward;
  int64_t repeats = 1;
  int64_t max_corrections = 3;
  bool cache = true;

  template <class V>
  void visit(V& v) {
    v("objective", objective, "what is maximised: reward or pass_rate");
    v("repeats", repeats, "runs of a workflow on each task; cost grows with it");
    v("max_corrections", max_corrections, "attempts to mend a workflow that fails to run");
    v("cache", cache, "identical code is run once per search, not again");
  }
  void validate() const;  ///< throws InputError
};

/// One search: what it is called in the store, the task the generator reads, the tasks that give
/// the reward (the same single task with scope per_query).
struct SearchTarget {
  std::string id;
  Task task;
  std::vector<const Task*> tasks;  ///< borrowed
  std::string prompt;              ///< stored with every workflow: the meta-agent's user message
  std::string model_version;       ///< stored likewise: the worker's name
  uint64_t seed = 0;

  /// Of the draw `what` number `index` in a round.
  uint64_t seed_of(const char* what, int64_t round, int64_t index = 0) const;
};

/// Everything one search shares. Used by one thread; what it borrows may be shared by several.
class Evaluator {
 public:
  /// Reads what an interrupted run of the same target stored, so that workflows of a round that is
  /// repeated are neither run nor stored twice.
  /// `feedback` is asked only where the generator reads it.
  Evaluator(SearchTarget target, StepGenerator& generator, SearchScorer& scorer,
            TrajectoryStore& store, Budget& budget, EvaluatorOptions options = {},
            FeedbackText feedback = {});

  /// Sets the budget of up to `wanted` workflows aside, before a generator is asked, and returns
  /// how many it may be asked for; the others count as skipped. evaluate() uses what was set aside
  /// and gives the rest back. Workflows of this round that an interrupted run stored need no budget
  /// again. `steps` are further calls of the generator for each.
  int64_t reserve(int64_t wanted, int64_t round, int64_t steps = 0);

  /// Scores all candidates together and stores each as soon as it is scored, under `round`. A
  /// workflow that cannot be read, fails the check or raises everywhere is given back to the
  /// generator with its error, at most max_corrections times; the last attempt counts (arXiv:
  /// 2601.22305 §5; it does not state the number of attempts, W4S has 3). Candidates beyond the
  /// budget come back as skipped; those without a reward are ones that the generator or the
  /// infrastructure failed. Result in the order of `candidates`. One whose runs the budget cut
  /// short is skipped too, without a reward.
  std::vector<Sampled> evaluate(std::vector<Candidate> candidates, int64_t round);

  /// The scored workflow of the highest reward so far, earlier runs included; of equals that of the
  /// earliest round, then the first by text. Null when none.
  const Sampled* best() const { return best_.row > 0 ? &best_ : nullptr; }
  int64_t num_cached() const { return num_cached_; }
  int64_t num_skipped() const { return num_skipped_; }  ///< candidates that the budget left out
  /// Why the generator failed, in this process.
  const ReasonCounts& failures() const { return failures_; }
  /// Counts what a generator used beside candidates.
  void spend(const Spent& spent) { budget_.add(spent); }
  bool exhausted() const { return budget_.exhausted(); }
  /// Whether calls, tokens or money are spent, with `more` on top.
  bool means_spent(const Spent& more) const { return budget_.means_spent(more); }
  const SearchTarget& target() const { return target_; }
  StepGenerator& generator() { return generator_; }
  bool is_whole(const StepPrefix& prefix) const;  ///< SearchScorer::is_whole of its code

 private:
  void load(const Trajectory& row);
  void score_new(std::vector<Sampled>& batch, const std::vector<size_t>& indices, int64_t round);
  void correct_failed(std::vector<Sampled>& batch, int64_t round);
  void record(Sampled& sampled, int64_t round);
  void record_cut(Sampled& sampled, int64_t round);
  void keep_best(const Sampled& sampled, int64_t round);
  int64_t next_place(int64_t round);
  int64_t num_stored(int64_t round) const;
  std::optional<EditExtent> extent_of(const Candidate& candidate);
  std::optional<double> objective_of(const Evaluation& evaluation) const;

  SearchTarget target_;
  StepGenerator& generator_;
  SearchScorer& scorer_;
  TrajectoryStore& store_;
  Budget& budget_;
  EvaluatorOptions options_;
  FeedbackText feedback_;
  ReasonCounts failures_;
  std::map<std::string, Evaluation> cache_;                                ///< by code
  std::map<std::pair<int64_t, std::string>, std::deque<int64_t>> stored_;  ///< rows to reuse
  Sampled best_;
  int64_t best_round_ = 0;
  int64_t num_cached_ = 0;
  int64_t num_skipped_ = 0;
  int64_t num_reserved_ = 0;
  int64_t placed_round_ = 0;
  int64_t num_placed_ = 0;
};

/// A row of the store, and back.
Trajectory to_trajectory(const Sampled& sampled, const SearchTarget& target,
                         const std::string& origin, int64_t round);
Sampled from_trajectory(const Trajectory& row);

/// What the rows of a store cost, for a budget that goes on.
Spent spent_in(const std::vector<Trajectory>& rows);

/// Sum of WorkflowUsage::clock_decisions of the runs behind the rows.
int64_t clock_decisions_in(const std::vector<Trajectory>& rows);

}  // namespace weft
