#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <set>
#include <thread>

#include "base/file.h"
#include "data/task.h"
#include "sandbox/recorder/prepare_tasks_program.h"
#include "tests/sandbox/jail_support.h"
#include "tests/support/config_sizes.h"
#include "tests/support/json_lines.h"
#include "tests/support/support.h"

namespace weft {
namespace {

test::ProgramRun prepare(const std::string& dataset, const std::string& in,
                         const std::string& input = "") {
  return test::run_program(
      {test::program("prepare_tasks").string(), "--dataset", dataset, "--in", in}, input);
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
  const auto tasks = test::parse_json_lines(run.out);
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

Json reference_row(const std::string& id, const std::string& body, const std::string& test) {
  return {{"task_id", id},
          {"prompt", "def f(x):\n"},
          {"canonical_solution", body},
          {"entry_point", "f"},
          {"test", "def check(candidate):\n" + test}};
}

// Something of the second row runs for a minute: the recording, or the judging of the reference,
// whose process has no module called recorder.
TEST(PrepareTasks, ASignalDropsTheRowUnderWay) {
  const std::string check = "    assert candidate(1) == 1\n", end = "    return x\n";
  const Json good = reference_row("T/0", end, check);
  const Json slow = reference_row("T/1", "    import time\n    time.sleep(60)\n" + end, check);
  const Json judged = reference_row("T/1",
                                    "    import sys, time\n"
                                    "    if 'recorder' not in sys.modules: time.sleep(60)\n" +
                                        end,
                                    check);
  for (const Json& row : {slow, judged}) {
    const test::TempDir dir;
    const std::string in = dir / "in.jsonl", out = dir / "out.jsonl", part = out + ".part";
    write_file_atomically(in, good.dump() + "\n" + row.dump() + "\n");
    test::BackgroundProgram program(
        {test::program("prepare_tasks").string(), "--dataset", "humaneval", "--in", in, "--out",
         out, "--set", "cpu_ms=60000"},
        dir / "log");
    ASSERT_TRUE(test::wait_until([&] { return test::count_lines(part) == 1; }));
    std::this_thread::sleep_for(std::chrono::milliseconds(500));  // the second row has begun
    const auto start = std::chrono::steady_clock::now();
    program.signal(SIGTERM);
    EXPECT_EQ(program.wait(), 143) << read_file(dir / "log");
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
    EXPECT_EQ(test::count_lines(part), 1);
    EXPECT_FALSE(std::filesystem::exists(out));
    EXPECT_EQ(read_file(dir / "log").find("T/1"), std::string::npos) << read_file(dir / "log");
  }
}

Recording recording_of(const std::vector<std::pair<int, Json>>& calls) {
  Recording recording;
  for (const auto& [argument, expected] : calls) {
    recording.tests.push_back({{"args", Json::array({argument})}, {"expected", expected}});
    recording.inputs.push_back({std::to_string(argument), {}});
  }
  return recording;
}

TEST(PrepareTasks, EveryTestHasOnePlace) {
  for (int count = 1; count <= 7; ++count) {
    std::vector<std::pair<int, Json>> calls;
    for (int i = 0; i < count; ++i) calls.emplace_back(i, i);
    for (int i = 0; i < count; ++i) calls.emplace_back(i, i);  // as benchmarks repeat them
    const Json split = split_tests(recording_of(calls));
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
  const Json split =
      split_tests(recording_of({{1, true}, {2, true}, {3, false}, {4, true}, {5, true}}));
  ASSERT_EQ(split["val"].size(), 2u);
  EXPECT_NE(split["val"][0]["expected"], split["val"][1]["expected"]);
  const Json further = {{"args", Json::array({9})}, {"expected", true}};
  const Json swapped = split_tests(recording_of({{1, false}, {2, true}, {3, true}}), {further});
  EXPECT_EQ(swapped["val"][0]["expected"], false);
  EXPECT_EQ(swapped["public"][0]["args"][0], 2);
}

// Rows of MBPP+ as published: a program of inputs, results and a helper that compares.
std::string helper(const std::string& equal) {
  return "import numpy as np\nfrom math import inf\n\n"
         "def is_floats(x) -> bool:\n"
         "    if isinstance(x, (list, tuple)):\n"
         "        return all(isinstance(i, float) for i in x)\n"
         "    return isinstance(x, float) or isinstance(x, np.ndarray)\n\n"
         "def assertion(out, exp, atol):\n"
         "    exact_match = " +
         equal +
         "\n    if atol == 0 and is_floats(exp):\n"
         "        atol = 1e-6\n"
         "    if not exact_match and atol != 0:\n"
         "        np.testing.assert_allclose(out, exp, atol=atol)\n"
         "    else:\n"
         "        assert exact_match\n\n";
}

std::string loop_over(const std::string& inputs, const std::string& results,
                      const std::string& call) {
  return "inputs = " + inputs + "\nresults = " + results +
         "\nfor i, (inp, exp) in enumerate(zip(inputs, results)):\n    assertion(" + call +
         ", exp, 0)\n";
}

test::ProgramRun prepare_plus(const std::string& code, const std::string& base_assert,
                              const std::string& test) {
  const Json row{{"task_id", 5},
                 {"prompt", "Write it."},
                 {"code", code},
                 {"test_imports", Json::array()},
                 {"test_list", Json::array({base_assert})},
                 {"test", test}};
  return prepare("mbpp_plus", "-", row.dump() + "\n");
}

Verdict judge_official(const Json& task, const std::string& code) {
  auto request = test::call_request(code, task["entry_point"]);
  for (const auto& test : task["tests"]["official"]) request.tests.push_back(test);
  request.setup = task.value("setup", "");
  return test::shared_judge().run(request);
}

TEST(PrepareTasks, MbppPlusKeepsItsInputsAndItsTolerance) {
  const auto run =
      prepare_plus("def half(x):\n    return x / 2\n", "assert half(1.0) == 0.5",
                   helper("out == exp") + loop_over("[[1.0], [3.0], [-5], [inf]]",
                                                    "[0.5, 1.5, -2.5, inf]", "half(*inp)"));
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const Json task = test::parse_json_lines(run.out)[0];
  EXPECT_EQ(task["tests"]["official"].size(), 4u);  // the assert's input is among them
  EXPECT_EQ(task["tests"]["public"][0]["args"][0], 1.0);
  const auto passed = [&](const std::string& error) {
    return judge_official(task, "def half(x):\n    return x / 2 + " + error + "\n").passed;
  };
  EXPECT_EQ(passed("0"), 4);
  EXPECT_EQ(passed("5e-7"), 4);
  EXPECT_EQ(passed("2e-6"), 1);  // infinity stays itself
}

TEST(PrepareTasks, MbppPlusKeepsItsComparisonOfSets) {
  const std::string code = "def both(a, b):\n    return tuple(set(a) & set(b))\n";
  const std::string inputs = "[[(1, 2, 3), (2, 3)], [(1,), (2,)]]", results = "[(2, 3), ()]";
  const std::vector<std::string> tests = {
      helper("set(out) == set(exp)") + loop_over(inputs, results, "both(*inp)"),
      helper("sorted(out) == sorted(exp)") + loop_over(inputs, results, "both(*inp)"),
      "inputs = " + inputs + "\nresults = " + results +
          "\nfor inp, exp in zip(inputs, results):\n    out = both(*inp)\n"
          "    assert set(out) == set(exp), out\n"};
  for (const auto& test : tests) {
    const auto run = prepare_plus(code, "assert set(both((1, 2), (2,))) == set((2,))", test);
    ASSERT_EQ(run.exit_code, 0) << run.err;
    const Json task = test::parse_json_lines(run.out)[0];
    EXPECT_EQ(task["tests"]["official"].size(), 3u);
    const auto verdict_of = [&](const std::string& answer) {
      return judge_official(task, "def both(a, b):\n    return " + answer + "\n").row_verdict();
    };
    EXPECT_EQ(verdict_of("sorted(set(a) & set(b), reverse=True)"), "PASS");
    EXPECT_EQ(verdict_of("list(a)"), "WRONG");
  }
}

// JSON has no tuples: the asserts of the row show which lists stand for some.
TEST(PrepareTasks, ListsOfInputsAreReadAsTheAssertsWriteThem) {
  const Json row = parse_json(R"json({"task_id":"Mbpp/1","prompt":"p","entry_point":"joined",
      "canonical_solution":"def joined(a, b):\n    return a + (len(b),)\n","atol":0,
      "base_input":[[[1],[2]]],"plus_input":[[[3,[4]],[]]],"contract":"",
      "assertion":"assert joined((1,), [2]) == (1, 1)"})json",
                              "t");
  const auto run = prepare("mbpp_plus", "-", row.dump() + "\n");
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(
      test::parse_json_lines(run.out)[0]["tests"]["official"].dump(),
      R"json([{"args":[{"$tuple":[1]},[2]],"expected":{"$tuple":[1,1]}},{"args":[{"$tuple":[3,[4]]},[]],"expected":{"$tuple":[3,[4],0]}}])json");
}

TEST(PrepareTasks, AComparisonMayDependOnTheExpectedValue) {
  const auto run =
      prepare_plus("def same(x):\n    return x\n", "assert same(1) == 1",
                   "def assertion(out, exp, atol):\n"
                   "    if isinstance(exp, float) or atol:\n"
                   "        assert abs(out - exp) <= (atol or 1e-3), f'{out}'\n"
                   "    elif isinstance(exp, list):\n"
                   "        assert sorted(out) == sorted(exp)\n"
                   "    else:\n"
                   "        assert out == exp\n" +
                       loop_over("[[2.5], [[2, 1]], ['a']]", "[2.5, [1, 2], 'a']", "same(*inp)"));
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const Json official = test::parse_json_lines(run.out)[0]["tests"]["official"];
  ASSERT_EQ(official.size(), 4u);
  EXPECT_EQ(official[1]["compare"].dump(), R"({"abs":0.001,"rel":0.0})");
  EXPECT_EQ(official[2]["call"], "sorted(same([2, 1]))");
  EXPECT_EQ(official[2]["expected"].dump(), "[1,2]");
  EXPECT_EQ(official[3].dump(), R"({"args":["a"],"expected":"a"})");
}

TEST(PrepareTasks, ARowThatCannotBeReadIsNamed) {
  const auto error_of = [&](const std::string& test) {
    const auto run =
        prepare_plus("def half(x):\n    return x / 2\n", "assert half(1) == 0.5", test);
    EXPECT_EQ(run.exit_code, 1);
    EXPECT_EQ(run.out, "");
    EXPECT_NE(run.err.find("mbpp/5: not every test of the row can be recorded"), std::string::npos)
        << run.err;
    return run.err;
  };
  const auto names = [](const std::string& error, const char* what) {
    EXPECT_NE(error.find(what), std::string::npos) << error;
  };
  names(error_of(helper("out == exp or out == 0") + loop_over("[[1]]", "[0.5]", "half(*inp)")),
        "takes one of several");
  names(
      error_of("def assertion(out, exp, atol):\n    assert -out == -exp\n    assert out == exp\n" +
               loop_over("[[1]]", "[0.5]", "half(*inp)")),
      "in several ways");
  names(error_of("inputs = [[1]]\nresults = [0.5]\n"), "not understood");
  names(error_of(helper("out == exp") + loop_over("[[1]]", "[0.75]", "half(*inp)")),
        "the reference fails");
  names(error_of("inputs = [[1]\n"), "SyntaxError");
  names(error_of("for x in [1]:\n    y = half(x) + 1\n    assert y == 1.5\n"), "half(x)");
}

TEST(PrepareTasks, AnAnswerThatIsOnlyTheFunctionFindsThePromptsHelpers) {
  const Json row{
      {"task_id", "T/0"},
      {"prompt", "import math\n\ndef one():\n    return 1\n\ndef f(x):\n    \"\"\"f(x).\"\"\"\n"},
      {"canonical_solution", "    return math.floor(x) + one()\n"},
      {"entry_point", "f"},
      {"test",
       "def check(candidate):\n    assert candidate(1) == 2\n"
       "    assert candidate(2.5) == 3\n"}};
  const auto run = prepare("humaneval", "-", row.dump() + "\n");
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const Json task = test::parse_json_lines(run.out)[0];
  const std::string function = "def f(x):\n    return math.floor(x) + one()\n";
  EXPECT_EQ(judge_official(task, function).row_verdict(), "PASS");
  const std::string whole = task["setup"].get<std::string>() + function;
  EXPECT_EQ(judge_official(task, whole).row_verdict(), "PASS");
}

Json mbpp_row(const std::string& code, const std::vector<std::string>& asserts) {
  return {{"task_id", 1}, {"text", "Write it."}, {"code", code}, {"test_list", asserts}};
}

Json augmented(const Json& row, int seed = 0) {
  const auto run = test::run_program({test::program("prepare_tasks").string(), "--dataset", "mbpp",
                                      "--augment", "8", "--set", "seed=" + std::to_string(seed)},
                                     row.dump() + "\n");
  EXPECT_EQ(run.exit_code, 0) << run.err;
  return test::parse_json_lines(run.out).at(0)["tests"];
}

// Constants and an echo earn nothing.
TEST(PrepareTasks, AugmentedValExpectsSeveralValuesAndRepeatsNoTest) {
  const auto row =
      mbpp_row("def even(n):\n    return n % 2 == 0\n",
               {"assert even(4) == True", "assert even(8) == True", "assert even(20) == True"});
  const Json tests = augmented(row);
  EXPECT_GT(tests["val"].size(), 5u);
  EXPECT_LE(tests["val"].size(), 9u);
  EXPECT_EQ(tests["official"].size(), 3u);
  std::set<std::string> seen;
  std::set<bool> values;
  for (const char* list : {"public", "val", "hidden"}) {
    for (const auto& test : tests[list]) {
      EXPECT_TRUE(seen.insert(test["args"].dump()).second) << list << test;
      EXPECT_EQ(test["expected"], test["args"][0].get<int>() % 2 == 0);
    }
  }
  for (const auto& test : tests["val"]) values.insert(test["expected"].get<bool>());
  EXPECT_EQ(values.size(), 2u);
  EXPECT_EQ(augmented(row), tests);
  EXPECT_NE(augmented(row, 1), tests);
}

TEST(PrepareTasks, WhatIsNotDeterministicOrRaisesIsNoFurtherTest) {
  const auto by_chance = augmented(
      mbpp_row("import random\ndef f(n):\n    return n if n in (4, 6, 9) else random.random()\n",
               {"assert f(4) == 4", "assert f(6) == 6", "assert f(9) == 9"}));
  EXPECT_EQ(by_chance["val"].size(), 1u) << by_chance;
  // Six words or more come in the same order under two seeds of hashes once in 720 times.
  const auto by_hashes = augmented(
      mbpp_row("def f(n):\n    return ''.join({str(i) * 3 for i in range(n)}) if n > 5 else n\n",
               {"assert f(4) == 4", "assert f(5) == 5", "assert f(3) == 3"}));
  for (const auto& test : by_hashes["val"]) EXPECT_LE(test["args"][0], 5) << test;
  const auto raising =
      augmented(mbpp_row("def f(n):\n    return {4: 1, 6: 2, 9: 3}[n]\n",
                         {"assert f(4) == 1", "assert f(6) == 2", "assert f(9) == 3"}));
  EXPECT_EQ(raising["val"].size(), 1u) << raising;
}

TEST(PrepareTasks, FewValTestsAndFurtherColumnsAreNamedOnce) {
  Json row = mbpp_row("def f(n):\n    return n\n", {"assert f(1) == 1", "assert f(2) == 2"});
  row["source_file"] = "x.ipynb";
  std::string rows = row.dump() + "\n";
  row["task_id"] = 2;
  rows += row.dump() + "\n";
  const auto run = prepare("mbpp", "-", rows);
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_NE(run.err.find("2 of 2 tasks have fewer than 5 different val tests"), std::string::npos)
      << run.err;
  EXPECT_NE(run.err.find("2 of 2 tasks have too few different tests for a hidden one"),
            std::string::npos)
      << run.err;
  EXPECT_EQ(run.err.find("for a public one"), std::string::npos) << run.err;
  EXPECT_NE(run.err.find("They are mbpp/1, mbpp/2"), std::string::npos) << run.err;
  const size_t columns = run.err.find("columns that are not read: source_file (2)");
  EXPECT_NE(columns, std::string::npos) << run.err;
  EXPECT_EQ(run.err.find("columns", columns + 1), std::string::npos) << run.err;
}

TEST(PrepareTasks, RefusesUnknownDatasets) {
  const auto run = prepare("humanevil", "-");
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_NE(run.err.find("got \"humanevil\""), std::string::npos) << run.err;
}

// Data sets as published, where this machine has them.
TEST(PrepareTasks, PublishedFilesGiveATaskForEachRow) {
  const auto data = test::reference_data();
  if (data.empty()) GTEST_SKIP() << "WEFT_TEST_DATA is not set";
  struct Published {
    const char* dataset;
    const char* file;
    const char* split;
    size_t tasks;
  };
  const Published published[] = {
      {"gsm8k", "gsm8k_train.jsonl.gz", "all", 7473},
      {"gsm8k", "aflow_gsm8k_validate.jsonl", "aflow_validation", 264},
      {"math", "aflow_math_validate.jsonl", "aflow_validation", 119},
      {"hotpotqa", "aflow_hotpotqa_validate.jsonl", "aflow_validation", 200},
      {"drop", "aflow_drop_validate.jsonl", "aflow_validation", 200},
      {"mmlu_pro", "mmlu_pro_validation.jsonl", "all", 70}};
  const test::TempDir dir;
  for (const auto& [dataset, file, split, tasks] : published) {
    const std::string in = (data / "benchmarks" / file).string(), out = (dir / "tasks").string();
    const auto run = test::run_program({test::program("prepare_tasks").string(), "--dataset",
                                        dataset, "--in", in, "--out", out, "--split", split});
    EXPECT_EQ(run.exit_code, 0) << run.err;
    EXPECT_EQ(load_tasks(out).size(), tasks) << file;
    const Json source = read_json_file(out + ".source.json");
    EXPECT_EQ(source["tasks"], tasks);
    EXPECT_EQ(source["files"][0]["sha256"].get<std::string>().size(), 64u);
  }
}

TEST(PrepareTasks, WhatTasksWereMadeFromLiesBesideThem) {
  const test::TempDir dir;
  const std::string in = (dir / "rows").string(), out = (dir / "tasks").string();
  write_file_atomically(in,
                        "{\"question\":\"Q\",\"answer\":\"1\"}\n"
                        "{\"question\":\"Q\",\"answer\":\"2\"}\n");
  const auto run = test::run_program(
      {test::program("prepare_tasks").string(), "--dataset", "gsm8k", "--in", in, "--out", out});
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_NE(run.err.find("gsm8k/1 as gsm8k/0"), std::string::npos) << run.err;
  const Json source = read_json_file(out + ".source.json");
  EXPECT_EQ(source["licence"], "MIT");
  EXPECT_EQ(source["tasks"], 2);
  EXPECT_EQ(source["files"][0]["rows"], 2);
  EXPECT_EQ(source["files"][0]["sha256"],
            "4c0e39c6d71eca225fe16fccc06ee9f202e9574aa15a3ae35c30b89bf3476101");  // by sha256sum
}

TEST(PrepareTasks, AFileThatIsOneValueGivesATaskForEachOfItsRows) {
  const test::TempDir dir;
  const std::string in = (dir / "dev.json").string(), out = (dir / "tasks").string();
  const auto question = [](const char* id, const Json& spans) {
    return Json{{"question", "Who?"},
                {"query_id", id},
                {"answer", {{"number", ""}, {"date", Json::object()}, {"spans", spans}}}};
  };
  const Json passages = {
      {"nfl_1",
       {{"passage", "P."},
        {"qa_pairs",
         {question("a", {"X", "Y"}), question("b", Json::array()), question("c", {"Z"})}}}}};
  write_file_atomically(in, passages.dump(1));
  const auto run = test::run_program(
      {test::program("prepare_tasks").string(), "--dataset", "drop", "--in", in, "--out", out});
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_NE(run.err.find("dev.json: nfl_1: question 2: expected an answer"), std::string::npos)
      << run.err;
  const auto tasks = load_tasks(out);
  ASSERT_EQ(tasks.size(), 2u);
  EXPECT_EQ(tasks[0].answer, "X\nY");
  EXPECT_EQ(tasks[1].id, "c");
  EXPECT_EQ(read_json_file(out + ".source.json")["files"][0]["rows"], 3);
}

TEST(PrepareTasks, ASplitOfAflowsIsWholeOrRefused) {
  const std::string row = "{\"question\":\"Q\",\"answer\":\"1\"}\n";
  const auto run_of = [&](const std::string& dataset, const std::string& split) {
    return test::run_program({test::program("prepare_tasks").string(), "--dataset", dataset, "--in",
                              "-", "--split", split},
                             row);
  };
  const auto part = run_of("gsm8k", "aflow_test");
  EXPECT_EQ(part.exit_code, 1);
  EXPECT_NE(part.err.find("AFlow's validation has 264 rows of gsm8k and its test 1055"),
            std::string::npos)
      << part.err;
  EXPECT_EQ(run_of("drop", "aflow_test").exit_code, 2);
  EXPECT_EQ(run_of("mmlu", "aflow_validation").exit_code, 2);
  EXPECT_EQ(run_of("gsm8k", "train").exit_code, 2);
}

TEST(PrepareTasks, DryRunNamesEverythingThatKeepsItFromStarting) {
  const auto run =
      test::run_program({test::program("prepare_tasks"), "--dry-run", "--dataset", "gsm8k", "--in",
                         "a.jsonl,b.jsonl", "--out", "no_folder/out"});
  EXPECT_EQ(run.exit_code, 2);
  for (const char* problem :
       {"in: expected a file, got a.jsonl", "in: expected a file, got b.jsonl",
        "out: no_folder/out cannot be made"}) {
    EXPECT_NE(run.err.find(problem), std::string::npos) << problem << "\n" << run.err;
  }
}

TEST(PrepareTasks, EverySizeOfItsConfigIsBounded) {
  test::expect_bounded_sizes<PrepareTasksConfig>({{"dataset", "humaneval"}},
                                                 {"threads", "memory_mb"});
}

}  // namespace
}  // namespace weft
