#include "trainer/evaluate/evaluation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/hash.h"
#include "tests/support/config_sizes.h"
#include "tests/support/fake_environment.h"
#include "tests/support/scripted_model.h"
#include "trainer/evaluate/evaluate_program.h"

namespace weft {
namespace {

using test::ScriptedModel;
using test::ScriptedPrompt;

const Json kHiddenTest = {{"args", {1}}, {"expected", 2}};
const Json kOfficialTest = {{"args", {0}}, {"expected", 0}};

std::vector<Task> code_tasks(int count) {
  std::vector<Task> tasks(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) {
    tasks[size_t(i)].id = "t" + std::to_string(i);
    tasks[size_t(i)].prompt = "query " + std::to_string(i);
    tasks[size_t(i)].entry_point = "f";
  }
  return tasks;
}

/// A meta-agent that writes "workflow for QUERY", a check that everything but "broken" passes, and
/// runs that pass when the workflow was written for the task, or is one fixed for all.
class Evaluate : public ::testing::Test {
 protected:
  Evaluate() : model_([this](const ScriptedPrompt& p) { return write_(p); }) {
    plan_.tasks = code_tasks(4);
    score_by(ScoreRule::kHidden);
    backend_.environment = &environment_;
    environment_.on_prompt = [](const Task& task) {
      return std::vector<ChatMessage>{{"user", task.prompt}};
    };
    environment_.on_check = [](std::string code) {
      Workflow workflow;
      workflow.valid = code != "broken";
      workflow.problem = workflow.valid ? "" : "no class Workflow";
      workflow.facts.parses = true;
      workflow.facts.ast_hash = hex64(hash64(code));
      workflow.code = std::move(code);
      return workflow;
    };
    backend_.meta_model = [this](const Method&) { return MetaModel{&model_, "policy"}; };
    backend_.pooled_code = [](const Method&, const Task& task) {
      return task.id == "t0" ? std::string("pooled for query 0") : std::string();
    };
    backend_.score = [this](GivenAnswer request, std::function<void(Outcome)> done) {
      scored_.push_back(request.answer);
      Outcome outcome;
      outcome.kind = Outcome::Kind::kScored;
      outcome.test_passed = {true, request.answer.find("right") != std::string::npos};
      outcome.answer = request.answer;
      done(outcome);
    };
    environment_.on_run = [this](const RunRequest& request) {
      requests_.push_back({request.task->id, request.seed, request.tests});
      return outcome_(request);
    };
  }

  /// Each task has one hidden test and an official one before it.
  void score_by(ScoreRule rule) {
    const FinalTests tests = {"t.jsonl", {kHiddenTest}, {kOfficialTest, kHiddenTest}};
    const FinalTests two = {"t.jsonl", {kOfficialTest, kHiddenTest}, {}};
    for (const Task& task : plan_.tasks) {
      plan_.scoring[task.id] = scoring_by(rule, rule == ScoreRule::kOfficial ? tests : two);
    }
  }

  static Outcome pass_when_written_for_it(const RunRequest& request) {
    Outcome outcome;
    outcome.kind = Outcome::Kind::kScored;
    const bool own = request.workflow->code.find(request.task->prompt) != std::string::npos;
    outcome.test_passed = {true, own};
    outcome.usage.calls = 1;
    outcome.usage.prompt_tokens = 7;
    outcome.usage.completion_tokens = 3;
    outcome.trace = {{{"kind", "call_llm"}, {"bytes", request.trace_text_bytes}}};
    return outcome;
  }

  std::vector<ResultRow> run(const std::vector<std::string>& methods,
                             const std::vector<ResultRow>& finished = {}) {
    plan_.methods = parse_methods(methods);
    return evaluate(plan_, options_, backend_, finished,
                    [this](const ResultRow& row, const Json& trace) {
                      kept_.push_back(row);
                      traces_.push_back(trace);
                    });
  }

  static std::vector<ResultRow> of(const std::vector<ResultRow>& rows, const std::string& method) {
    std::vector<ResultRow> chosen;
    for (const auto& row : rows) {
      if (row.method == method) chosen.push_back(row);
    }
    return chosen;
  }

  struct Seen {
    std::string task;
    uint64_t seed;
    const std::vector<Json>* tests;
  };

  EvaluationPlan plan_;
  EvaluationOptions options_;
  std::function<std::string(const ScriptedPrompt&)> write_ = [](const ScriptedPrompt& p) {
    return "workflow for " + p.user + " " + std::to_string(p.choice);
  };
  std::function<Outcome(const RunRequest&)> outcome_ = pass_when_written_for_it;
  test::FakeEnvironment environment_;
  EvaluationBackend backend_;
  ScriptedModel model_;
  std::vector<Seen> requests_;
  std::vector<std::string> scored_;
  std::vector<ResultRow> kept_;
  std::vector<Json> traces_;
};

/// As a runner does with a call of ten tokens.
Outcome within_budget(const RunRequest& request, int64_t wall_ms) {
  Outcome outcome;
  outcome.wall_ms = wall_ms;
  if (request.shared_budget &&
      request.shared_budget->reserve({10, 0}) != CallBudget::Grant::kTaken) {
    outcome.out_of_budget = true;
    outcome.error = "the shared budget is spent";
    return outcome;
  }
  if (request.shared_budget) request.shared_budget->settle({10, 0}, {10, 0});
  outcome.kind = Outcome::Kind::kScored;
  outcome.test_passed = {true, true};
  outcome.usage.calls = 1;
  outcome.usage.prompt_tokens = 10;
  return outcome;
}

int64_t num_scored(const std::vector<ResultRow>& rows) {
  return std::count_if(rows.begin(), rows.end(),
                       [](const ResultRow& row) { return row.status == OutcomeKind::kScored; });
}

TEST_F(Evaluate, EachMethodHasABudgetOfItsOwn) {
  outcome_ = [](const RunRequest& request) { return within_budget(request, 0); };
  options_.budget.tokens = 25;
  const auto rows = run({"io", "cot"});
  for (const char* method : {"io", "cot"}) EXPECT_EQ(num_scored(of(rows, method)), 2) << method;
  EXPECT_EQ(rows[2].status, OutcomeKind::kInfrastructure);
  EXPECT_THAT(rows[2].error, ::testing::HasSubstr("budget is spent"));
  options_.budget = {.calls = 3};
  EXPECT_EQ(num_scored(run({"io"})), 3);
  options_.budget = {};
  EXPECT_EQ(num_scored(run({"io"})), 4);
}

TEST_F(Evaluate, WhatEarlierProcessesTookCountsAgainstTheBudget) {
  outcome_ = [](const RunRequest& request) { return within_budget(request, 0); };
  options_.budget.calls = 1;
  auto finished = run({"io"});
  EXPECT_EQ(num_scored(finished), 1);
  finished.resize(1);
  EXPECT_EQ(num_scored(run({"io"}, finished)), 1);
  options_.budget.calls = 2;
  EXPECT_EQ(num_scored(run({"io"}, finished)), 2);
}

TEST_F(Evaluate, BeginsNoRunWhenTheTimeOfAMethodIsSpent) {
  outcome_ = [](const RunRequest& request) { return within_budget(request, 600); };
  options_.budget.seconds = 1;
  options_.max_in_flight = 1;
  const auto rows = run({"io"});
  EXPECT_EQ(num_scored(rows), 2);
  EXPECT_EQ(rows[3].error, "budget.seconds of the method is spent");
}

TEST_F(Evaluate, AMetaAgentsQueriesAreSetAsideInItsBudget) {
  options_.budget.tokens = 5;
  const auto rows = run({"m=meta:dir"});
  EXPECT_EQ(num_scored(rows), 0);
  EXPECT_TRUE(model_.requests().empty());
  for (const ResultRow& row : rows) {
    EXPECT_EQ(row.status, OutcomeKind::kInfrastructure);
    EXPECT_THAT(row.error, ::testing::HasSubstr("budget leaves no room"));
  }
}

TEST_F(Evaluate, HandsOnTheTraceOfEachRun) {
  options_.trace_bytes = 123;
  run({"io"});
  ASSERT_EQ(traces_.size(), 4u);
  for (const Json& trace : traces_) EXPECT_EQ(trace[0]["bytes"], 123);
}

TEST_F(Evaluate, RunsEveryMethodOnEveryTaskAndSample) {
  options_.samples_per_task = 3;
  const auto rows = run({"io", "m=meta:dir"});
  EXPECT_EQ(rows.size(), 2u * 4 * 3);
  EXPECT_EQ(kept_.size(), rows.size());
  for (const auto& row : of(rows, "m")) EXPECT_EQ(row.score, 1) << row.workflow;
}

TEST_F(Evaluate, RunsTheTestsOfTheRule) {
  run({"io"});
  for (const auto& seen : requests_) EXPECT_EQ(seen.tests, &plan_.scoring.at(seen.task).tests);
}

TEST_F(Evaluate, EveryTestMustPassUnlessThePassRateIsAskedFor) {
  EXPECT_EQ(run({"io"})[0].score, 0);
  EXPECT_EQ(run({"io"})[0].pass_rate, 0.5);
  score_by(ScoreRule::kPassRate);
  EXPECT_EQ(run({"io"})[0].score, 0.5);
}

TEST_F(Evaluate, ShareOfHiddenTestsStandsBesideTheOfficialScore) {
  score_by(ScoreRule::kOfficial);
  const ResultRow row = run({"io"})[0];
  EXPECT_EQ(row.score, 0);
  EXPECT_EQ(row.declared, 2);
  EXPECT_EQ(row.passed, 1);
  EXPECT_EQ(row.pass_rate, 0);
}

TEST_F(Evaluate, SamplesAreScoredWithoutAModelOrAWorkflow) {
  plan_.samples["s"] = {{"t0", {"wrong", "right", "right"}}, {"t2", {"wrong"}}};
  options_.samples_per_task = 7;
  const auto rows = run({"s=samples:file"});
  ASSERT_EQ(rows.size(), 4u);
  EXPECT_EQ(rows[0].score, 0);
  EXPECT_EQ(rows[2].score, 1);
  EXPECT_EQ(rows[2].sample, 2);
  EXPECT_EQ(rows[3].task, "t2");
  EXPECT_TRUE(requests_.empty());
  EXPECT_TRUE(model_.requests().empty());
}

TEST_F(Evaluate, ResumedSamplesAreScoredAgainOnlyWhereTheFileChanged) {
  plan_.samples["s"] = {{"t0", {"right", "wrong"}}};
  const auto all = run({"s=samples:file"});
  plan_.samples["s"] = {{"t0", {"right", "right now"}}};
  scored_.clear();
  const auto again = run({"s=samples:file"}, all);
  EXPECT_EQ(scored_, std::vector<std::string>{"right now"});
  EXPECT_EQ(again[1].score, 1);
}

TEST_F(Evaluate, GreedyBaselinesCallAtTemperatureZero) {
  options_.io_temperature = 0.4;
  const std::vector<std::string> calls = {"[problem], 0.4, 1", "[problem], 0, 1",
                                          "[problem], 0.7, 1", "[problem], 0, 1",
                                          "[problem], 0.7, 5"};
  const auto methods = parse_methods({"io", "io_greedy", "cot", "cot_greedy", "cot_sc"});
  for (size_t i = 0; i < methods.size(); ++i) {
    EXPECT_NE(fixed_workflow_code(methods[i], plan_.tasks[0], options_).find(calls[i]),
              std::string::npos)
        << methods[i].name;
  }
}

TEST_F(Evaluate, RunsOfATaskHaveTheSameSeedUnderEveryMethod) {
  run({"io", "cot"});
  std::map<std::string, std::set<uint64_t>> seeds;
  for (const auto& seen : requests_) seeds[seen.task].insert(seen.seed);
  for (const auto& [task, values] : seeds) EXPECT_EQ(values.size(), 1u) << task;
  EXPECT_EQ(seeds.size(), 4u);
}

TEST_F(Evaluate, MetaAgentIsAskedWithItsAdapter) {
  run({"m=meta:dir"});
  ASSERT_EQ(model_.requests().size(), 4u);
  EXPECT_EQ(model_.requests()[0].adapter, "policy");
}

TEST_F(Evaluate, InvalidWorkflowIsNotRunAndScoresZero) {
  write_ = [](const ScriptedPrompt&) { return "broken"; };
  const auto rows = run({"m=meta:dir"});
  EXPECT_TRUE(requests_.empty());
  EXPECT_EQ(rows[0].status, OutcomeKind::kInvalid);
  EXPECT_EQ(rows[0].error, "no class Workflow");
}

TEST_F(Evaluate, FailedMetaAgentIsAnInfrastructureError) {
  ScriptedModel failing([](const ScriptedPrompt&) { return ""; },
                        [](const ScriptedPrompt&) { return ResponseStatus::kFailed; });
  backend_.meta_model = [&](const Method&) { return MetaModel{&failing, ""}; };
  for (const auto& row : run({"m=meta:dir"})) {
    EXPECT_EQ(row.status, OutcomeKind::kInfrastructure);
  }
}

TEST_F(Evaluate, ControlAnswersWithTheWorkflowOfAnotherQuery) {
  const auto rows = run({"m=meta:dir", "shuffled:m"});
  for (const auto& row : of(rows, "shuffled_m")) {
    EXPECT_NE(row.origin, row.task);
    EXPECT_EQ(row.score, 0);
  }
  std::multiset<std::string> written, used;
  for (const auto& row : of(rows, "m")) written.insert(row.workflow);
  for (const auto& row : of(rows, "shuffled_m")) used.insert(row.workflow);
  EXPECT_EQ(written, used);
}

TEST_F(Evaluate, HybridTakesFromThePoolFirst) {
  const auto rows = run({"h=hybrid:store,dir"});
  EXPECT_EQ(rows[0].origin, "pool");
  EXPECT_EQ(rows[0].workflow, "pooled for query 0");
  EXPECT_EQ(rows[1].origin, "meta");
}

TEST_F(Evaluate, GoesOnFromFinishedRows) {
  const auto all = run({"io", "m=meta:dir", "shuffled:m"});
  const std::vector<ResultRow> half(all.begin(), all.begin() + 6);
  requests_.clear();
  kept_.clear();
  const auto again = run({"io", "m=meta:dir", "shuffled:m"}, half);
  EXPECT_EQ(kept_.size(), all.size() - half.size());
  EXPECT_EQ(requests_.size(), kept_.size());
  ASSERT_EQ(again.size(), all.size());
  for (size_t i = 0; i < all.size(); ++i) EXPECT_EQ(to_json(again[i]), to_json(all[i]));
}

TEST_F(Evaluate, FinishedRunAsksForNothing) {
  const auto all = run({"io", "m=meta:dir"});
  const size_t asked = model_.requests().size();
  requests_.clear();
  EXPECT_EQ(run({"io", "m=meta:dir"}, all).size(), all.size());
  EXPECT_TRUE(requests_.empty());
  EXPECT_EQ(model_.requests().size(), asked);
}

TEST_F(Evaluate, InvalidFixedWorkflowIsAnInputError) {
  environment_.on_check = [](std::string) { return Workflow{}; };
  EXPECT_THROW(run({"io"}), InputError);
}

TEST_F(Evaluate, CountsTokensOfWorkerAndMetaAgentApart) {
  const ResultRow row = run({"m=meta:dir"})[0];
  EXPECT_EQ(row.worker_tokens, 10);
  EXPECT_EQ(row.meta_tokens, int64_t(std::string("query 0workflow for query 0 0").size()));
}

TEST_F(Evaluate, KeepsLimitsAndWorkflowErrorsApart) {
  outcome_ = [](const RunRequest& request) {
    Outcome outcome;
    outcome.kind = request.task->id == "t0" ? Outcome::Kind::kLimit : Outcome::Kind::kWorkflowError;
    outcome.error = "why";
    return outcome;
  };
  const auto rows = run({"io"});
  EXPECT_EQ(rows[0].status, OutcomeKind::kLimit);
  EXPECT_EQ(rows[1].status, OutcomeKind::kWorkflowError);
  EXPECT_EQ(rows[1].error, "why");
}

TEST(Evaluation, EverySizeOfTheProgramsConfigIsBounded) {
  test::expect_bounded_sizes<EvaluateConfig>(
      Json::object(), {"samples_per_task", "cot_sc_samples", "meta_max_tokens", "max_in_flight",
                       "sandbox_slots", "runner.max_concurrent", "runner.memory_mb",
                       "runner.judge_memory_mb", "runner.worker.max_tokens"});
}

}  // namespace
}  // namespace weft
