#include "workflow/own_reward.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "base/file.h"
#include "tests/support/scripted_model.h"
#include "tests/support/support.h"
#include "tests/workflow/jail.h"
#include "workflow/baselines.h"

namespace weft {
namespace {

using testing::HasSubstr;
using Kind = Outcome::Kind;

/// A reward of one's own, in a file, and a task that the worker solves.
class FileReward : public testing::Test {
 protected:
  FileReward() {
    task_.id = "double";
    task_.dataset = "jsonl";
    task_.prompt = "Write double(n) that returns twice n.";
    task_.entry_point = "double";
    task_.val_tests = {Json{{"args", {2}}, {"expected", 4}}, Json{{"args", {3}}, {"expected", 7}}};
    options_.file = (folder_ / "mine.py").string();
  }

  Outcome run(const std::string& source, const std::string& code) {
    write_file_atomically(options_.file, source);
    workflow_ = test::jail().agent.check(code);
    test::ScriptedModel model("def double(n):\n    return 2 * n\n");
    WorkflowRunner runner(test::jail().sandbox, test::jail().judge, model, runner_options());
    return runner.run({.workflow = &workflow_, .task = &task_, .seed = 1});
  }
  Outcome run(const std::string& source) { return run(source, io_workflow(TaskKind::kCode)); }

  std::string trial(const std::string& source) {
    write_file_atomically(options_.file, source);
    try {
      require_working_reward(test::jail().sandbox, options_, {task_});
    } catch (const InputError& error) {
      return error.what();
    }
    return "works";
  }

  RunnerOptions runner_options() const {
    RunnerOptions options;
    options.reward = options_;
    return options;
  }

  /// The file's term; none where there is no reward.
  static std::optional<double> own_term(const Outcome& outcome) {
    return outcome.reward ? outcome.reward->file : std::nullopt;
  }

  test::TempDir folder_;
  RewardOptions options_;
  Task task_;
  Workflow workflow_;
};

TEST_F(FileReward, IsAFurtherTermOfTheReward) {
  options_.file_weight = 2;
  const Outcome outcome =
      run("def reward(workflow, outcome, task):\n"
          "    assert 'call_llm' in workflow and task['id'] == 'double'\n"
          "    assert outcome['calls'] == 1 and outcome['answer'].startswith('def double')\n"
          "    assert outcome['prompt_tokens'] > 0 and outcome['status'] == 'scored'\n"
          "    return -3 * outcome['pass_rate']\n");
  EXPECT_EQ(outcome.error, "");
  ASSERT_EQ(own_term(outcome), -1.5);
  const RewardTerms& with = *outcome.reward;
  EXPECT_EQ(with.file, -1.5);
  EXPECT_EQ(with.total, reward(outcome, workflow_).total + 2 * -1.5);
}

TEST_F(FileReward, SeesNoTests) {
  const Outcome outcome =
      run("def reward(workflow, outcome, task):\n"
          "    keys = {'id', 'dataset', 'kind', 'prompt', 'answer'}\n"
          "    return set(task) == keys and 'test_passed' not in outcome\n");
  EXPECT_EQ(own_term(outcome), 1.0) << outcome.error;
}

TEST_F(FileReward, AWorkflowThatFailsOrIsNotValidGetsItToo) {
  const std::string source =
      "def reward(workflow, outcome, task):\n"
      "    return {'workflow_error': -1, 'scored': 1}[outcome['status']] + 10 * "
      "outcome['valid']\n";
  EXPECT_EQ(own_term(run(source, "import os\n")), -1.0);
  std::string raises = io_workflow(TaskKind::kCode);
  raises.replace(raises.find("await self.llm.call_llm"), 0, "1 / 0 or ");
  EXPECT_EQ(own_term(run(source, raises)), 9.0);
  EXPECT_EQ(own_term(run(source)), 11.0);
}

TEST_F(FileReward, AFaultInItIsNoReward) {
  const std::pair<const char*, const char*> faults[] = {
      {"def reward(workflow, outcome, task):\n    return 1 / 0\n", "ERROR(ZeroDivisionError)"},
      {"def reward(workflow, outcome, task):\n    return float('nan')\n", "gave nan, expected"},
      {"def reward(workflow, outcome, task):\n    return float('inf')\n", "gave inf, expected"},
      {"def reward(workflow, outcome, task):\n    return -1e308\n",
       "gave -1e+308, expected a number from -1e+100 to 1e+100"},
      {"def reward(workflow, outcome, task):\n    return 'much'\n", "expected a finite number"},
      {"def reward(workflow, outcome, task):\n    return None\n", "gave None, expected"},
      {"def reward(workflow):\n    return 1\n", "ERROR(TypeError)"},
      {"def rewrad(workflow, outcome, task):\n    return 1\n", "it defines no function reward"},
      {"def reward(workflow, outcome, task)\n    return 1\n", "ERROR(SyntaxError)"},
      {"def reward(workflow, outcome, task):\n    return len(bytearray(1 << 32))\n", "MEMORY"},
      {"import os\ndef reward(workflow, outcome, task):\n    os._exit(0)\n", "EXIT(0)"}};
  for (const auto& [source, said] : faults) {
    const Outcome outcome = run(source);
    EXPECT_EQ(outcome.kind, Kind::kInfrastructure) << source;
    EXPECT_FALSE(outcome.reward) << source;
    EXPECT_TRUE(outcome.own_reward_failed) << source;
    EXPECT_THAT(outcome.error, HasSubstr("the reward: ")) << source;
    EXPECT_THAT(outcome.error, HasSubstr("mine.py: reward()")) << source;
    EXPECT_THAT(outcome.error, HasSubstr(said)) << source;
    EXPECT_THAT(trial(source), HasSubstr(said)) << source;
  }
  EXPECT_THAT(run(faults[0].first).error, HasSubstr("line 2, in reward"));
}

TEST_F(FileReward, TakesEveryNumberThatAFloatHolds) {
  const std::pair<const char*, double> numbers[] = {
      {"True", 1},
      {"-2**70", -std::ldexp(1.0, 70)},
      {"10**400 // 10**399", 10},
      {"Fraction(1, 4)", 0.25},
      {"Fraction(10**400, 3 * 10**400 + 10**400)", 0.25},
      {"Decimal('-0.5')", -0.5}};
  for (const auto& [text, value] : numbers) {
    const Outcome outcome =
        run("from decimal import Decimal\nfrom fractions import Fraction\n"
            "def reward(workflow, outcome, task):\n    return " +
            std::string(text) + "\n");
    EXPECT_EQ(own_term(outcome), value) << text << ": " << outcome.error;
  }
  EXPECT_THAT(trial("def reward(workflow, outcome, task):\n    return -10**400\n"),
              HasSubstr("expected a finite number"));
}

TEST_F(FileReward, IsReadAsUtf8WithOrWithoutAMark) {
  const std::string source = "def reward(workflow, outcome, task):\n    return 'é' == '\\xe9'\n";
  EXPECT_EQ(own_term(run("\xEF\xBB\xBF" + source)), 1.0);
  EXPECT_EQ(trial(source + "# \xFF\xFE\n"), options_.file + ": line 3: expected UTF-8");
}

TEST_F(FileReward, TellsAFaultInOneLine) {
  const std::string fault =
      trial("def reward(workflow, outcome, task):\n    raise ValueError('one\\ntwo\\r\\nthree')\n");
  EXPECT_THAT(fault, HasSubstr("ERROR(ValueError) one two  three"));
  EXPECT_EQ(fault.find('\n'), std::string::npos);
}

TEST_F(FileReward, IsTriedOnASolvedAndOnAFailedRun) {
  const std::string source = "def reward(workflow, outcome, task):\n    return ";
  EXPECT_EQ(trial(source + "outcome['pass_rate']\n"), "works");
  EXPECT_THAT(trial(source + "1 / outcome['pass_rate']\n"),
              HasSubstr("on task \"double\", tried as failed"));
  EXPECT_THAT(trial(source + "1 / (1 - outcome['pass_rate'])\n"), HasSubstr("tried as solved"));
  options_.file = "/nowhere/mine.py";
  EXPECT_THROW(require_working_reward(test::jail().sandbox, options_, {task_}), InputError);
}

TEST_F(FileReward, IsNotAskedWhereNothingIsScored) {
  write_file_atomically(options_.file, "def reward(workflow, outcome, task):\n    return 1 / 0\n");
  workflow_ = test::jail().agent.check(io_workflow(TaskKind::kCode));
  test::ScriptedModel model("an answer");
  WorkflowRunner runner(test::jail().sandbox, test::jail().judge, model, runner_options());
  const Outcome outcome =
      runner.run({.workflow = &workflow_, .task = &task_, .seed = 1, .score_val = false});
  EXPECT_EQ(outcome.kind, Kind::kScored) << outcome.error;
}

}  // namespace
}  // namespace weft
