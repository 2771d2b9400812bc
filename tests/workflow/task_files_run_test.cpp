// A task's files where its answers, drafts and checkers run.
#include <gtest/gtest.h>

#include <future>

#include "tests/support/scripted_model.h"
#include "tests/workflow/jail.h"
#include "workflow/answer_scorer.h"
#include "workflow/run_workflow.h"

namespace weft {
namespace {

using test::jail;
using test::ScriptedModel;
using test::ScriptedPrompt;

class TaskFilesRun : public testing::Test {
 protected:
  void SetUp() override {
    if (jail().sandbox.tier() == "C") GTEST_SKIP() << "no working folder without namespaces";
    task_.id = "rows";
    task_.dataset = "jsonl";
    task_.prompt = "Write rows() that returns the number of lines of data.csv.";
    task_.entry_point = "rows";
    task_.files = std::make_shared<const std::vector<TaskFile>>(
        std::vector<TaskFile>{{"data.csv", "a\nb\nc\n"}});
    task_.public_tests = task_.val_tests = {Json{{"args", Json::array()}, {"expected", 3}}};
  }

  Task task_;
};

TEST_F(TaskFilesRun, AnswersAndDraftsReadThem) {
  ScriptedModel model([](const ScriptedPrompt& prompt) {
    return prompt.choice == 1 ? "def rows():\n    return len(list(open('data.csv')))\n"
                              : "def rows():\n    return len(list(open('other.csv')))\n";
  });
  const Workflow workflow = jail().agent.check(
      "class Workflow:\n    def __init__(self, name, llm_config, dataset):\n"
      "        self.llm = create_llm_instance(llm_config)\n\n"
      "    async def __call__(self, problem, entry_point):\n        # Step 1: a\n"
      "        codes = await self.llm.call_llm([problem], 0.7, 2)\n"
      "        good = [c for c in codes if exec_code(c, entry_point) == \"no error\"]\n"
      "        return good[0], 0.0\n");
  ASSERT_TRUE(workflow.valid) << workflow.problem;
  WorkflowRunner runner(jail().sandbox, jail().judge, model);
  const Outcome outcome = runner.run({.workflow = &workflow, .task = &task_, .seed = 1});
  EXPECT_EQ(outcome.pass_rate, 1.0) << outcome.error;
  EXPECT_EQ(outcome.usage.execs, 2);
}

TEST_F(TaskFilesRun, ACheckerOfAnAnswerReadsThem) {
  task_.kind = TaskKind::kQa;
  task_.checker =
      "def check(answer, task):\n    return answer in open('data.csv').read().split()\n";
  AnswerScorer scorer(jail().sandbox, {});
  for (const auto& [answer, score] : {std::pair("b", 1.0), std::pair("d", 0.0)}) {
    std::promise<AnswerVerdict> verdict;
    scorer.submit(task_, answer, [&](AnswerVerdict v) { verdict.set_value(std::move(v)); });
    const AnswerVerdict given = verdict.get_future().get();
    EXPECT_EQ(given.infra, "");
    EXPECT_EQ(given.score, score) << answer;
  }
}

TEST_F(TaskFilesRun, TheQueryListsThem) {
  EXPECT_EQ(jail().agent.query(task_),
            "Kind: code\nEntry point: rows\nFiles in the folder of the code that is tested: "
            "data.csv (6 bytes)\nTask: " +
                task_.prompt);
  task_.files = nullptr;
  EXPECT_EQ(jail().agent.query(task_), "Kind: code\nEntry point: rows\nTask: " + task_.prompt);
}

}  // namespace
}  // namespace weft
