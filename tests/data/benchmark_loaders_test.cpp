// Rows in the form that each benchmark's publishers give them, written for this test.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "data/benchmarks/aflow_splits.h"
#include "data/benchmarks/benchmark.h"
#include "data/benchmarks/row_fields.h"
#include "tests/support/input_error.h"

namespace weft {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

BenchmarkRow load(const std::string& dataset, const std::string& row, int64_t index = 0) {
  return parse_benchmark_row(dataset, parse_json(row, "row"), "rows.jsonl:3", index);
}

std::string error_of(const std::string& dataset, const std::string& row) {
  return test::input_error([&] { load(dataset, row); });
}

struct AnswerCase {
  const char* dataset;
  const char* row;
  const char* id;
  TaskKind kind;
  const char* prompt;
  const char* answer;
};

const AnswerCase kAnswers[] = {
    {"gsm8k", R"({"question":"How many?","answer":"2 + 1,232 = <<2+1232=1234>>1234.\n#### 1,234"})",
     "gsm8k/7", TaskKind::kMath, "How many?", "1234"},
    {"gsm8k", R"({"question":"How many?","answer":"36","cot":"4 * 9","id":"gsm8k-test-677"})",
     "gsm8k-test-677", TaskKind::kMath, "How many?", "36"},
    {"gsm_hard", R"({"input":"How much?","code":"def solution(): ...","target":-2508.5})",
     "gsm_hard/7", TaskKind::kMath, "How much?", "-2508.5"},
    {"gsm_hard", R"({"input":"How much?","code":"","target":4377310.0})", "gsm_hard/7",
     TaskKind::kMath, "How much?", "4377310"},
    {"math",
     R"({"problem":"Find x.","level":"Level 5","type":"Algebra","solution":"\\boxed{1}, no: \\boxed{\\frac{\\sqrt{2}}{2}}."})",
     "math/7", TaskKind::kMath, "Find x.", R"(\frac{\sqrt{2}}{2})"},
    {"math500",
     R"({"problem":"Find x.","solution":"...","answer":"p - q","subject":"Algebra","level":5,"unique_id":"test/algebra/1.json"})",
     "test/algebra/1.json", TaskKind::kMath, "Find x.", "p - q"},
    {"aime", R"({"ID":"2024-II-4","Problem":"Find m+n.","Solution":"...","Answer":33})",
     "2024-II-4", TaskKind::kMath, "Find m+n.", "33"},
    {"aime", R"({"question":"Find m+n.","answer":"025"})", "aime/7", TaskKind::kMath, "Find m+n.",
     "25"},
    {"hotpotqa",
     R"({"_id":"5a76","answer":"yes","question":"Is it?","supporting_facts":[["A",0]],"context":[["A",["One."," Two."]],["B",["Three."]]],"type":"comparison","level":"hard"})",
     "5a76", TaskKind::kQa, "A: One. Two.\n\nB: Three.\n\nQuestion: Is it?", "yes"},
    {"hotpotqa",
     R"({"id":"5a77","answer":"no","question":"Is it?","context":{"title":["A"],"sentences":[["One."," Two."]]}})",
     "5a77", TaskKind::kQa, "A: One. Two.\n\nQuestion: Is it?", "no"},
    {"drop",
     R"({"context":"Passage: P.\nQuestion: Q?\nAnswer:","ref_text":"20|20 yards","completion":" 20","id":4032})",
     "drop/4032", TaskKind::kQa, "Passage: P.\nQuestion: Q?\nAnswer:", "20|20 yards"},
    {"drop",
     R"({"section_id":"nfl_1","query_id":"q-1","passage":"P.","question":"Q?","answers_spans":{"spans":["20","20","20 yards"],"types":["number","number","span"]}})",
     "q-1", TaskKind::kQa, "Passage: P.\nQuestion: Q?", "20|20 yards"},
    {"mmlu", R"({"question":"Which?","subject":"law","choices":["a","b","c","d"],"answer":2})",
     "mmlu/7", TaskKind::kChoice, "Which?\nA. a\nB. b\nC. c\nD. d", "C"},
    {"mmlu_pro",
     R"({"question_id":70,"question":"Which?","options":["a","b","c","d","e","N/A","N/A"],"answer":"E","answer_index":4,"cot_content":"","category":"law","src":"x"})",
     "mmlu_pro/70", TaskKind::kChoice, "Which?\nA. a\nB. b\nC. c\nD. d\nE. e", "E"},
    {"jsonl", R"({"question":"Who?","answer":"Ada","meta":{"by":"me"}})", "jsonl/7", TaskKind::kQa,
     "Who?", "Ada"},
    {"jsonl", R"({"id":"k","prompt":"1+1?","answer":2,"kind":"math"})", "k", TaskKind::kMath,
     "1+1?", "2"},
    {"jsonl", R"({"prompt":"Which?","options":["red","blue"],"answer":"blue"})", "jsonl/7",
     TaskKind::kChoice, "Which?\nA. red\nB. blue", "B"},
};

TEST(BenchmarkLoaders, RowsGiveQuestionAndGold) {
  for (const AnswerCase& c : kAnswers) {
    const BenchmarkRow row = load(c.dataset, c.row, 7);
    EXPECT_EQ(row.id, c.id) << c.row;
    EXPECT_EQ(row.kind, c.kind) << c.row;
    EXPECT_EQ(row.prompt, c.prompt) << c.row;
    EXPECT_EQ(row.answer, c.answer) << c.row;
    EXPECT_TRUE(row.references.empty()) << c.row;
    EXPECT_TRUE(row.unread.empty()) << c.row;
    const Task task = parse_task(given_task(c.dataset, row), "task");
    EXPECT_EQ(task.answer, c.answer) << "reads as a task: " << c.row;
  }
}

std::string gpqa_row(int number) {
  const std::string id = "rec" + std::to_string(number);
  return R"({"Record ID":")" + id +
         R"(","Question":"Which?","Correct Answer":"right\n","Incorrect Answer 1":"x",)"
         R"("Incorrect Answer 2":"y","Incorrect Answer 3":"z","Subdomain":"Optics"})";
}

TEST(BenchmarkLoaders, GpqaHasEveryLetterAndTheSameOneEachTime) {
  std::map<std::string, int> letters;
  for (int i = 0; i < 400; ++i) {
    const BenchmarkRow row = load("gpqa", gpqa_row(i));
    EXPECT_EQ(row.answer, load("gpqa", gpqa_row(i)).answer);
    EXPECT_THAT(row.prompt, HasSubstr("\n" + row.answer + ". right"));
    ++letters[row.answer];
  }
  // 400 draws of 4: three standard deviations of a binomial are 26.
  ASSERT_EQ(letters.size(), 4u);
  for (const auto& [letter, count] : letters) EXPECT_NEAR(count, 100, 26) << letter;
}

TEST(BenchmarkLoaders, ProgramsAndCallsComeWithTheirTests) {
  const auto programs = load("apps", R"({"problem_id":4,"question":"Add.","solutions":"[]",
      "input_output":"{\"inputs\": [\"1 2\\n\", [\"3\", \"4\"]], \"outputs\": [\"3\\n\", [\"7\"]]}",
      "difficulty":"interview","url":"u","starter_code":""})");
  EXPECT_EQ(programs.id, "apps/4");
  EXPECT_EQ(programs.entry_point, "");
  ASSERT_EQ(programs.tests.size(), 2u);
  EXPECT_EQ(programs.tests[1], (Json{{"input", "3\n4\n"}, {"output", "7\n"}}));
  const auto calls = load("taco", R"({"question":"Add.","input_output":
      {"inputs":[[1,2]],"outputs":[[3]],"fn_name":"add"},"starter_code":"class Solution:\n    def add(self, a, b):",
      "difficulty":"EASY","solutions":"[]","source":"s","tags":"[]"})");
  EXPECT_EQ(calls.entry_point, "Solution().add");
  EXPECT_EQ(calls.tests.at(0).dump(),
            R"({"args":[1,2],"expected":3,"compare":"lenient_sequences"})");
  const auto lists = load("taco", R"({"question":"Sort.","input_output":
      {"inputs":[[[2,1]],[[7]]],"outputs":[[1,2],[7]],"fn_name":"f"},"starter_code":""})");
  EXPECT_EQ(lists.tests.at(1)["expected"].dump(), "[7]") << "a list of one among others is a list";
  const auto contest = load("codecontests", R"({"name":"1_A","description":"Add.",
      "public_tests":{"input":["1 2"],"output":["3"]},
      "private_tests":{"input":["2 2","3 3"],"output":["4","6"]},
      "generated_tests":{"input":["3 3","9 9"],"output":["6","18"]}})");
  const Json task = given_task("codecontests", contest);
  EXPECT_EQ(task["tests"]["public"].size(), 1u);
  EXPECT_EQ(task["tests"]["official"].size(), 4u) << "one of two tests on the same input";
  EXPECT_EQ(task["tests"]["val"].size() + task["tests"]["hidden"].size(), 3u);
  EXPECT_EQ(parse_task(task, "task").val_tests.size(), 2u);
}

// base64 of zlib of a pickle, as published: made by Python's own modules from
// '[{"input": "[1, 2]\\n3", "output": "4", "testtype": "functional"}]'.
constexpr const char* kPickled =
    "eJxrYJnqygABPY7R1UqZeQWlJUpWCkrRhjoKRrExecZKOgpK+"
    "aUlUGETELcktbikpLIgFSSQVpqXXJKZn5eYo1QbO0UPAEWxFwo=";

TEST(BenchmarkLoaders, LiveCodeBenchsPrivateTestsAreUnpacked) {
  const std::string head =
      R"({"question_title":"T","question_content":"Do it.","question_id":"abc","platform":"leetcode",)"
      R"("starter_code":"class Solution:\n    def f(self, a, b):","metadata":"{\"func_name\": \"f\"}",)"
      R"("public_test_cases":"[{\"input\": \"[0]\\n1\", \"output\": \"[2, 3]\", \"testtype\": \"functional\"}]",)"
      R"("private_test_cases":")";
  const auto row = load("livecodebench", head + kPickled + "\"}");
  EXPECT_EQ(row.entry_point, "Solution().f");
  ASSERT_EQ(row.tests.size(), 1u);
  EXPECT_EQ(row.tests[0]["args"].dump(), "[[1,2],3]");
  EXPECT_EQ(row.tests[0]["expected"], 4);
  EXPECT_EQ(row.shown.at(0)["expected"].dump(), "[2,3]");
  for (const char* broken : {"AAAA", "eJwDAAAAAAE=", "not base64!", "eJxr"}) {
    EXPECT_THAT(error_of("livecodebench", head + broken + "\"}"), StartsWith("rows.jsonl:3"))
        << broken;
  }
}

TEST(BenchmarkLoaders, WhatIsNoRowIsRefusedByFileAndLine) {
  const std::pair<const char*, const char*> bad[] = {
      {"gsm8k", R"({"question":"Q","answer":"no number"})"},
      {"gsm8k", R"({"answer":"#### 3"})"},
      {"gsm_hard", R"({"input":"Q","target":"many"})"},
      {"math", R"({"problem":"P","solution":"no box","level":"Level 1","type":"Algebra"})"},
      {"aime", R"({"problem":"P","answer":"1000"})"},
      {"aime", R"({"problem":"P","answer":"-1"})"},
      {"hotpotqa", R"({"_id":"x","question":"Q","answer":"a","context":[["t"]]})"},
      {"hotpotqa",
       R"({"_id":"x","question":"Q","answer":"a","context":{"title":["a"],"sentences":[]}})"},
      {"drop", R"({"context":"C","ref_text":""})"},
      {"drop", R"({"query_id":"q","passage":"P","question":"Q","answers_spans":{"spans":[]}})"},
      {"mmlu", R"({"question":"Q","choices":["a","b"],"answer":2})"},
      {"mmlu", R"({"question":"Q","choices":["a","b"],"answer":-1})"},
      {"mmlu", R"({"question":"Q","choices":["a","a"],"answer":1})"},
      {"mmlu_pro",
       R"({"question_id":1,"question":"Q","options":["a","b"],"answer":"A","answer_index":1})"},
      {"gpqa", R"({"Record ID":"r","Question":"Q","Correct Answer":"a"})"},
      {"jsonl", R"({"prompt":"Q"})"},
      {"jsonl", R"({"prompt":"Q","answer":"a","kind":"code"})"},
      {"jsonl", R"({"prompt":"Q","anwser":"a"})"},
      {"jsonl", R"({"prompt":"Q","options":["a","b"],"answer":"c"})"},
      {"apps",
       R"({"problem_id":1,"question":"Q","input_output":"{\"inputs\":[\"1\"],\"outputs\":[]}"})"},
      {"apps", R"({"problem_id":1,"question":"Q","input_output":"no json"})"},
      {"codecontests",
       R"({"name":"n","description":"d","public_tests":{"input":["1"],"output":["1"]}})"},
  };
  for (const auto& [dataset, row] : bad) {
    EXPECT_THAT(error_of(dataset, row), StartsWith("rows.jsonl:3: ")) << dataset << " " << row;
  }
}

TEST(BenchmarkLoaders, EveryBenchmarkHasALicenceAndIsListed) {
  for (const char* name : {"humaneval", "humaneval_plus", "mbpp", "mbpp_plus", "livecodebench",
                           "codecontests", "apps", "taco", "gsm8k", "gsm_hard", "math", "math500",
                           "aime", "hotpotqa", "drop", "mmlu", "mmlu_pro", "gpqa", "jsonl"}) {
    ASSERT_TRUE(is_benchmark(name));
    EXPECT_NE(benchmark_licence(name), "");
    EXPECT_THAT(benchmark_names(), HasSubstr(name));
  }
  EXPECT_FALSE(is_benchmark("mmlu_redux"));
}

TEST(BenchmarkLoaders, AflowsSplitsAreOfThePublishedSizes) {
  const std::pair<const char*, int64_t> sizes[] = {{"humaneval", 33}, {"mbpp", 86},
                                                   {"gsm8k", 264},    {"math", 119},
                                                   {"hotpotqa", 200}, {"drop", 200}};
  for (const auto& [dataset, validation] : sizes) {
    EXPECT_EQ(std::ssize(aflow_split(dataset)->validation), validation) << dataset;
    EXPECT_TRUE(std::is_sorted(aflow_split(dataset)->validation.begin(),
                               aflow_split(dataset)->validation.end()));
  }
  EXPECT_TRUE(aflow_split("humaneval")->has("HumanEval/135"));
  EXPECT_FALSE(aflow_split("humaneval")->has("HumanEval/0"));
  EXPECT_FALSE(aflow_split("mmlu").has_value());
}

}  // namespace
}  // namespace weft
