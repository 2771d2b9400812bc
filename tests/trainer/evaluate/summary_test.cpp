#include "trainer/evaluate/summary.h"

#include <gtest/gtest.h>

#include <cmath>

namespace weft {
namespace {

ResultRow row(const std::string& method, const std::string& task, int sample, OutcomeKind status,
              double score, const std::string& fingerprint = "") {
  ResultRow result;
  result.method = method;
  result.task = task;
  result.sample = sample;
  result.status = status;
  result.score = result.pass_rate = score;
  result.fingerprint = fingerprint;
  result.worker_tokens = 100;
  result.meta_tokens = 10;
  result.calls = 2;
  return result;
}

class Summary : public ::testing::Test {
 protected:
  const std::vector<Method> methods_ = parse_methods({"io", "m=meta:dir"});
  const std::vector<std::string> tasks_ = {"a", "b"};
  const std::vector<ResultRow> rows_ = {
      row("io", "a", 0, OutcomeKind::kScored, 1),
      row("io", "a", 1, OutcomeKind::kScored, 0),
      row("io", "b", 0, OutcomeKind::kInfrastructure, 0),
      row("io", "b", 1, OutcomeKind::kInfrastructure, 0),
      row("m", "a", 0, OutcomeKind::kScored, 1, "x"),
      row("m", "a", 1, OutcomeKind::kScored, 1, "y"),
      row("m", "b", 0, OutcomeKind::kLimit, 0, "x"),
      row("m", "b", 1, OutcomeKind::kInvalid, 0),
  };
  const ScoreTable scores_ = score_table(methods_, tasks_, rows_);
  const Json list_ = summarise_methods(methods_, scores_, rows_, {});
};

TEST_F(Summary, ScoreIsTheMeanOverSamplesThenTasks) {
  EXPECT_DOUBLE_EQ(scores_[0][0], 0.5);
  EXPECT_DOUBLE_EQ(scores_[1][0], 1);
  EXPECT_DOUBLE_EQ(list_[1]["score"].get<double>(), 0.5);
  EXPECT_EQ(list_[1]["n"], 2);
}

TEST_F(Summary, InfrastructureErrorIsMissingDataNotAZero) {
  EXPECT_TRUE(std::isnan(scores_[0][1]));
  EXPECT_EQ(list_[0]["n"], 1);
  EXPECT_DOUBLE_EQ(list_[0]["score"].get<double>(), 0.5);
  EXPECT_EQ(list_[0]["infra_errors"], 2);
}

TEST_F(Summary, InvalidWorkflowIsAZero) {
  EXPECT_DOUBLE_EQ(scores_[1][1], 0);
  EXPECT_DOUBLE_EQ(list_[1]["valid"].get<double>(), 0.75);
  EXPECT_EQ(list_[1]["workflow_errors"], 1);
  EXPECT_EQ(list_[1]["invalid"], 1);
}

TEST_F(Summary, DistinctWorkflowsAreCountedPerQueryAndOverall) {
  EXPECT_DOUBLE_EQ(list_[1]["distinct_per_query"].get<double>(), 1.5);
  EXPECT_EQ(list_[1]["distinct_overall"], 2);
  EXPECT_FALSE(list_[0].contains("distinct_overall"));
}

TEST_F(Summary, TokensCountWorkerAndMetaAgent) {
  EXPECT_DOUBLE_EQ(list_[1]["tokens_mean"].get<double>(), 110);
  EXPECT_DOUBLE_EQ(list_[1]["calls_mean"].get<double>(), 2);
}

TEST_F(Summary, ReasonsOfInvalidFailedAndMissingRunsAreCounted) {
  auto rows = rows_;
  rows[2].error = rows[3].error = "worker: HTTP 503";
  rows[6].error = "number of tokens exceeds the budget of 10";
  rows[7].error = "no class Workflow";
  const Json list = summarise_methods(methods_, scores_, rows, {});
  EXPECT_EQ(list[0]["reasons"], Json({{"worker: HTTP 503", 2}}));
  EXPECT_EQ(list[1]["reasons"],
            Json({{"no class Workflow", 1}, {"number of tokens exceeds the budget of 10", 1}}));
}

TEST_F(Summary, ErrorsAreCountedByKindWithTheirReasons) {
  auto rows = rows_;
  rows[2].error = rows[3].error = "worker: HTTP 503";
  rows[6].error = "number of tokens exceeds the budget of 10";
  rows[7].error = "no class Workflow";
  const Json list = summarise_methods(methods_, scores_, rows, {});
  EXPECT_EQ(list[0]["errors"], Json({{"infrastructure", {{"worker: HTTP 503", 2}}}}));
  EXPECT_EQ(list[1]["errors"], Json({{"limit", {{"number of tokens exceeds the budget of 10", 1}}},
                                     {"invalid", {{"no class Workflow", 1}}}}));
}

TEST_F(Summary, WorkerAndMetaAgentTokensStandApart) {
  EXPECT_DOUBLE_EQ(list_[1]["worker_tokens_mean"].get<double>(), 100);
  EXPECT_DOUBLE_EQ(list_[1]["meta_tokens_mean"].get<double>(), 10);
}

// Type 7 quantiles of 100, 200, 400: the workflow that is not valid did not run.
TEST_F(Summary, LatencyIsOfTheWorkflowsThatRan) {
  auto rows = rows_;
  rows[4].wall_ms = 400;
  rows[5].wall_ms = 100;
  rows[6].wall_ms = 200;
  const Json latency = summarise_methods(methods_, scores_, rows, {})[1]["latency_ms"];
  EXPECT_DOUBLE_EQ(latency["median"].get<double>(), 200);
  EXPECT_DOUBLE_EQ(latency["p95"].get<double>(), 380);
}

// Task a: 1 of 2 right, b: 1 of 1, so that pass@1 is (1/2 + 1) / 2 and b has no two samples.
TEST_F(Summary, PassAtKIsTheMeanOverTasksThatAllHaveKSamples) {
  std::vector<ResultRow> rows = {row("io", "a", 0, OutcomeKind::kScored, 1),
                                 row("io", "a", 1, OutcomeKind::kScored, 0),
                                 row("io", "b", 0, OutcomeKind::kScored, 1),
                                 row("io", "b", 1, OutcomeKind::kInfrastructure, 0)};
  Json list = Json::array({{{"name", "io"}}, {{"name", "m"}}});
  add_pass_at_k(list, rows, {});
  ASSERT_EQ(list[0]["pass_at_k"].size(), 1u);
  EXPECT_DOUBLE_EQ(list[0]["pass_at_k"]["1"]["score"].get<double>(), 0.75);
  EXPECT_FALSE(list[1].contains("pass_at_k"));
  for (int sample = 2; sample < 10; ++sample) {
    rows.push_back(row("io", "a", sample, OutcomeKind::kScored, 0));
  }
  for (int sample = 1; sample < 10; ++sample) {
    rows.push_back(row("io", "b", sample, OutcomeKind::kScored, 0));
  }
  add_pass_at_k(list, rows, {});
  EXPECT_DOUBLE_EQ(list[0]["pass_at_k"]["10"]["score"].get<double>(), 1);
}

TEST_F(Summary, PassRateIsOfTheTasksThatHaveHiddenTests) {
  auto rows = rows_;
  rows[0].pass_rate = std::nan("");
  rows[1].pass_rate = 0.5;
  const Json list = summarise_methods(methods_, scores_, rows, {});
  EXPECT_DOUBLE_EQ(list[0]["pass_rate"].get<double>(), 0.5);
}

TEST_F(Summary, PairsUseTheTasksThatBothHave) {
  const Json pairs = summarise_pairs(methods_, scores_, {});
  ASSERT_EQ(pairs.size(), 1u);
  EXPECT_EQ(pairs[0]["a"], "m");
  EXPECT_EQ(pairs[0]["b"], "io");
  EXPECT_EQ(pairs[0]["n"], 1);
  EXPECT_DOUBLE_EQ(pairs[0]["diff"].get<double>(), 0.5);
}

TEST_F(Summary, MethodWithoutDataHasNulls) {
  const auto methods = parse_methods({"cot"});
  const Json list = summarise_methods(methods, score_table(methods, tasks_, rows_), rows_, {});
  EXPECT_TRUE(list[0]["score"].is_null());
  EXPECT_TRUE(list[0]["ci95"][0].is_null());
}

}  // namespace
}  // namespace weft
