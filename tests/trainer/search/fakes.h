/// Stand-ins for the sandbox in tests of the search: rewards are a function of the code.
#pragma once

#include <chrono>
#include <functional>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/hash.h"
#include "base/rng.h"
#include "trainer/search/generator.h"
#include "trainer/search/scorer.h"
#include "workflow/steps.h"

namespace weft::test {

/// Scores without running. Thread-safe.
class FakeScorer : public SearchScorer {
 public:
  /// In [0, 1), the same for the same code.
  static double reward_of(const std::string& code) {
    return static_cast<double>(hash64(code) % 1000) / 1000;
  }

  void score(const std::vector<WorkflowScoreRequest>& requests,
             const std::function<void(size_t, Evaluation)>& on_scored) override {
    for (size_t i = 0; i < requests.size(); ++i) {
      {
        const std::lock_guard lock(mutex_);
        if (runs_until_stop == 0) throw Interrupted(15);
        if (runs_until_stop > 0) --runs_until_stop;
        codes.push_back(requests[i].candidate->code);
        seeds.push_back(requests[i].seed);
      }
      on_scored(i, evaluation_of(requests[i]));
    }
  }

  /// The line that the scripted teacher and the replies of these tests end with; the AST's answer
  /// is the real scorer's.
  bool is_whole(const std::string& code) const override {
    const size_t line = code.rfind("        return ");
    return line != std::string::npos && code.find('\n', line) + 1 == code.size();
  }

  std::optional<EditExtent> compare(const std::string& before, const std::string& after) override {
    return extent_of ? std::optional(extent_of(before, after)) : std::nullopt;
  }

  std::function<EditExtent(const std::string&, const std::string&)> extent_of;
  std::function<Evaluation(const Candidate&, Evaluation)> change;  ///< applied to each evaluation
  int runs_until_stop = -1;        ///< then Interrupted is thrown; -1: never
  std::vector<std::string> codes;  ///< of every run
  std::vector<uint64_t> seeds;

 private:
  Evaluation evaluation_of(const WorkflowScoreRequest& request) const {
    const Candidate& candidate = *request.candidate;
    Evaluation evaluation;
    evaluation.valid = candidate.status == Candidate::Status::kWritten;
    evaluation.outcome = evaluation.valid ? "scored" : "workflow_error";
    evaluation.error = candidate.problem;
    evaluation.num_steps = static_cast<int>(split_steps(candidate.code).size());
    evaluation.reward.pass = evaluation.valid ? reward_of(candidate.code) : 0;
    evaluation.reward.total = evaluation.reward.pass;
    evaluation.answers.assign(request.tasks->size(), "def f(x): return x");
    evaluation.task_rewards.assign(request.tasks->size(), evaluation.reward.total);
    evaluation.usage = {{"calls", 2}, {"prompt_tokens", 30}, {"completion_tokens", 10}};
    return change ? change(candidate, evaluation) : evaluation;
  }
  std::mutex mutex_;
};

/// The same scores, delivered in an order and at a pace that `seed` draws anew each time.
class ShuffledScorer : public FakeScorer {
 public:
  explicit ShuffledScorer(uint64_t seed) : rng_(seed) {}
  void score(const std::vector<WorkflowScoreRequest>& requests,
             const std::function<void(size_t, Evaluation)>& on_scored) override {
    std::vector<std::pair<size_t, Evaluation>> scored;
    FakeScorer::score(requests, [&](size_t i, Evaluation e) { scored.emplace_back(i, e); });
    uint64_t pause_us = 0;
    {
      const std::lock_guard lock(rng_mutex_);
      rng_.shuffle(scored);
      pause_us = rng_.below(3000);
    }
    std::this_thread::sleep_for(std::chrono::microseconds(pause_us));
    for (auto& [i, evaluation] : scored) on_scored(i, std::move(evaluation));
  }

 private:
  Rng rng_;
  std::mutex rng_mutex_;
};

inline Task code_task(const std::string& id) {
  Task task;
  task.id = id;
  task.dataset = "made_up";
  task.prompt = "Write a function f(x) that returns the " + id + " of x.";
  task.entry_point = "f";
  task.public_tests = {Json{{"args", {1}}, {"expected", 1}}};
  task.val_tests = {Json{{"args", {2}}, {"expected", 2}}};
  return task;
}

}  // namespace weft::test
