/// Scores of answers that no tests judge: by their text, and where that cannot tell by symbols in
/// the sandbox.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/run_inputs.h"
#include "data/scorers/score.h"
#include "data/task.h"
#include "sandbox/jail/sandbox.h"

namespace weft {

struct AnswerVerdict {
  double score = 0;                   ///< in [0, 1]
  std::optional<double> exact_match;  ///< 0 or 1; of qa tasks
  std::string rule;                   ///< which rule decided
  bool met_limit = false;             ///< the symbols took too long: not equal
  /// Why the sandbox failed, twice, or the user's scorer did; the score says nothing then.
  std::string infra;
};

/// What scores answers without tests.
struct ScorerChoice {
  Scorer rules = Scorer::kOfficial;
  /// Of scorer=file:FILE: a Python file that defines score(answer, task), which gives True, False
  /// or a number in [0, 1]; `task` is {"id", "dataset", "kind", "prompt", "answer"}. Else empty.
  std::string file;

  std::string name() const;  ///< as the config has it
};

/// The keys of every program that scores answers; `scorer` as parse_scorer_choice, `packages` as
/// SandboxOptions::packages.
template <class V>
void visit_scorer(V& v, std::string& scorer, std::string& packages) {
  v("packages", packages,
    "folder of modules that Python in the sandbox may import, as made by sandbox_packages.sh; or "
    "empty");
  v("scorer", scorer,
    "answers that no tests judge: official, by the benchmark's own rules, aflow, or file:FILE, "
    "Python that defines score(answer, task)");
}

/// From official, aflow or file:FILE; throws InputError naming the choices.
ScorerChoice parse_scorer_choice(const std::string& text);

/// What the scores of these tasks' answers depend on: "scorer", the file of scorer=file:FILE, and
/// where a benchmark's rules score an answer "answer_rules", their version. A run recorded under
/// other rules, or by a version that had not named them yet, is then refused by name.
void add_scorer_inputs(RunInputs& inputs, const ScorerChoice& choice,
                       const std::vector<Task>& tasks);

/// Thread-safe. Borrows the sandbox, which must outlive it.
class AnswerScorer {
 public:
  /// Throws InputError where the scorer's file cannot be read. A fault in it is found when it is
  /// called; see require_working_scorer.
  AnswerScorer(Sandbox& sandbox, const ScorerChoice& scorer);
  /// Waits for what was submitted.
  ~AnswerScorer();
  AnswerScorer(const AnswerScorer&) = delete;
  AnswerScorer& operator=(const AnswerScorer&) = delete;

  /// Scores an answer to a math, qa or choice task: by its checker, where it has one. `done` is
  /// called exactly once: on this thread where the text alone tells, else on one of the scorer's
  /// own, and must not block.
  void submit(const Task& task, const std::string& answer, std::function<void(AnswerVerdict)> done);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

/// Asks before anything is paid for: throws InputError with the remedy where a benchmark of
/// formulas (math, math500) is to be scored by rules and the sandbox has no SymPy (formulas of rows
/// of one's own are then compared as texts), and where the file's function, or a checker, fails on
/// the gold answer of the first task that it is to score: of code, on the first test that a
/// workflow or a reward may see, with an answer that raises.
void require_working_scorer(Sandbox& sandbox, const ScorerChoice& choice,
                            const std::vector<Task>& tasks);

}  // namespace weft
