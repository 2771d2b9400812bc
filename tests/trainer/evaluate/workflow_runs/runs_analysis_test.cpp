#include "trainer/evaluate/workflow_runs/runs_analysis.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/trainer/evaluate/workflow_runs/made_scores.h"
#include "trainer/evaluate/workflow_runs/coverage_plot.h"
#include "trainer/evaluate/workflow_runs/runs_markdown.h"

namespace weft {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

WorkflowRuns made_set(size_t workflows, size_t runs, size_t queries) {
  Rng rng(0, 11);
  WorkflowRuns set;
  set.file = "f.json";
  set.dataset = "A|B";
  set.scores = test::drawn_scores(workflows, runs, queries, rng,
                                  [](size_t w, size_t q) { return (w + q) % 3 ? 0.7 : 0.4; });
  for (size_t w = 0; w < workflows; ++w) {
    set.workflows.push_back(std::to_string(w + 1));
    set.usd_per_query.push_back(0.01);
  }
  for (size_t q = 0; q < queries; ++q) set.texts.push_back("word" + std::to_string(q % 3));
  return set;
}

AnalysisOptions quick() {
  AnalysisOptions options;
  options.bootstrap.resamples = 1000;
  options.few_shot.seeds = 10;
  options.router.repeats = 1;
  options.router.folds = 3;
  return options;
}

std::string markdown_of(const Json& set) {
  return runs_markdown({{"sets", {set}},
                        {"paper", paper_figures()},
                        {"surrogate_means", surrogate_means(Json::array({set}))},
                        {"settings", {{"bootstrap", {{"resamples", 1000}}}}}});
}

TEST(RunsAnalysis, HasTheFieldsOfTheContract) {
  const Json set = analyse_set(made_set(9, 3, 12), quick());
  for (const char* key : {"best_fixed", "by_query", "gap", "interaction", "noise"}) {
    EXPECT_TRUE(set[key].is_number()) << key;
  }
  EXPECT_EQ(set["workflows"], 9);
  EXPECT_EQ(set["queries"], 12);
  EXPECT_EQ(set["gap_ci95"].size(), 2u);
  for (const char* key : {"top1", "top5", "top1_repeated"}) {
    EXPECT_TRUE(set["coverage"][key].is_number()) << key;
  }
  EXPECT_TRUE(set["surrogate"].contains("pearson"));
  EXPECT_TRUE(set["surrogate"]["mae"].is_number());
  EXPECT_TRUE(set["router"]["score"].is_number());
  EXPECT_EQ(set["router"]["ci95"].size(), 2u);
  EXPECT_TRUE(set["router"]["cost_ratio"].is_number());
  EXPECT_TRUE(set["missing"].empty());
}

TEST(RunsAnalysis, ItsPartsBelongTogether) {
  const Json set = analyse_set(made_set(9, 4, 30), quick());
  const auto of = [](const Json& json) { return json.get<double>(); };
  EXPECT_NEAR(of(set["gap"]), of(set["by_query"]) - of(set["best_fixed"]), 1e-12);
  const Json& router = set["router"];
  EXPECT_NEAR(of(router["gain"]), of(router["score"]) - of(set["best_fixed"]), 1e-12);
  EXPECT_NEAR(of(router["regret"]), of(set["by_query"]) - of(router["score"]), 1e-12);
  EXPECT_GE(of(set["naive_by_query"]), of(set["by_query"]));
  EXPECT_GE(of(set["coverage"]["all_once"]), of(set["coverage"]["top5"]));
  EXPECT_EQ(set["coverage"]["curve"]["top"].size(), 5u);
  EXPECT_EQ(set["coverage"]["curve"]["repeated"].size(), 4u);
  EXPECT_LE(of(router["cost_ratio"]), 1);
}

// Means of ones that are rounded above 1 would be refused as scores.
TEST(RunsAnalysis, RoundingTakesNoScoreBeyondOne) {
  for (size_t runs = 2; runs <= 8; ++runs) {
    WorkflowRuns set = made_set(9, runs, 12);
    for (size_t w = 0; w < 9; ++w) {
      for (size_t r = 0; r < runs; ++r) {
        for (size_t q = 0; q < 9; ++q) set.scores.at(w, r, q) = 1;
      }
    }
    EXPECT_NO_THROW(analyse_set(set, quick())) << runs;
  }
}

TEST(RunsAnalysis, SelfPredictionIsMissingAndSaysWhy) {
  const Json set = analyse_set(made_set(9, 3, 12), quick());
  EXPECT_TRUE(set["surrogate"]["self_prediction"].is_null());
  EXPECT_THAT(set["surrogate"]["missing"]["self_prediction"], HasSubstr("optimizer model"));
  EXPECT_THAT(markdown_of(set), HasSubstr("surrogate.self_prediction"));
}

TEST(RunsAnalysis, WhatNeedsTwoRunsIsNullWithTheReason) {
  const Json set = analyse_set(made_set(9, 1, 12), quick());
  for (const char* key : {"best_fixed", "by_query", "gap", "interaction", "noise", "router"}) {
    EXPECT_TRUE(set[key].is_null()) << key;
    EXPECT_THAT(set["missing"][key], HasSubstr("two runs")) << key;
  }
  EXPECT_TRUE(set["coverage"]["top5"].is_number());
  EXPECT_TRUE(set["coverage"]["top1_repeated"].is_null());
  EXPECT_TRUE(set["surrogate"]["mae"].is_number());
  EXPECT_THAT(markdown_of(set), HasSubstr("needs two runs"));
}

TEST(RunsAnalysis, OfOneWorkflowThereIsNothingToChoose) {
  const Json set = analyse_set(made_set(1, 3, 12), quick());
  EXPECT_TRUE(set["gap"].is_null());
  EXPECT_THAT(set["missing"]["gap"], HasSubstr("two workflows"));
  EXPECT_TRUE(set["surrogate"].is_null());
  EXPECT_TRUE(set["coverage"]["top1_repeated"].is_number());
  EXPECT_EQ(set["coverage"]["top5_workflows"], 1);
  EXPECT_THAT(markdown_of(set), HasSubstr("1 x 1:"));
}

TEST(RunsAnalysis, FewQueriesAreSaid) {
  const Json two = analyse_set(made_set(3, 2, 2), quick());
  EXPECT_THAT(two["missing"]["router"], HasSubstr("as many queries as folds, 3, got 2"));
  EXPECT_TRUE(two["interaction"].is_number());
  const Json one = analyse_set(made_set(3, 2, 1), quick());
  EXPECT_THAT(one["missing"]["interaction"], HasSubstr("two queries"));
  EXPECT_TRUE(one["gap"].is_number());
}

TEST(RunsAnalysis, UnknownCostsLeaveTheRatioOut) {
  WorkflowRuns set = made_set(4, 3, 12);
  set.usd_per_query[2] = std::numeric_limits<double>::quiet_NaN();
  const Json json = analyse_set(set, quick());
  EXPECT_TRUE(json["router"]["cost_ratio"].is_null());
  EXPECT_THAT(json["router"]["missing"]["cost_ratio"], HasSubstr("dollars"));
}

TEST(RunsAnalysis, MeansOfTheSurrogateAreOverTheSetsThatHaveOne) {
  const Json sets = {{{"surrogate", {{"pearson", 0.2}, {"mae", 0.1}}}},
                     {{"surrogate", nullptr}},
                     {{"surrogate", {{"pearson", 0.4}, {"mae", 0.3}}}},
                     {{"surrogate", {{"pearson", nullptr}, {"mae", 0.9}}}}};
  const Json means = surrogate_means(sets);
  EXPECT_EQ(means["sets"], 2);
  EXPECT_NEAR(means["pearson"].get<double>(), 0.3, 1e-12);
  EXPECT_NEAR(means["mae"].get<double>(), 0.2, 1e-12);
  EXPECT_TRUE(surrogate_means(Json::array())["mae"].is_null());
}

TEST(RunsAnalysis, MarkdownShowsThePaperAndKeepsCellsWhole) {
  const std::string text = markdown_of(analyse_set(made_set(9, 3, 12), quick()));
  EXPECT_THAT(text, HasSubstr("| A\\|B | 9 | 12 | 3 |"));
  EXPECT_THAT(text, HasSubstr("Pearson 0.52, MAE 0.16"));
  EXPECT_THAT(text, HasSubstr("93.87 to 100 %"));
  EXPECT_THAT(text, HasSubstr("](coverage.svg)"));
  EXPECT_THAT(text, Not(HasSubstr("nan")));
}

TEST(RunsAnalysis, ThePlotHasAPanelForEachSetAndIsWellFormed) {
  Json sets = {analyse_set(made_set(9, 3, 12), quick()), analyse_set(made_set(1, 1, 3), quick())};
  sets[0]["dataset"] = "<script>&";
  const std::string svg = coverage_plot(sets);
  EXPECT_THAT(svg, HasSubstr("&lt;script&gt;&amp;"));
  EXPECT_THAT(svg, Not(HasSubstr("<script>")));
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
  size_t num_lines = 0;
  for (size_t at = svg.find("<polyline"); at != std::string::npos;
       at = svg.find("<polyline", at + 1)) {
    ++num_lines;
  }
  EXPECT_EQ(num_lines, 4u);
}

}  // namespace
}  // namespace weft
