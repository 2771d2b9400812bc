/// Scores of answers that no tests judge: by their text, and where that cannot tell by symbols in
/// the sandbox.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/scorers/score.h"
#include "data/task.h"
#include "sandbox/jail/sandbox.h"

namespace weft {

struct AnswerVerdict {
  double score = 0;                   ///< in [0, 1]
  std::optional<double> exact_match;  ///< 0 or 1; of qa tasks
  std::string rule;                   ///< which rule decided
  bool met_limit = false;             ///< the symbols took too long: not equal
  std::string infra;  ///< why the sandbox failed, twice; the score says nothing then
};

/// Thread-safe. Borrows the sandbox, which must outlive it.
class AnswerScorer {
 public:
  AnswerScorer(Sandbox& sandbox, Scorer scorer);
  /// Waits for what was submitted.
  ~AnswerScorer();
  AnswerScorer(const AnswerScorer&) = delete;
  AnswerScorer& operator=(const AnswerScorer&) = delete;

  /// Scores an answer to a math, qa or choice task. `done` is called exactly once: on this thread
  /// where the text alone tells, else on one of the scorer's own, and must not block.
  void submit(const Task& task, const std::string& answer, std::function<void(AnswerVerdict)> done);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

/// Throws InputError with the remedy where a benchmark of formulas (math, math500) is to be scored
/// and the sandbox has no SymPy. Formulas of rows of one's own are then compared as texts.
void require_symbols(Sandbox& sandbox, const std::vector<Task>& tasks);

}  // namespace weft
