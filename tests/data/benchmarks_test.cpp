#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "data/benchmarks/benchmark.h"
#include "tests/support/input_error.h"

namespace weft {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using Form = ReferenceTask::Form;

Json humaneval_row() {
  return {
      {"task_id", "T/0"},
      {"prompt", "import math\n\ndef one():\n    return 1\n\ndef f(x):\n    \"\"\"f(x).\"\"\"\n"},
      {"canonical_solution", "    return x + one()\n"},
      {"entry_point", "f"},
      {"test", "def check(candidate):\n    assert candidate(1) == 2\n"}};
}

Json mbpp_row() {
  return {{"task_id", 7},
          {"text", "Write it."},
          {"code", "def f(x):\n    return x\n"},
          {"test_list", Json::array({"assert f(1) == 1"})}};
}

std::string error_of(const std::string& dataset, const Json& row) {
  return test::input_error([&] { parse_benchmark_row(dataset, row, "rows.jsonl:3"); });
}

TEST(Benchmarks, APromptsImportsAndHelpersAreTheSetupOfAnswers) {
  Json row = humaneval_row();
  EXPECT_EQ(parse_benchmark_row("humaneval", row, "t").setup,
            "import math\n\ndef one():\n    return 1\n");
  row["prompt"] = "def f(x):\n    \"\"\"Calls def f(x): not at a line's start.\"\"\"\n";
  EXPECT_EQ(parse_benchmark_row("humaneval", row, "t").setup, "");
}

TEST(Benchmarks, MbppsFieldsOfTestsAreAllRead) {
  Json row = mbpp_row();
  row["test_setup_code"] = "y = 1";
  row["test_imports"] = Json::array({"import math"});
  row["challenge_test_list"] = Json::array({"assert f(2) == 2"});
  row["test"] = "def check():\n    assert f(3) == 3\n";
  const auto parsed = parse_benchmark_row("mbpp", row, "t");
  EXPECT_EQ(parsed.id, "mbpp/7");
  EXPECT_EQ(parsed.prompt, "Write it.\nYour code should pass this test:\nassert f(1) == 1\n");
  ASSERT_EQ(parsed.references.size(), 2u);
  EXPECT_EQ(parsed.references[0].before, "y = 1\nimport math\n");
  EXPECT_THAT(parsed.references[0].tests, ElementsAre("assert f(1) == 1", "assert f(2) == 2"));
  EXPECT_EQ(parsed.references[1].form, Form::kProgram);
  EXPECT_THAT(parsed.references[1].tests, ElementsAre(HasSubstr("f(3) == 3")));
}

TEST(Benchmarks, PlusRowsGiveTheirInputsInEitherPublishedForm) {
  Json lists = humaneval_row();
  lists["base_input"] = parse_json("[[1]]", "t");
  lists["plus_input"] = parse_json("[[2],[3]]", "t");
  lists["atol"] = 0.5;
  lists["contract"] = "    assert x > 0\n";
  const auto humaneval = parse_benchmark_row("humaneval_plus", lists, "t");
  ASSERT_EQ(humaneval.references.size(), 2u);
  EXPECT_EQ(humaneval.references[1].inputs.size(), 3u);
  EXPECT_EQ(humaneval.references[1].absolute_tolerance, 0.5);
  EXPECT_THAT(humaneval.guarded_code, HasSubstr("assert x > 0\n    return x"));
  Json program = mbpp_row();
  program["test"] = "inputs = [[1]]\nresults = [1]\n";
  EXPECT_EQ(parse_benchmark_row("mbpp_plus", program, "t").references.at(1).form, Form::kProgram);
  const Json release =
      parse_json(R"({"task_id":"Mbpp/2","prompt":"Write it.","entry_point":"Diff","atol":0,
                     "canonical_solution":"def Diff(x): return x","base_input":[[1]],
                     "plus_input":[[2]],"contract":"","assertion":"assert Diff(1) == 1"})",
                 "t");
  const auto mbpp = parse_benchmark_row("mbpp_plus", release, "t");
  ASSERT_EQ(mbpp.references.size(), 2u);
  EXPECT_EQ(mbpp.references[1].shape, "set(__call__)");
}

// The base asserts alone were once taken for MBPP+.
TEST(Benchmarks, APlusRowWithoutFurtherInputsIsRefusedByName) {
  EXPECT_THAT(error_of("mbpp_plus", mbpp_row()),
              AllOf(HasSubstr("rows.jsonl:3: 7: expected the further inputs"), HasSubstr("mbpp")));
  EXPECT_THAT(error_of("humaneval_plus", humaneval_row()),
              HasSubstr("rows.jsonl:3: T/0: expected the further inputs"));
}

TEST(Benchmarks, EachMethodOfAUnitTestIsATest) {
  Json row{
      {"task_id", "BigCodeBench/7"},
      {"complete_prompt", "import csv\ndef task_func(path):\n    pass\n"},
      {"canonical_solution", "    return 1\n"},
      {"entry_point", "task_func"},
      {"libs", {"csv"}},
      {"test",
       "import unittest\nclass Base:\n    def helper(self):\n        pass\n"
       "class TestA(unittest.TestCase):\n    def setUp(self):\n        def test_inner(): pass\n"
       "    def test_1(self):\n        pass\nclass TestB(unittest.TestCase):\n"
       "    def test_1(self):\n        pass\n"}};
  const BenchmarkRow parsed = parse_benchmark_row("bigcodebench", row, "rows:1");
  EXPECT_EQ(parsed.id, "BigCodeBench/7");
  EXPECT_EQ(parsed.setup, "import csv\n");
  EXPECT_TRUE(parsed.references.empty());
  ASSERT_EQ(parsed.tests.size(), 2u);
  EXPECT_EQ(parsed.tests[1].dump(), R"({"class":"TestB","method":"test_1"})");
  EXPECT_NE(parsed.checker.find("globals()[\"task_func\"] = call"), std::string::npos);
  EXPECT_EQ(given_task("bigcodebench", parsed)["tests"]["official"].size(), 2u);
  ASSERT_EQ(parsed.trials.size(), 3u);
  EXPECT_EQ(parsed.trials[0].test["methods"].size(), 2u);
  const std::string methods = row["test"];
  row["test"] = methods + "        self.assertIsNot(task_func(self.x), self.x)\n";
  EXPECT_THROW(parse_benchmark_row("bigcodebench", row, "rows:1"), InputError);
  row["test"] = "import unittest\n";
  EXPECT_THROW(parse_benchmark_row("bigcodebench", row, "rows:1"), InputError);
  row.erase("test");
  EXPECT_THROW(parse_benchmark_row("bigcodebench", row, "rows:1"), InputError);
}

TEST(Benchmarks, AFieldThatSeemsToHoldTestsIsReadOrRefused) {
  for (const char* name : {"plus_input", "hidden_tests", "expected_output", "Checks"}) {
    for (const std::string dataset : {"mbpp", "humaneval"}) {
      Json row = dataset == "mbpp" ? mbpp_row() : humaneval_row();
      row[name] = parse_json("[[1]]", "t");
      EXPECT_THAT(error_of(dataset, row), HasSubstr(std::string("field \"") + name + "\" seems"));
      row[name] = Json::array();
      EXPECT_EQ(error_of(dataset, row), "no error");
    }
  }
  Json row = mbpp_row();
  row["extra"] = "y = 1\nassert f(4) == 4\n";
  EXPECT_THAT(error_of("mbpp", row), HasSubstr("field \"extra\" seems"));
  row["extra"] = Json::array({"assert f(4) == 4"});
  EXPECT_THAT(error_of("mbpp", row), HasSubstr("field \"extra\" seems"));
}

TEST(Benchmarks, FurtherColumnsAreListed) {
  Json row = mbpp_row();
  row["source_file"] = "x.ipynb";
  row["difficulty"] = 3;
  EXPECT_EQ(list_fields(parse_benchmark_row("mbpp", row, "t").unread),
            "difficulty (1), source_file (1)");
  row["entry_pont"] = "f";
  EXPECT_THAT(error_of("mbpp", row), HasSubstr("(did you mean \"entry_point\"?)"));
}

TEST(Benchmarks, ARowOfAnotherFormIsRefused) {
  EXPECT_THAT(error_of("mbpp", {{"task_id", 1}}), HasSubstr("rows.jsonl:3: field \"code\""));
  EXPECT_THAT(error_of("mbpp", Json(3)), HasSubstr("rows.jsonl:3: expected an object, got"));
  Json row = mbpp_row();
  row["test_list"] = Json::array({3});
  EXPECT_THAT(error_of("mbpp", row), HasSubstr("test_list: expected an array of strings"));
}

}  // namespace
}  // namespace weft
