#include <gtest/gtest.h>

#include <set>
#include <sstream>

#include "base/error.h"
#include "sandbox/prepare_tasks_program.h"
#include "tests/support/support.h"

namespace weft {
namespace {

test::ProgramRun prepare(const std::string& dataset, const std::string& in,
                         const std::string& input = "") {
  return test::run_program(
      {test::program("prepare_tasks").string(), "--dataset", dataset, "--in", in}, input);
}

std::vector<Json> lines_of(const std::string& text) {
  std::vector<Json> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(parse_json(line, "line"));
  return lines;
}

TEST(PrepareTasks, WritesTasksAndReportsRowsWithoutOne) {
  const Json good{{"task_id", "T/0"},
                  {"prompt", "def twice(x):\n    \"\"\"Twice x.\"\"\"\n"},
                  {"canonical_solution", "    return 2 * x\n"},
                  {"entry_point", "twice"},
                  {"test",
                   "def check(candidate):\n    assert candidate(1) == 2\n"
                   "    assert candidate(2) == 4\n    assert candidate('a') == 'aa'\n"}};
  Json bad = good;
  bad["task_id"] = "T/1";
  bad["canonical_solution"] = "    return x\n";
  const auto run = prepare("humaneval", "-", good.dump() + "\n" + bad.dump() + "\n{\n");
  EXPECT_EQ(run.exit_code, 1);
  const auto tasks = lines_of(run.out);
  ASSERT_EQ(tasks.size(), 1u);
  EXPECT_EQ(tasks[0]["id"], "T/0");
  EXPECT_EQ(tasks[0]["dataset"], "humaneval");
  EXPECT_EQ(tasks[0]["kind"], "code");
  EXPECT_EQ(tasks[0]["entry_point"], "twice");
  EXPECT_EQ(tasks[0]["tests"]["public"].dump(), R"([{"args":[1],"expected":2}])");
  EXPECT_EQ(tasks[0]["tests"]["val"].dump(), R"([{"args":[2],"expected":4}])");
  EXPECT_EQ(tasks[0]["tests"]["hidden"].dump(), R"([{"args":["a"],"expected":"aa"}])");
  EXPECT_EQ(
      tasks[0]["tests"]["official"].dump(),
      R"([{"args":[1],"expected":2},{"args":[2],"expected":4},{"args":["a"],"expected":"aa"}])");
  EXPECT_FALSE(tasks[0].contains("setup"));
  EXPECT_NE(run.err.find("T/1"), std::string::npos) << run.err;
  EXPECT_NE(run.err.find(":3"), std::string::npos) << run.err;
}

TEST(PrepareTasks, ReadsTheFormsOfMbppAndEvalPlus) {
  const auto mbpp = parse_benchmark_row(
      "mbpp",
      parse_json(R"({"task_id":7,"text":"Write it.","code":"x","test_setup_code":"y = 1",
                     "test_list":["assert f(1) == 1"],"challenge_test_list":["assert f(2) == 2"]})",
                 "t"),
      "t");
  EXPECT_EQ(mbpp.id, "mbpp/7");
  EXPECT_EQ(mbpp.prompt, "Write it.\nYour code should pass this test:\nassert f(1) == 1\n");
  EXPECT_EQ(mbpp.reference.tests.size(), 2u);
  EXPECT_EQ(mbpp.reference.before, "y = 1");
  const auto plus = parse_benchmark_row(
      "humaneval_plus",
      parse_json(R"({"task_id":"T/0","prompt":"def f(x):","canonical_solution":" return x",
                     "entry_point":"f","base_input":[[1]],"plus_input":[[2],[3]],"atol":0.5})",
                 "t"),
      "t");
  EXPECT_EQ(plus.reference.inputs.size(), 3u);
  EXPECT_EQ(plus.reference.absolute_tolerance, 0.5);
  EXPECT_THROW(parse_benchmark_row("mbpp", Json{{"task_id", 1}}, "t"), InputError);
}

Json call_of(int argument, const Json& expected) {
  return {{"args", {argument}}, {"expected", expected}};
}

TEST(PrepareTasks, EveryTestHasOnePlace) {
  for (int count = 1; count <= 7; ++count) {
    std::vector<Json> tests;
    for (int i = 0; i < count; ++i) tests.push_back(call_of(i, i));
    for (int i = 0; i < count; ++i) tests.push_back(call_of(i, i));  // as benchmarks repeat them
    const Json split = split_tests(tests);
    std::multiset<int> seen;
    for (const auto& [name, part] : split.items()) {
      for (const auto& test : part) seen.insert(test["args"][0].get<int>());
    }
    EXPECT_EQ(seen.size(), std::set<int>(seen.begin(), seen.end()).size()) << split;
    EXPECT_EQ(seen.size(), static_cast<size_t>(count));
    EXPECT_FALSE(split["val"].empty()) << count;
    EXPECT_EQ(split["public"].size(), count > 1 ? 1u : 0u);
    EXPECT_EQ(split["hidden"].empty(), count < 3);
  }
}

TEST(PrepareTasks, ValExpectsTwoValuesWhereItHasRoomForThem) {
  const Json split = split_tests(
      {call_of(1, true), call_of(2, true), call_of(3, false), call_of(4, true), call_of(5, true)});
  ASSERT_EQ(split["val"].size(), 2u);
  EXPECT_NE(split["val"][0]["expected"], split["val"][1]["expected"]);
}

TEST(PrepareTasks, RefusesUnknownDatasets) {
  const auto run = prepare("humanevil", "-");
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_NE(run.err.find("got \"humanevil\""), std::string::npos) << run.err;
}

}  // namespace
}  // namespace weft
