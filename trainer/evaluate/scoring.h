/// Which tests an answer to a code task is run on, and what of their verdicts is its score.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "data/hidden_tests.h"
#include "data/task.h"

namespace weft {

enum class ScoreRule {
  kOfficial,  ///< 1 when every test of the benchmark's own set passes, else 0
  kHidden,    ///< 1 when every hidden test passes, else 0
  kPassRate,  ///< share of hidden tests that pass
};

/// The rule named "official", "hidden" or "pass_rate"; none for "", which leaves it to the dataset.
/// Throws InputError naming the choices, and the new word for one of old.
std::optional<ScoreRule> parse_score_rule(const std::string& name);

struct TaskScoring {
  ScoreRule rule = ScoreRule::kHidden;
  std::vector<Json> tests;  ///< what an answer is run on: the rule's tests, then other hidden ones
  size_t num_deciding = 0;  ///< the first so many are the rule's
  std::vector<size_t> hidden;  ///< indices of the hidden tests
};

TaskScoring scoring_by(ScoreRule rule, const FinalTests& tests);

/// By the id of each code task. Without a rule, tasks of a benchmark are scored officially and
/// others on hidden tests. Throws InputError with the remedy for a task whose tests of that kind
/// are missing or cannot be passed.
std::map<std::string, TaskScoring> choose_scoring(
    const std::vector<Task>& tasks, const std::map<std::string, FinalTests>& final_tests,
    std::optional<ScoreRule> rule);

struct AnswerScore {
  double score = 0;              ///< by the rule, in [0, 1]
  double pass_rate = 0;          ///< share of hidden tests passed; NaN where a task has none
  int passed = 0, declared = 0;  ///< of the rule's tests
};

/// `passed` as Outcome::test_passed: one for each of scoring.tests.
AnswerScore score_tests(const TaskScoring& scoring, const std::vector<bool>& passed);

/// A report's "scoring": [{"rule", "scorer"?, "datasets": [..], "tasks", "tests"?,
/// "all_or_nothing"}], where the rule of tasks that are no code is "scorer", which "scorer" names.
Json summarise_scoring(const std::vector<Task>& tasks,
                       const std::map<std::string, TaskScoring>& scoring,
                       const std::string& scorer);

/// The same in words.
std::string describe_scoring(const Json& summary);

/// Whether every score of a run is 0 or 1.
bool is_all_or_nothing(const Json& summary);

}  // namespace weft
