#include "trainer/evaluate/compare.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"
#include "tests/support/support.h"

namespace weft {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

/// A run of `io`, with this score of each task, and of a method that only it has.
EvaluatedRun run_of(const std::string& dir, const Json& scores, const std::string& other) {
  EvaluatedRun run;
  run.dir = dir;
  Json tasks = Json::object();
  for (const auto& [task, score] : scores.items()) tasks[task] = {{"io", score}, {other, 1}};
  run.report = {{"methods", {{{"name", "io"}}, {{"name", other}}}},
                {"tasks", tasks},
                {"scoring", {{{"rule", "official"}}}},
                {"summary", {{"title", "T"}, {"date", "2026-01-02"}, {"worker", "w"}}}};
  run.config = {{"out", dir}, {"seed", 1}, {"worker", {{"model", "small"}, {"kind", "local"}}}};
  run.inputs = {{"tasks", {{"hash", "00"}, {"source", "t.jsonl"}}}};
  return run;
}

const Json kFirst = {{"a", 0}, {"b", 0}, {"c", 1}, {"d", nullptr}, {"x", 1}};
const Json kSecond = {{"a", 1}, {"b", 1}, {"c", 1}, {"d", 1}, {"y", 0}, {"z", 0}};

std::vector<std::string> differing(const Json& comparison) {
  std::vector<std::string> what;
  for (const Json& difference : comparison["differences"]) what.push_back(difference["what"]);
  return what;
}

TEST(CompareRuns, PairsTheTasksThatBothScored) {
  const Json json = compare_runs(run_of("r1", kFirst, "cot"), run_of("r2", kSecond, "sc"), {});
  EXPECT_EQ(json["tasks"], Json({{"shared", 4}, {"only_in", {1, 2}}}));
  ASSERT_EQ(json["methods"].size(), 1u);
  const Json& io = json["methods"][0];
  EXPECT_EQ(io["n"], 3);
  EXPECT_NEAR(io["scores"][0].get<double>(), 1.0 / 3, 1e-12);
  EXPECT_NEAR(io["scores"][1].get<double>(), 1, 1e-12);
  EXPECT_NEAR(io["diff"].get<double>(), 2.0 / 3, 1e-12);
  EXPECT_EQ(io["mcnemar"]["only_a"], 2);
  EXPECT_EQ(io["ci_method"], "newcombe");
}

TEST(CompareRuns, NamesTheMethodsOfOneRunOnly) {
  const Json json = compare_runs(run_of("r1", kFirst, "cot"), run_of("r2", kSecond, "sc"), {});
  EXPECT_EQ(json["only_in"], Json({{"cot"}, {"sc"}}));
  const std::string text = markdown_comparison(json);
  EXPECT_THAT(text, HasSubstr("Only in the first run: cot."));
  EXPECT_THAT(text, HasSubstr("Only in the second run: sc."));
  EXPECT_THAT(text, HasSubstr("| io | 3 | 0.333 | 1.000 | +0.667 |"));
}

TEST(CompareRuns, OfTheSameSettingsDifferInNothing) {
  const Json json = compare_runs(run_of("r1", kFirst, "cot"), run_of("r2", kSecond, "cot"), {});
  EXPECT_TRUE(json["differences"].empty()) << json["differences"];
  EXPECT_THAT(markdown_comparison(json), HasSubstr("differ in no setting"));
}

TEST(CompareRuns, SayWhereSettingsTasksAndRulesDiffer) {
  EvaluatedRun second = run_of("r2", kSecond, "cot");
  second.config["seed"] = 2;
  second.config["worker"]["model"] = "a|b";
  second.config["scorer"] = "aflow";
  second.inputs["tasks"]["hash"] = "01";
  second.report["scoring"][0]["rule"] = "hidden";
  const Json json = compare_runs(run_of("r1", kFirst, "cot"), second, {});
  EXPECT_EQ(differing(json), (std::vector<std::string>{"scorer", "seed", "worker.model", "scoring",
                                                       "content of tasks"}));
  const std::string text = markdown_comparison(json);
  EXPECT_THAT(text, HasSubstr("| worker.model | \"small\" | \"a\\|b\" |"));
  EXPECT_THAT(text, HasSubstr("| seed | 1 | 2 |"));
}

TEST(CompareRuns, WithNothingInCommonAreAFailure) {
  const Json other = {{"q", 1}};
  EXPECT_THROW(compare_runs(run_of("r1", kFirst, "cot"), run_of("r2", other, "cot"), {}), Error);
}

TEST(CompareRuns, AScoreThatIsNoneIsNamed) {
  const Json bad = {{"a", "high"}, {"b", 1}};
  try {
    compare_runs(run_of("r1", kFirst, "cot"), run_of("r2", bad, "cot"), {});
    FAIL();
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), HasSubstr("r2/report.json: tasks.a.io: expected a number or null"));
  }
}

TEST(CompareRuns, ReadsFoldersAndWritesJson) {
  test::TempDir dir;
  for (const char* name : {"one", "two"}) {
    const EvaluatedRun run = run_of(name, kFirst, "cot");
    std::filesystem::create_directory(dir / name);
    write_file_atomically(dir / name / "report.json", dump_json(run.report));
    write_file_atomically(dir / name / "config.json", dump_json(run.config));
    const Json hash = {{"hash", name}, {"source", "t.jsonl"}};
    write_file_atomically(dir / name / "inputs.json",
                          dump_json({{"version", "v"}, {"inputs", {{"tasks", hash}}}}));
  }
  const std::vector<std::string> dirs = {(dir / "one").string(), (dir / "two").string()};
  const std::string text = run_comparison(dirs, dir / "c.json", {});
  EXPECT_THAT(text, HasSubstr("| io | 4 |"));
  EXPECT_THAT(text, HasSubstr("| content of tasks | \"one\" | \"two\" |"));
  EXPECT_EQ(read_json_file(dir / "c.json")["methods"].size(), 2u);
  EXPECT_THROW(run_comparison({dirs[0]}, "", {}), InputError);
  std::filesystem::remove(dir / "two" / "report.json");
  try {
    run_comparison(dirs, "", {});
    FAIL();
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), HasSubstr("it has no report.json"));
  }
}

}  // namespace
}  // namespace weft
