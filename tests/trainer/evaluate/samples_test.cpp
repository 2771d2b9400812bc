#include "trainer/evaluate/samples.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "tests/support/input_error.h"
#include "tests/support/support.h"

namespace weft {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class SampleFile : public ::testing::Test {
 protected:
  SampleFile() : tasks_(2) {
    tasks_[0].id = "HumanEval/0";
    tasks_[0].prompt = "def f(x):\n";
    tasks_[1].id = "mbpp/2";
    tasks_[1].prompt = "Write a function g.";
  }

  Samples load(const std::string& text) {
    std::ofstream(dir_ / "s.jsonl") << text;
    return load_samples(dir_ / "s.jsonl", tasks_,
                        [](const Task& task) { return task.id == "HumanEval/0"; });
  }

  std::string error_of(const std::string& text) {
    return test::input_error([&] { load(text); });
  }

  test::TempDir dir_;
  std::vector<Task> tasks_;
};

TEST_F(SampleFile, CompletionFollowsAPromptThatIsCodeAndElseStandsAlone) {
  const Samples samples = load(
      "{\"task_id\": \"mbpp/2\", \"completion\": \"def g(): pass\"}\n"
      "{\"task_id\": \"HumanEval/0\", \"completion\": \"    return x\"}\n"
      "{\"task_id\": \"HumanEval/0\", \"completion\": \"    return 2\", \"rank\": 7}\n");
  EXPECT_THAT(samples.at("HumanEval/0"),
              ElementsAre("def f(x):\n    return x", "def f(x):\n    return 2"));
  EXPECT_THAT(samples.at("mbpp/2"), ElementsAre("def g(): pass"));
}

TEST_F(SampleFile, SolutionIsTheWholeProgram) {
  EXPECT_THAT(load("{\"task_id\": \"HumanEval/0\", \"solution\": \"def f(x): return x\"}")
                  .at("HumanEval/0"),
              ElementsAre("def f(x): return x"));
}

TEST_F(SampleFile, SetupStandsBeforeACompletionThatFollowsNoPrompt) {
  for (Task& task : tasks_) task.setup = "import math";
  const Samples samples = load(
      "{\"task_id\": \"mbpp/2\", \"completion\": \"def g(): pass\"}\n"
      "{\"task_id\": \"mbpp/2\", \"solution\": \"def g(): pass\"}\n"
      "{\"task_id\": \"HumanEval/0\", \"completion\": \"    return x\"}\n");
  EXPECT_THAT(samples.at("mbpp/2"), ElementsAre("import math\ndef g(): pass", "def g(): pass"));
  EXPECT_THAT(samples.at("HumanEval/0"), ElementsAre("def f(x):\n    return x"));
}

TEST_F(SampleFile, RowsThatCannotBeReadAreNamed) {
  EXPECT_THAT(error_of("{\"task_id\": \"humaneval/0\", \"completion\": \"\"}"),
              AllOf(HasSubstr("s.jsonl:1: task_id: expected the id of a task"),
                    HasSubstr("such as \"HumanEval/0\", got \"humaneval/0\"")));
  EXPECT_THAT(error_of("\n{\"task_id\": \"mbpp/2\"}"),
              HasSubstr("s.jsonl:2: field \"completion\""));
  EXPECT_THAT(error_of("{\"task_id\": 2, \"completion\": \"\"}"), HasSubstr("a string"));
  EXPECT_THAT(error_of("{\"task_id\": \"mbpp/2\", \"solution\": null}"), HasSubstr("solution"));
  EXPECT_THAT(error_of("{\"task_id\": \"mbpp/2\", \"completion\": \"\", \"soluton\": \"\"}"),
              HasSubstr("s.jsonl:1: field \"soluton\" is unknown (did you mean \"solution\"?)"));
  EXPECT_THAT(error_of("{\"task_id"), HasSubstr("s.jsonl:1"));
  EXPECT_THAT(error_of("\n"), HasSubstr("expected samples, got no row"));
}

TEST(Samples, PromptThatBeginsTheFunctionIsRecognised) {
  Task task;
  task.entry_point = "f";
  const auto parses = [](const std::string& text) {
    return text.find("prose") == std::string::npos;
  };
  const auto declares = [&](const std::string& prompt) {
    task.prompt = prompt;
    return declares_entry_point(task, parses);
  };
  EXPECT_TRUE(declares("import math\n\ndef f(x: int) -> int:\n    \"\"\"Doubles.\"\"\"\n"));
  EXPECT_TRUE(declares("def f(x):\n"));
  EXPECT_TRUE(declares("async def f(x):\n"));
  EXPECT_TRUE(declares("class f:\n"));
  EXPECT_FALSE(declares("def fg(x):\n"));
  EXPECT_FALSE(declares("    def f(x):\n"));
  EXPECT_FALSE(declares("Write f.\n"));
  EXPECT_FALSE(declares("Some prose, then\ndef f(x):\n"));
  task.entry_point = "";
  EXPECT_FALSE(declares("def f(x):\n"));
}

// 1 - C(n - c, k) / C(n, k) in full for every c of a small n.
TEST(Samples, PassAtKIsTheShareOfSubsetsWithARightSample) {
  const auto choose = [](int n, int k) {
    double product = 1;
    for (int i = 1; i <= k; ++i) product = product * (n - k + i) / i;
    return n < k ? 0 : product;
  };
  for (int n = 1; n <= 12; ++n) {
    for (int c = 0; c <= n; ++c) {
      for (int k = 1; k <= n; ++k) {
        EXPECT_NEAR(pass_at_k(n, c, k), 1 - choose(n - c, k) / choose(n, k), 1e-12)
            << n << " " << c << " " << k;
      }
    }
  }
}

// C(20000, 100) is beyond double; the chance of missing 1 of 20000 with 100 draws is 1 - 100/20000.
TEST(Samples, PassAtKHoldsWhereBinomialsOverflow) {
  EXPECT_NEAR(pass_at_k(20000, 1, 100), 0.005, 1e-15);
  EXPECT_EQ(pass_at_k(20000, 0, 100), 0);
  EXPECT_EQ(pass_at_k(20000, 19901, 100), 1);
}

}  // namespace
}  // namespace weft
