#include "trainer/evaluate/scoring.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/input_error.h"

namespace weft {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const Json kFirst = {{"args", {1}}, {"expected", 1}};
const Json kSecond = {{"args", {2}}, {"expected", 4}};
const Json kThird = {{"args", {3}}, {"expected", 9}};
const Json kProgram = {{"input", "1"}, {"output", "1"}};

Task task_of(const std::string& dataset, const std::string& entry_point = "f") {
  Task task;
  task.id = "t";
  task.dataset = dataset;
  task.entry_point = entry_point;
  return task;
}

std::string error_of(const Task& task, const FinalTests& tests, const std::string& rule) {
  return test::input_error([&] { choose_scoring({task}, {{"t", tests}}, parse_score_rule(rule)); });
}

ScoreRule rule_of(const std::string& dataset, const FinalTests& tests,
                  const std::string& rule = "") {
  return choose_scoring({task_of(dataset)}, {{"t", tests}}, parse_score_rule(rule)).at("t").rule;
}

const FinalTests kBoth = {"t.jsonl:3", {kThird}, {kFirst, kSecond, kThird}};

TEST(Scoring, BenchmarksAreScoredOfficiallyAndOthersOnHiddenTests) {
  EXPECT_EQ(rule_of("humaneval", kBoth), ScoreRule::kOfficial);
  EXPECT_EQ(rule_of("builtin", kBoth), ScoreRule::kHidden);
  EXPECT_EQ(rule_of("humaneval", kBoth, "hidden"), ScoreRule::kHidden);
  EXPECT_EQ(rule_of("jsonl", kBoth, "official"), ScoreRule::kOfficial);
}

TEST(Scoring, BenchmarkWithoutOfficialTestsIsToBePreparedAgain) {
  const FinalTests old = {"t.jsonl:3", {kThird}, {}};
  for (const char* rule : {"", "official"}) {
    EXPECT_THAT(error_of(task_of("mbpp"), old, rule),
                AllOf(HasSubstr("t.jsonl:3: task \"t\" of dataset mbpp has no \"official\" tests"),
                      HasSubstr("run prepare_tasks again")));
  }
  EXPECT_EQ(error_of(task_of("mbpp"), old, "hidden"), "no error");
  EXPECT_THAT(error_of(task_of("builtin"), old, "official"), HasSubstr("expected score=hidden"));
}

TEST(Scoring, TestsThatNoAnswerCanPassAreRefused) {
  EXPECT_THAT(error_of(task_of("builtin"), {"t.jsonl:3", {}, {kFirst}}, ""),
              HasSubstr("t.jsonl:3: task \"t\" has no hidden tests"));
  EXPECT_THAT(error_of(task_of("mbpp", ""), kBoth, ""),
              HasSubstr("has official tests that call a function"));
  EXPECT_THAT(error_of(task_of("apps"), {"t.jsonl:3", {kFirst}, {kProgram}}, ""),
              HasSubstr("expected tests of one form"));
  EXPECT_EQ(error_of(task_of("apps", ""), {"t.jsonl:3", {}, {kProgram}}, ""), "no error");
}

TEST(Scoring, OldWordIsRefusedWithTheNewOne) {
  EXPECT_THAT(error_of(task_of("mbpp"), kBoth, "all_tests"), HasSubstr("now called hidden"));
  EXPECT_THAT(error_of(task_of("mbpp"), kBoth, "pass@1"),
              HasSubstr("expected official, hidden or pass_rate, got \"pass@1\""));
}

TEST(Scoring, OfficialScoreAsksForEveryOfficialTest) {
  const TaskScoring scoring = scoring_by(ScoreRule::kOfficial, kBoth);
  EXPECT_EQ(scoring.tests, (std::vector<Json>{kFirst, kSecond, kThird}));
  EXPECT_EQ(score_tests(scoring, {true, true, true}).score, 1);
  const AnswerScore missed = score_tests(scoring, {true, false, true});
  EXPECT_EQ(missed.score, 0);
  EXPECT_EQ(missed.passed, 2);
  EXPECT_EQ(missed.declared, 3);
  EXPECT_EQ(missed.pass_rate, 1);
}

// What was made by mutation stands in no official set: it is run, and decides nothing.
TEST(Scoring, HiddenTestsBesideTheOfficialOnesOnlyGiveTheirShare) {
  const TaskScoring scoring =
      scoring_by(ScoreRule::kOfficial, {"t.jsonl:3", {kThird, kSecond}, {kFirst, kSecond}});
  EXPECT_EQ(scoring.tests, (std::vector<Json>{kFirst, kSecond, kThird}));
  const AnswerScore score = score_tests(scoring, {true, true, false});
  EXPECT_EQ(score.score, 1);
  EXPECT_EQ(score.pass_rate, 0.5);
}

TEST(Scoring, TaskWithoutHiddenTestsHasNoShareOfThem) {
  const TaskScoring scoring = scoring_by(ScoreRule::kOfficial, {"t.jsonl:3", {}, {kFirst}});
  EXPECT_TRUE(std::isnan(score_tests(scoring, {true}).pass_rate));
}

TEST(Scoring, HiddenRuleAndPassRateLeaveOfficialTestsOut) {
  const FinalTests tests = {"t.jsonl:3", {kSecond, kThird}, {kFirst}};
  const TaskScoring hidden = scoring_by(ScoreRule::kHidden, tests);
  EXPECT_EQ(hidden.tests, (std::vector<Json>{kSecond, kThird}));
  EXPECT_EQ(score_tests(hidden, {true, false}).score, 0);
  EXPECT_EQ(score_tests(scoring_by(ScoreRule::kPassRate, tests), {true, false}).score, 0.5);
}

TEST(Scoring, SummaryCountsTasksAndTestsOfEachRule) {
  Task qa = task_of("hotpotqa");
  qa.id = "q";
  qa.kind = TaskKind::kQa;
  Task own = task_of("builtin");
  own.id = "b";
  const std::vector<Task> tasks = {task_of("humaneval"), own, qa};
  const auto scoring = choose_scoring(tasks, {{"t", kBoth}, {"b", kBoth}}, std::nullopt);
  const Json summary = summarise_scoring(tasks, scoring, "official");
  ASSERT_EQ(summary.size(), 3u);
  EXPECT_EQ(summary[0]["rule"], "hidden");
  EXPECT_EQ(summary[0]["tests"], 1);
  EXPECT_EQ(summary[1]["rule"], "official");
  EXPECT_EQ(summary[1]["tests"], 3);
  EXPECT_EQ(summary[1]["datasets"], Json::array({"humaneval"}));
  EXPECT_EQ(summary[2]["rule"], "scorer");
  EXPECT_FALSE(is_all_or_nothing(summary));
  EXPECT_THAT(describe_scoring(summary),
              HasSubstr("Score (official, 1 task of humaneval): share of answers that pass the "
                        "benchmark's whole test set, 3 in all."));
}

}  // namespace
}  // namespace weft
