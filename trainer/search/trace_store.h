/// The rounds of one query on their way into the store.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "trainer/search/collect_traces.h"

namespace weft {

/// Whether the row is a round of a trace rather than a whole one.
bool is_round(const Trajectory& row);

/// What the store knows about one trace of one query, and its next round. Used by one thread.
class TraceProgress {
 public:
  /// Reads the rounds that an earlier run left: the rows of the trace's own seed.
  TraceProgress(const SearchTools& tools, const Task& task, int64_t number, uint64_t seed);

  const std::vector<TraceRound>& rounds() const { return rounds_; }
  bool done() const { return done_; }
  Spent spent() const { return spent_; }  ///< on the rounds that an earlier run left
  uint64_t run_seed() const;              ///< of the execution of the next round

  /// The teacher's next workflow: a draft first; then an edit of the last one with its feedback and
  /// the results of the rounds before, or a correction where that one could not run.
  Candidate ask(StepGenerator& teacher);

  /// Stores a round: one row, which is all that a later run needs to know of it.
  void add(const Candidate& candidate, const Evaluation& evaluation);

  /// What a query ended with.
  enum class End {
    kTrace,
    kNoValidWorkflow,
    kNoReasoning,  ///< a valid workflow of a teacher that tells nothing of its reasoning
  };

  /// Stores the joined trace, once, in one transaction with the state.
  End finish();

 private:
  uint64_t round_seed() const;
  void restore();

  const SearchTools& tools_;
  const Task& task_;
  const std::string key_;
  SearchTarget target_;
  std::vector<TraceRound> rounds_;
  std::vector<Trajectory> rows_;  ///< [rounds] as stored
  Spent spent_;
  bool done_ = false;
  End end_ = End::kNoValidWorkflow;
};

}  // namespace weft
