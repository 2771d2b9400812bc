#include "trainer/evaluate/compare.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <tuple>

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

TEST(CompareRuns, SayWhereOneNameStandsForTwoMethods) {
  EvaluatedRun first = run_of("r1", kFirst, "cot"), second = run_of("r2", kSecond, "cot");
  first.report["methods"][0]["spec"] = "io_greedy";
  EXPECT_EQ(differing(compare_runs(first, second, {})), std::vector<std::string>{})
      << "a run of old tells no spec";
  second.report["methods"][0]["spec"] = "cot_greedy";
  first.report["methods"][1]["spec"] = second.report["methods"][1]["spec"] = "cot";
  const Json json = compare_runs(first, second, {});
  EXPECT_EQ(json["differences"],
            Json::array({{{"what", "methods.io"}, {"runs", {"io_greedy", "cot_greedy"}}}}));
}

TEST(CompareRuns, SayWhatOnlyOneOfThemRead) {
  EvaluatedRun first = run_of("r1", kFirst, "cot"), second = run_of("r2", kSecond, "sc");
  first.inputs["methods.io"] = {{"hash", "11"}, {"source", "w.py"}};
  first.inputs["methods.cot"] = {{"hash", "22"}, {"source", "c.py"}};
  second.inputs["scorer"] = {{"hash", "33"}, {"source", "s.py"}};
  second.inputs["methods.sc.store"] = {{"hash", "44"}, {"source", "s.sqlite"}};
  const Json json = compare_runs(first, second, {});
  EXPECT_EQ(json["differences"],
            Json::array({{{"what", "content of methods.io"}, {"runs", {"11", nullptr}}},
                         {{"what", "content of scorer"}, {"runs", {nullptr, "33"}}}}));
}

TEST(CompareRuns, WithNothingInCommonAreAFailure) {
  const Json other = {{"q", 1}};
  EXPECT_THROW(compare_runs(run_of("r1", kFirst, "cot"), run_of("r2", other, "cot"), {}), Error);
}

std::string fault_of(const EvaluatedRun& second) {
  try {
    compare_runs(run_of("r1", kFirst, "cot"), second, {});
  } catch (const InputError& error) {
    return error.what();
  }
  return "none";
}

TEST(CompareRuns, AScoreThatIsNoneIsNamed) {
  const std::string expected =
      "r2/report.json: tasks.a.io: expected a number from 0 to 1 or null, got ";
  const std::pair<Json, const char*> bad[] = {
      {"high", "a string"}, {17.5, "17.5"}, {-1, "-1"}, {1e308, "1e+308"}};
  for (const auto& [score, shown] : bad) {
    const Json scores = {{"a", score}, {"b", 1}};
    EXPECT_EQ(fault_of(run_of("r2", scores, "cot")), expected + shown);
  }
}

TEST(CompareRuns, AFieldOfAnotherTypeIsNamedWithItsFile) {
  const auto with = [](const std::function<void(EvaluatedRun&)>& change) {
    EvaluatedRun run = run_of("r2", kSecond, "cot");
    change(run);
    return fault_of(run);
  };
  EXPECT_EQ(with([](EvaluatedRun& run) { run.report["summary"] = 3; }),
            "r2/report.json: field \"summary\": expected an object, got an integer (3)");
  EXPECT_EQ(with([](EvaluatedRun& run) { run.report["summary"]["title"] = 3; }),
            "r2/report.json: summary: field \"title\": expected a string, got an integer (3)");
  EXPECT_THAT(with([](EvaluatedRun& run) { run.report["methods"] = Json::array({3}); }),
              HasSubstr("r2/report.json: methods: field \"name\""));
  EXPECT_THAT(with([](EvaluatedRun& run) {
                run.report["methods"][1] = {{"name", "io"}};
              }),
              HasSubstr("r2/report.json: methods: expected the name \"io\" once"));
  EXPECT_THAT(with([](EvaluatedRun& run) { run.inputs["tasks"] = 3; }),
              HasSubstr("r2/inputs.json: inputs.tasks: field \"hash\""));
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
  const std::tuple<const char*, const char*, const char*> broken[] = {
      {"config.json", "[]", "two/config.json: expected an object, got an array"},
      {"report.json", R"({"tasks": [], "methods": []})",
       "two/report.json: field \"tasks\": expected an object, got an array"},
      {"report.json", R"({"tasks": {}, "methods": {}})",
       "two/report.json: field \"methods\": expected an array, got an object"}};
  for (const auto& [name, text_of_it, said] : broken) {
    const std::string whole = read_file(dir / "two" / name);
    write_file_atomically(dir / "two" / name, text_of_it);
    try {
      run_comparison(dirs, "", {});
      ADD_FAILURE() << said;
    } catch (const InputError& error) {
      EXPECT_THAT(error.what(), HasSubstr(said));
    }
    write_file_atomically(dir / "two" / name, whole);
  }
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
