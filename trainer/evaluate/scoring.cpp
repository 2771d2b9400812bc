#include "trainer/evaluate/scoring.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <set>
#include <utility>

#include "base/error.h"
#include "data/task_tests.h"

namespace weft {

namespace {

const char* name_of(ScoreRule rule) {
  switch (rule) {
    case ScoreRule::kOfficial:
      return "official";
    case ScoreRule::kHidden:
      return "hidden";
    case ScoreRule::kPassRate:
      break;
  }
  return "pass_rate";
}

void require_official(const Task& task, const FinalTests& tests) {
  if (!tests.official.empty()) {
    return require_scorable(task, tests.official, "official", tests.where);
  }
  const char* remedy = is_named_benchmark(task.dataset)
                           ? "run prepare_tasks again, or score on hidden tests with score=hidden"
                           : "expected score=hidden or pass_rate where there is no benchmark";
  throw InputError(fmt::format("{}: task \"{}\" of dataset {} has no \"official\" tests: {}",
                               tests.where, task.id, task.dataset, remedy));
}

std::string words_of(const Json& part) {
  const std::string rule = part["rule"].get<std::string>();
  const auto tasks = part["tasks"].get<int64_t>();
  std::string text =
      fmt::format("Score ({}, {} task{} of {}): ", rule, tasks, tasks == 1 ? "" : "s",
                  fmt::join(part["datasets"].get<std::vector<std::string>>(), ", "));
  if (rule == "scorer") {
    const std::string scorer = part.value("scorer", "official");
    if (scorer == "official") return text + "by the rules of the dataset, or of the task's kind.";
    return text + (scorer == "aflow" ? "by the rules of AFlow's code." : "by " + scorer + ".");
  }
  const char* what = rule == "official"
                         ? "share of answers that pass the benchmark's whole test set"
                     : rule == "hidden" ? "share of answers that pass every hidden test"
                                        : "mean share of hidden tests passed";
  return text + fmt::format("{}, {} in all.", what, part["tests"].get<int64_t>());
}

}  // namespace

std::optional<ScoreRule> parse_score_rule(const std::string& name) {
  if (name.empty()) return std::nullopt;
  for (const ScoreRule rule : {ScoreRule::kOfficial, ScoreRule::kHidden, ScoreRule::kPassRate}) {
    if (name == name_of(rule)) return rule;
  }
  throw InputError(fmt::format("score: expected official, hidden or pass_rate, got \"{}\"{}", name,
                               name == "all_tests" ? ", which is now called hidden" : ""));
}

TaskScoring scoring_by(ScoreRule rule, const FinalTests& tests) {
  TaskScoring scoring;
  scoring.rule = rule;
  if (rule == ScoreRule::kOfficial) scoring.tests = tests.official;
  const size_t num_official = scoring.tests.size();
  for (const Json& test : tests.hidden) {
    const auto end = scoring.tests.begin() + static_cast<int64_t>(num_official);
    const auto at = std::find(scoring.tests.begin(), end, test);
    scoring.hidden.push_back(at == end ? scoring.tests.size()
                                       : static_cast<size_t>(at - scoring.tests.begin()));
    if (at == end) scoring.tests.push_back(test);
  }
  scoring.num_deciding = num_official > 0 ? num_official : scoring.tests.size();
  return scoring;
}

std::map<std::string, TaskScoring> choose_scoring(
    const std::vector<Task>& tasks, const std::map<std::string, FinalTests>& final_tests,
    std::optional<ScoreRule> rule) {
  std::map<std::string, TaskScoring> scoring;
  for (const Task& task : tasks) {
    if (task.kind != TaskKind::kCode) continue;
    const FinalTests& tests = final_tests.at(task.id);
    const ScoreRule chosen =
        rule.value_or(is_named_benchmark(task.dataset) ? ScoreRule::kOfficial : ScoreRule::kHidden);
    if (chosen == ScoreRule::kOfficial) {
      require_official(task, tests);
    } else {
      require_scorable(task, tests.hidden, "hidden", tests.where);
    }
    TaskScoring& made = scoring[task.id] = scoring_by(chosen, tests);
    require_one_form(made.tests, "official and hidden", tests.where);
  }
  return scoring;
}

AnswerScore score_tests(const TaskScoring& scoring, const std::vector<bool>& passed) {
  WEFT_ASSERT(passed.size() == scoring.tests.size());
  AnswerScore score;
  score.declared = static_cast<int>(scoring.num_deciding);
  score.passed = static_cast<int>(std::count(
      passed.begin(), passed.begin() + static_cast<int64_t>(scoring.num_deciding), true));
  const auto hidden = static_cast<double>(scoring.hidden.size());
  const auto hidden_passed = static_cast<double>(std::count_if(
      scoring.hidden.begin(), scoring.hidden.end(), [&](size_t i) { return passed[i]; }));
  score.pass_rate = hidden > 0 ? hidden_passed / hidden : std::numeric_limits<double>::quiet_NaN();
  score.score = scoring.rule == ScoreRule::kPassRate ? score.pass_rate
                : score.passed == score.declared     ? 1
                                                     : 0;
  return score;
}

Json summarise_scoring(const std::vector<Task>& tasks,
                       const std::map<std::string, TaskScoring>& scoring,
                       const std::string& scorer) {
  struct Part {
    std::set<std::string> datasets;
    int64_t tasks = 0, tests = 0;
  };
  std::map<std::pair<std::string, bool>, Part> parts;
  for (const Task& task : tasks) {
    const auto found = scoring.find(task.id);
    const bool code = found != scoring.end();
    const bool shares =
        code ? found->second.rule == ScoreRule::kPassRate : task.kind == TaskKind::kQa;
    Part& part = parts[{code ? name_of(found->second.rule) : "scorer", !shares}];
    part.datasets.insert(task.dataset);
    ++part.tasks;
    if (code) part.tests += static_cast<int64_t>(found->second.num_deciding);
  }
  Json list = Json::array();
  for (const auto& [key, part] : parts) {
    Json json = {{"rule", key.first}, {"datasets", part.datasets}, {"tasks", part.tasks}};
    if (key.first == "scorer") {
      json["scorer"] = scorer;
    } else {
      json["tests"] = part.tests;
    }
    json["all_or_nothing"] = key.second;
    list.push_back(std::move(json));
  }
  return list;
}

std::string describe_scoring(const Json& summary) {
  std::string text;
  for (const Json& part : summary) text += (text.empty() ? "" : " ") + words_of(part);
  return text;
}

bool is_all_or_nothing(const Json& summary) {
  return std::all_of(summary.begin(), summary.end(),
                     [](const Json& part) { return part["all_or_nothing"].get<bool>(); });
}

}  // namespace weft
