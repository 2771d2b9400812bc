#include "trainer/search/feedback.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/json.h"
#include "workflow/run_workflow.h"

namespace weft {

namespace {

constexpr size_t kShown = 3;  ///< tasks, and failed tests of each
constexpr size_t kMaxText = 200;

std::string failed_tests(const Verdict& verdict, const std::vector<Json>& tests) {
  std::string text;
  size_t shown = 0;
  for (size_t i = 0; i < verdict.tests.size() && i < tests.size() && shown < kShown; ++i) {
    const TestResult& result = verdict.tests[i];
    if (result.verdict == TestVerdict::kPass) continue;
    text += "\n- " + dump_json(tests[i]) + ": " + result.name();
    if (!result.got.empty()) text += ", got " + result.got;
    if (!result.error_message.empty()) text += ", " + result.error_message.substr(0, kMaxText);
    ++shown;
  }
  return text;
}

/// Indices of the tasks with a reward below the best possible one of this workflow, worst first.
std::vector<size_t> worst_tasks(const Evaluation& evaluation, size_t num_tasks) {
  std::vector<size_t> order(num_tasks);
  std::iota(order.begin(), order.end(), size_t{0});
  const auto reward = [&](size_t i) {
    const bool known =
        i < evaluation.task_rewards.size() && !std::isnan(evaluation.task_rewards[i]);
    return known ? evaluation.task_rewards[i] : 0.0;
  };
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return reward(a) < reward(b); });
  order.resize(std::min(order.size(), kShown));
  return order;
}

}  // namespace

std::string ExecutionFeedback::of_task(const Task& task, const std::string& answer, bool named) {
  if (answer.empty()) return "";
  const std::string where =
      named ? fmt::format("\nOn \"{}\": ", task.prompt.substr(0, kMaxText)) : " ";
  if (task.public_tests.empty()) return where + "It answered: " + answer.substr(0, kMaxText);
  const Verdict verdict = judge_.run(judge_request(task, answer, task.public_tests));
  if (verdict.infra) return "";
  const std::string failed = failed_tests(verdict, task.public_tests);
  return where + (failed.empty() ? "Its answer passed every public test."
                                 : "Public tests that its answer failed:" + failed);
}

std::string ExecutionFeedback::text(const std::vector<const Task*>& tasks,
                                    const Candidate& candidate, const Evaluation& evaluation) {
  if (candidate.status == Candidate::Status::kMalformed || !evaluation.valid) {
    return "The workflow is not valid: " + evaluation.error;
  }
  std::string text =
      fmt::format("It passed {:.0f} % of the validation tests.", 100 * evaluation.reward.pass);
  if (!evaluation.error.empty()) text += " The run ended with: " + evaluation.error;
  if (evaluation.reward.pass >= 1) return text;
  for (const size_t i : worst_tasks(evaluation, tasks.size())) {
    if (i < evaluation.answers.size()) {
      text += of_task(*tasks[i], evaluation.answers[i], tasks.size() > 1);
    }
  }
  return text;
}

}  // namespace weft
