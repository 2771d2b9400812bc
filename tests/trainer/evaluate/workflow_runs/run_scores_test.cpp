#include "trainer/evaluate/workflow_runs/run_scores.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/base64.h"
#include "base/file.h"
#include "base/json.h"
#include "tests/support/input_error.h"
#include "tests/support/support.h"

namespace weft {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Json run(Json workflow, Json number, Json scores, Json usd = 0.2) {
  return {{"workflow", workflow}, {"run", number}, {"scores", scores}, {"cost_total_last", usd}};
}

/// Two workflows, two queries, two runs of each.
Json small() {
  return {{"dataset", "X"},
          {"source", "s"},
          {"workflows", {{{"workflow", 3}}, {{"workflow", "b"}}}},
          {"queries", {{{"query", 0}, {"text", "zero"}}, {{"query", 7}, {"text", "seven"}}}},
          {"runs",
           {run(3, 0, {{"0", 1}, {"7", 0}}, 0.2), run(3, 1, {{"0", 0}, {"7", 0.5}}, 0.4),
            run("b", 0, {{"7", 1}, {"0", 1}}), run("b", 1, {{"7", 1}, {"0", 0}}, nullptr)}}};
}

class RunScoresFile : public ::testing::Test {
 protected:
  WorkflowRuns read(const std::string& text) {
    write_file_atomically(dir_ / "f.json", text);
    return read_workflow_runs(dir_ / "f.json", further_);
  }
  WorkflowRuns read(const Json& json) { return read(dump_json(json)); }

  /// What is said of the small set after a change; it names the file.
  std::string refusal(const std::function<void(Json&)>& change) {
    Json json = small();
    change(json);
    return refusal(dump_json(json));
  }
  std::string refusal(const std::string& text) {
    const std::string message = test::input_error([&] { read(text); });
    EXPECT_THAT(message, HasSubstr("f.json: "));
    return message;
  }

  test::TempDir dir_;
  FieldCounts further_;
};

TEST_F(RunScoresFile, IsReadInItsOwnOrder) {
  const WorkflowRuns set = read(small());
  EXPECT_EQ(set.dataset, "X");
  EXPECT_THAT(set.workflows, ElementsAre("3", "b"));
  EXPECT_THAT(set.texts, ElementsAre("zero", "seven"));
  ASSERT_EQ(set.scores.num_runs(), 2u);
  EXPECT_EQ(set.scores.at(0, 1, 1), 0.5);
  EXPECT_EQ(set.scores.at(1, 0, 0), 1);
  EXPECT_THAT(set.scores.query_means()[0], ElementsAre(0.5, 0.25));
  EXPECT_THAT(set.scores.query_means(std::vector<size_t>{1})[1], ElementsAre(0, 1));
  EXPECT_TRUE(set.left_out.empty());
}

TEST_F(RunScoresFile, DollarsAreAMeanOverRunsPerQueryAndUnknownWhereARunHasNone) {
  const WorkflowRuns set = read(small());
  EXPECT_DOUBLE_EQ(set.usd_per_query[0], 0.15);
  EXPECT_TRUE(std::isnan(set.usd_per_query[1]));
}

TEST_F(RunScoresFile, MayBeGzipped) {
  // One workflow, one query, one run.
  const WorkflowRuns set = read(*base64_decode(
      "H4sIAAAAAAACA6tWSkksSSxOLVGyUlByV9JRUCrPL8pOy8kvLwaKRFfDuUCeYW0sUL6wNLUoMxUqC+JUApkGQImS"
      "1AqwKSVKYHVFpXlYjIBIQHUUJ+cXgU2qVjIAm18bWwsAxCpzdZEAAAA="));
  EXPECT_EQ(set.dataset, "G");
  EXPECT_EQ(set.scores.at(0, 0, 0), 1);
}

TEST_F(RunScoresFile, WorkflowsWithFewerRunsAreLeftOutAndTheOthersKeepAsManyAsAllHave) {
  Json json = small();
  json["workflows"].push_back({{"workflow", "once"}});
  json["workflows"].push_back({{"workflow", "never"}});
  json["runs"].push_back(run("once", 0, {{"0", 1}, {"7", 1}}));
  json["runs"].push_back(run("b", 2, {{"0", 1}, {"7", 1}}));
  const WorkflowRuns set = read(json);
  EXPECT_THAT(set.workflows, ElementsAre("3", "b"));
  EXPECT_THAT(set.left_out, ElementsAre("once (1 runs)", "never (0 runs)"));
  EXPECT_EQ(set.runs_left_out, 1);
  EXPECT_EQ(set.scores.num_runs(), 2u);
}

TEST_F(RunScoresFile, OfSingleRunsEveryWorkflowKeepsOne) {
  Json json = small();
  json["runs"].erase(3);
  const WorkflowRuns set = read(json);
  EXPECT_EQ(set.scores.num_runs(), 1u);
  EXPECT_EQ(set.scores.num_workflows(), 2u);
  EXPECT_EQ(set.runs_left_out, 1);
}

TEST_F(RunScoresFile, FurtherFieldsAreCountedAndMisspeltOnesRefused) {
  Json json = small();
  json["licence"] = "MIT";
  json["runs"][0]["seconds"] = 3;
  read(json);
  EXPECT_THAT(list_fields(further_), "licence (1), runs.seconds (1)");
  EXPECT_THAT(refusal([](Json& j) { j["runs"][1]["cost_total_lst"] = 1; }),
              HasSubstr("runs[1]: field \"cost_total_lst\" is unknown"));
}

TEST_F(RunScoresFile, WhatIsNoJsonOrNoObjectIsRefused) {
  EXPECT_THAT(refusal("{\"dataset\": "), HasSubstr("not valid JSON"));
  EXPECT_THAT(refusal(" \n"), HasSubstr("empty file"));
  EXPECT_THAT(refusal("[1]"), HasSubstr("expected a JSON object, got an array"));
  EXPECT_THAT(refusal("{\"dataset\": \"a\", \"dataset\": \"b\"}"), HasSubstr("got it twice"));
  EXPECT_THAT(test::input_error([&] { read_workflow_runs(dir_ / "no.json", further_); }),
              HasSubstr("no.json"));
}

TEST_F(RunScoresFile, MissingFieldsAreNamedWithTheirPlace) {
  EXPECT_THAT(refusal([](Json& j) { j.erase("dataset"); }), HasSubstr("\"dataset\""));
  EXPECT_THAT(refusal([](Json& j) { j.erase("workflows"); }), HasSubstr("\"workflows\""));
  EXPECT_THAT(refusal([](Json& j) { j.erase("queries"); }), HasSubstr("\"queries\""));
  EXPECT_THAT(refusal([](Json& j) { j.erase("runs"); }), HasSubstr("\"runs\""));
  EXPECT_THAT(refusal([](Json& j) { j["queries"][1].erase("text"); }),
              HasSubstr("queries[1]: field \"text\""));
  EXPECT_THAT(refusal([](Json& j) { j["runs"][2].erase("scores"); }),
              HasSubstr("runs[2]: field \"scores\""));
  EXPECT_THAT(refusal([](Json& j) { j["runs"][2].erase("run"); }),
              HasSubstr("runs[2]: field \"run\""));
  EXPECT_THAT(refusal([](Json& j) { j["workflows"][0] = 5; }),
              HasSubstr("workflows[0]: expected an object, got an integer"));
  EXPECT_THAT(refusal([](Json& j) { j["workflows"][0]["workflow"] = 1.5; }),
              HasSubstr("workflows[0]: field \"workflow\": expected an integer or a string"));
}

TEST_F(RunScoresFile, ScoresOutsideTheirRangeAreRefused) {
  for (const Json& score : {Json(1.25), Json(-0.5), Json(), Json("1"), Json(true)}) {
    EXPECT_THAT(refusal([&](Json& j) { j["runs"][2]["scores"]["7"] = score; }),
                HasSubstr("runs[2]: scores: \"7\": expected a score from 0 to 1, got "));
  }
  EXPECT_THAT(refusal([](Json& j) { j["runs"][0]["cost_total_last"] = -1; }),
              HasSubstr("runs[0]: field \"cost_total_last\": expected at least 0, got -1"));
}

TEST_F(RunScoresFile, RunsHaveEveryQueryAndNoOther) {
  EXPECT_THAT(refusal([](Json& j) { j["runs"][3]["scores"].erase("7"); }),
              HasSubstr("runs[3]: scores: expected one for query \"7\", got none"));
  EXPECT_THAT(refusal([](Json& j) { j["runs"][3]["scores"]["9"] = 1; }),
              HasSubstr("runs[3]: scores: expected names of queries, got \"9\""));
  EXPECT_THAT(refusal([](Json& j) {
                j["runs"][3]["scores"] = {1, 2};
              }),
              HasSubstr("runs[3]: field \"scores\": expected an object"));
}

TEST_F(RunScoresFile, NothingIsThereTwice) {
  EXPECT_THAT(refusal([](Json& j) { j["workflows"][1]["workflow"] = "3"; }),
              HasSubstr("workflows[1]: expected each workflow once, got \"3\" again"));
  EXPECT_THAT(refusal([](Json& j) { j["queries"][1]["query"] = 0; }),
              HasSubstr("queries[1]: expected each query once, got \"0\" again"));
  EXPECT_THAT(refusal([](Json& j) { j["runs"][1]["run"] = 0; }),
              HasSubstr("runs[1]: expected each run of a workflow once, got run \"0\" of workflow "
                        "\"3\" again"));
  EXPECT_THAT(refusal([](Json& j) { j["runs"][1]["workflow"] = "c"; }),
              HasSubstr("runs[1]: field \"workflow\": expected one of the workflows, got \"c\""));
}

TEST_F(RunScoresFile, WithoutQueriesOrRunsThereIsNothingToSay) {
  EXPECT_THAT(refusal([](Json& j) {
                j["queries"] = Json::array();
                j["runs"] = Json::array();
              }),
              HasSubstr("queries: expected at least one, got none"));
  EXPECT_THAT(refusal([](Json& j) { j["runs"] = Json::array(); }),
              HasSubstr("runs: expected at least one, got none"));
}

}  // namespace
}  // namespace weft
