// BigCodeBench's rows, whose tests are methods of unittest.
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "data/task.h"
#include "tests/sandbox/jail_support.h"
#include "tests/support/json_lines.h"
#include "tests/support/support.h"

namespace weft {
namespace {

Json row_of(const std::string& id, const std::string& method) {
  return {{"task_id", id},
          {"complete_prompt", "import math\n\ndef task_func(x):\n    \"\"\"Root.\"\"\"\n"},
          {"instruct_prompt", "Root."},
          {"canonical_solution", "    return math.isqrt(x)\n"},
          {"code_prompt", "import math\ndef task_func(x):\n"},
          {"test",
           "import unittest\nfrom unittest.mock import patch\n"
           "class TestCases(unittest.TestCase):\n"
           "    def setUp(self):\n        self.root = 3\n"
           "    def test_case_1(self):\n        self.assertEqual(task_func(9), self.root)\n"
           "    def test_case_2(self):\n        with self.assertRaises(Exception):\n"
           "            task_func(-1)\n" +
               method},
          {"entry_point", "task_func"},
          {"doc_struct", "{}"},
          {"libs", "['math']"}};
}

// A mock in the checker's process is none in the answer's.
TEST(UnitTestRows, AreAskedFromAProcessOfTheirOwnOrTheRowIsNamed) {
  const Json plain = row_of(
      "BigCodeBench/0", "    def test_case_3(self):\n        self.assertEqual(task_func(10), 3)\n");
  const Json patched =
      row_of("BigCodeBench/1",
             "    @patch('math.isqrt', return_value=7)\n"
             "    def test_case_3(self, mock):\n        self.assertEqual(task_func(9), 7)\n");
  const auto run = test::run_program(
      {test::program("prepare_tasks").string(), "--dataset", "bigcodebench", "--in", "-"},
      plain.dump() + "\n" + patched.dump() + "\n");
  EXPECT_EQ(run.exit_code, 1);
  const auto tasks = test::parse_json_lines(run.out);
  ASSERT_EQ(tasks.size(), 1u) << run.err;
  const Json& tests = tasks[0]["tests"];
  EXPECT_EQ(tests["public"].dump(), R"([{"class":"TestCases","method":"test_case_1"}])");
  EXPECT_EQ(tests["val"].size(), 1u);
  EXPECT_EQ(tests["hidden"].size(), 1u);
  EXPECT_EQ(tests["official"].size(), 3u);
  EXPECT_EQ(tasks[0]["setup"], "import math\n");
  EXPECT_NE(run.err.find("BigCodeBench/1: its tests cannot be asked from a process of their own: "
                         "the reference passes 2 of 3"),
            std::string::npos)
      << run.err;
  const Task task = parse_task(tasks[0], "t");
  for (const auto& [body, passed] :
       {std::pair("    return int(x ** 0.5)\n", 3), std::pair("    return 3\n", 2),
        std::pair("    import os\n    return math.isqrt(x) if x >= 0 else os._exit(0)\n", 2)}) {
    JudgeRequest request =
        test::call_request("def task_func(x):\n" + std::string(body), task.entry_point);
    request.setup = task.setup;
    request.checker = task.checker;
    request.mode = Mode::kJudge;
    request.tests.assign(tests["official"].begin(), tests["official"].end());
    EXPECT_EQ(test::shared_judge().run(request).passed, passed) << body;
  }
}

// Prepares rows whose last method is each of `methods`; gives standard error, and the tasks' ids.
std::string refusals(const std::vector<std::string>& methods, std::set<std::string>& taken) {
  std::string lines;
  for (size_t i = 0; i < methods.size(); ++i) {
    lines += row_of("B/" + std::to_string(i), methods[i]).dump() + "\n";
  }
  const auto run = test::run_program(
      {test::program("prepare_tasks").string(), "--dataset", "bigcodebench", "--in", "-"}, lines);
  for (const Json& task : test::parse_json_lines(run.out)) taken.insert(task["id"]);
  return run.err;
}

TEST(UnitTestRows, ARowWhoseTestsUnittestReadsOtherwiseIsNamed) {
  const std::string wrong = "self.assertEqual(task_func(4), 99)\n";
  const std::vector<std::string> methods = {
      "    async def test_x(self):\n        " + wrong,
      "    test_x = lambda self: " + wrong,
      "    if True:\n        def test_x(self):\n            " + wrong,
      "    @unittest.skip('x')\n    def test_x(self):\n        " + wrong,
      "    @unittest.expectedFailure\n    def test_x(self):\n        " + wrong,
      "class TestCases(unittest.TestCase):\n    def test_z(self):\n        pass\n",
      "def check(a, b):\n    return a == b\n"};
  std::set<std::string> taken;
  const std::string err = refusals(methods, taken);
  EXPECT_TRUE(taken.empty()) << err;
  for (size_t i = 0; i < methods.size(); ++i) {
    EXPECT_NE(err.find("B/" + std::to_string(i) + ": its tests cannot be asked"), std::string::npos)
        << err;
  }
  EXPECT_NE(err.find("B/0: its tests cannot be asked from a process of their own: unittest finds "
                     "other tests"),
            std::string::npos)
      << err;
}

// What an answer does to its arguments happens in another process.
TEST(UnitTestRows, ATestThatLooksAtAnArgumentAgainIsNoTest) {
  const auto method = [](const std::string& look) {
    return "    def test_x(self):\n        a = [9, 16]\n        task_func(a[0] if a else 9)\n"
           "        try:\n            task_func(a)\n        except CandidateError:\n"
           "            pass\n        " +
           look + "\n";
  };
  const std::vector<std::string> methods = {
      method("self.assertEqual(a, [9, 16])"),  method("self.assertTrue(a)"),
      method("self.assertLess(len(a), 5)"),    method("self.assertNotIn(7, a)"),
      method("self.assertGreater(len(a), 1)"), method("self.assertEqual(task_func(25), 5)")};
  std::set<std::string> taken;
  const std::string err = refusals(methods, taken);
  EXPECT_EQ(taken, std::set<std::string>{"B/5"}) << err;
  EXPECT_NE(err.find("B/4: its tests cannot be asked from a process of their own: test_x looks at "
                     "an argument after the call"),
            std::string::npos)
      << err;
}

}  // namespace
}  // namespace weft
