// The program itself: on a file written here, and on the sets of WEFT_TEST_DATA.
#include "trainer/evaluate/workflow_runs/analyse_program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "tests/support/config_sizes.h"
#include "tests/support/input_error.h"
#include "tests/support/support.h"

namespace weft {
namespace {

using ::testing::HasSubstr;

/// Runs that all agree: of three workflows the first solves even queries, the second odd ones and
/// half of the even ones, the third nothing.
Json file_of(const std::string& dataset) {
  Json json = {{"dataset", dataset},
               {"workflows", Json::array()},
               {"queries", Json::array()},
               {"runs", Json::array()}};
  for (int q = 0; q < 24; ++q) {
    json["queries"].push_back({{"query", q}, {"text", q % 2 ? "odd one" : "even one"}});
  }
  for (int w = 0; w < 3; ++w) {
    json["workflows"].push_back({{"workflow", w}, {"graph", "class Workflow: pass"}});
    Json scores = Json::object();
    for (int q = 0; q < 24; ++q) {
      const bool solved = w == 0 ? q % 2 == 0 : w == 1 && (q % 2 == 1 || q % 4 == 0);
      scores[std::to_string(q)] = solved ? 1 : 0;
    }
    for (int r = 0; r < 2; ++r) {
      json["runs"].push_back(
          {{"workflow", w}, {"run", r}, {"scores", scores}, {"cost_total_last", 0.24}});
    }
  }
  return json;
}

class AnalyseRuns : public ::testing::Test {
 protected:
  AnalyseRuns() { write_file_atomically(dir_ / "a.json", dump_json(file_of("A"))); }

  std::string path(const std::string& name) const { return (dir_ / name).string(); }

  test::ProgramRun run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), test::program("analyse_runs").string());
    return test::run_program(arguments);
  }

  test::TempDir dir_;
};

TEST_F(AnalyseRuns, PrintsAndWritesItsReport) {
  const auto done = run({"--in", path("a.json"), "--out", path("out")});
  ASSERT_EQ(done.exit_code, 0) << done.err;
  EXPECT_EQ(done.out, read_file(dir_ / "out/report.md"));
  EXPECT_THAT(read_file(dir_ / "out/coverage.svg"), HasSubstr("</svg>"));
  const Json report = read_json_file(dir_ / "out/report.json");
  ASSERT_EQ(report["sets"].size(), 1u);
  const Json& set = report["sets"][0];
  EXPECT_EQ(set["dataset"], "A");
  EXPECT_EQ(set["best_fixed_workflow"], "1");
  EXPECT_NEAR(set["best_fixed"].get<double>(), 0.75, 1e-12);
  EXPECT_NEAR(set["by_query"].get<double>(), 1, 1e-12);
  EXPECT_NEAR(set["gap"].get<double>(), 0.25, 1e-12);
  EXPECT_NEAR(set["noise"].get<double>(), 0, 1e-12);
  EXPECT_NEAR(set["coverage"]["top1_repeated"].get<double>(), 0.75, 1e-12);
  EXPECT_NEAR(set["coverage"]["top5"].get<double>(), 1, 1e-12);
  EXPECT_NEAR(set["router"]["score"].get<double>(), 1, 1e-12);  // the words tell
  EXPECT_NEAR(set["router"]["regret"].get<double>(), 0, 1e-12);
}

TEST_F(AnalyseRuns, TakesSeveralFilesInTheirOrderAndSameNumbersTwice) {
  write_file_atomically(dir_ / "b.json", dump_json(file_of("B")));
  ASSERT_EQ(run({"--in", path("b.json"), path("a.json"), "--out", path("one")}).exit_code, 0);
  ASSERT_EQ(run({"--in", path("b.json") + "," + path("a.json"), "--out", path("two")}).exit_code,
            0);
  const Json report = read_json_file(dir_ / "one/report.json");
  EXPECT_EQ(report["sets"][0]["dataset"], "B");
  EXPECT_EQ(report["sets"][1]["dataset"], "A");
  EXPECT_EQ(report["sets"], read_json_file(dir_ / "two/report.json")["sets"]);
}

TEST_F(AnalyseRuns, ReadsStandardInput) {
  const auto done =
      test::run_program({test::program("analyse_runs").string(), "--in", "-", "--out", path("out")},
                        dump_json(file_of("D")));
  EXPECT_EQ(done.exit_code, 0) << done.err;
  EXPECT_EQ(read_json_file(dir_ / "out/report.json")["sets"][0]["dataset"], "D");
}

TEST_F(AnalyseRuns, BadFilesEndBeforeAnythingIsWritten) {
  Json bad = file_of("C");
  bad["runs"][1]["scores"]["5"] = 2;
  write_file_atomically(dir_ / "bad.json", dump_json(bad));
  write_file_atomically(dir_ / "empty.json", "");
  write_file_atomically(dir_ / "cut.json", dump_json(bad).substr(0, 500));
  for (const auto& [name, words] : std::vector<std::pair<std::string, std::string>>{
           {"bad.json", "runs[1]: scores: \"5\": expected a score from 0 to 1, got 2"},
           {"empty.json", "got an empty file"},
           {"cut.json", "not valid JSON"},
           {"absent.json", "absent.json"}}) {
    const auto done = run({"--in", path("a.json"), path(name), "--out", path("out")});
    EXPECT_EQ(done.exit_code, 2) << name;
    EXPECT_THAT(done.err, HasSubstr(words)) << name;
    EXPECT_TRUE(done.out.empty()) << name;
    EXPECT_FALSE(fs::exists(dir_ / "out")) << name;
  }
}

TEST_F(AnalyseRuns, AFolderThatHoldsARunIsRefused) {
  ASSERT_EQ(run({"--in", path("a.json"), "--out", path("out")}).exit_code, 0);
  const auto again = run({"--in", path("a.json"), "--out", path("out")});
  EXPECT_EQ(again.exit_code, 2);
  EXPECT_THAT(again.err, HasSubstr("out"));
}

TEST_F(AnalyseRuns, UsageErrorsAreNamed) {
  EXPECT_THAT(run({"--out", path("out")}).err, HasSubstr("in: expected a file"));
  EXPECT_THAT(run({"--in", path("a.json")}).err, HasSubstr("--out DIR"));
  const auto twice = run({"--in", path("a.json"), path("./a.json"), "--out", path("out")});
  EXPECT_EQ(twice.exit_code, 2);
  EXPECT_THAT(twice.err, HasSubstr("each file once"));
  const auto folds = run({"--in", path("a.json"), "--out", path("out"), "--set", "router.folds=1"});
  EXPECT_EQ(folds.exit_code, 2);
  EXPECT_THAT(folds.err, HasSubstr("router: folds: expected at least 2, got 1"));
}

TEST_F(AnalyseRuns, DryRunChecksTheFilesAndWritesNothing) {
  const auto done = run({"--in", path("a.json"), "--out", path("out"), "--dry-run"});
  EXPECT_EQ(done.exit_code, 0) << done.err;
  EXPECT_THAT(done.out, HasSubstr("\"few_shot\""));
  write_file_atomically(dir_ / "bad.json", "{}");
  const auto bad = run({"--in", path("bad.json"), "--out", path("out"), "--dry-run"});
  EXPECT_EQ(bad.exit_code, 2);
  EXPECT_THAT(bad.err, HasSubstr("\"dataset\""));
  EXPECT_FALSE(fs::exists(dir_ / "out"));
}

TEST_F(AnalyseRuns, FurtherFieldsAreListedOnce) {
  Json json = file_of("A");
  for (Json& one : json["runs"]) one["seconds"] = 1;
  write_file_atomically(dir_ / "a.json", dump_json(json));
  const auto done = run({"--in", path("a.json"), "--out", path("out")});
  EXPECT_EQ(done.exit_code, 0);
  EXPECT_THAT(done.err, HasSubstr("runs.seconds (6)"));
  EXPECT_EQ(read_json_file(dir_ / "out/report.json")["further_fields"]["runs.seconds"], 6);
}

TEST(AnalyseRunsConfig, EverySizeIsBounded) {
  test::expect_bounded_sizes<AnalyseRunsConfig>({{"in", {"a"}}, {"out", "b"}}, {"threads"});
}

/// What an analysis made elsewhere of the same files found (best fixed, best by query, interaction,
/// noise, coverage by the best five times and by the best five once), to the digits it gave. It
/// chose otherwise among workflows that are equal, and took runs of the same number together where
/// coverage here is the expectation over all.
struct Known {
  const char* file;
  double best_fixed, by_query, interaction, noise, repeated, top5;
};

TEST(AnalyseRunsData, AgreesWithAnotherAnalysisOfTheSharedSets) {
  const fs::path data = test::reference_data();
  if (data.empty()) GTEST_SKIP() << "WEFT_TEST_DATA is not set";
  AnalysisOptions options;
  options.few_shot.seeds = 20;
  options.router.repeats = 1;
  for (const Known& known : {Known{"gsm8k", .906, .953, .030, .017, .910, .946},
                             Known{"drop", .762, .811, .054, .012, .794, .779},
                             Known{"humaneval", .947, .973, .031, .025, .967, .960},
                             Known{"mbpp", .840, .851, .050, .024, .849, .858}}) {
    FieldCounts further;
    const auto set =
        analyse_set(read_workflow_runs(
                        data / "workflow_runs" / (known.file + std::string(".json.gz")), further),
                    options);
    const auto is = [&](const Json& value, double expected, double tolerance) {
      EXPECT_NEAR(value.get<double>(), expected, tolerance) << known.file;
    };
    EXPECT_TRUE(further.empty()) << list_fields(further);
    is(set["best_fixed"], known.best_fixed, 0.006);
    is(set["by_query"], known.by_query, 0.01);
    is(set["interaction"], known.interaction, 0.0006);
    is(set["noise"], known.noise, 0.0006);
    is(set["coverage"]["top1_repeated"], known.repeated, 0.0006);
    is(set["coverage"]["top5"], known.top5, 0.01);
    // The router is not below the best fixed workflow and costs no more.
    EXPECT_GE(set["router"]["gain_ci95"][1].get<double>(), 0) << known.file;
    EXPECT_GT(set["router"]["gain"].get<double>(), -0.005) << known.file;
    EXPECT_LE(set["router"]["cost_ratio"].get<double>(), 1 + 1e-9) << known.file;
  }
}

}  // namespace
}  // namespace weft
