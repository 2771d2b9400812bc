#include "workflow/meta_agent.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "tests/workflow/jail.h"
#include "tests/workflow/teacher_tasks.h"
#include "workflow/baselines.h"
#include "workflow/run_workflow.h"
#include "workflow/scripted_teacher.h"

namespace weft {
namespace {

using test::all_task_kinds;
using test::jail;
using test::teacher_task;
using testing::HasSubstr;

const char* const kInit =
    "class Workflow:\n    def __init__(self, name, llm_config, dataset):\n"
    "        self.llm = create_llm_instance(llm_config)\n\n";
const char* const kCall =
    "    async def __call__(self, problem, entry_point):\n        # Step 1: answer\n"
    "        return \"x\", 0.0\n";

std::string good_code() { return std::string(kInit) + kCall; }

std::string with_body(const std::string& body) {
  return std::string(kInit) + "    async def __call__(self, problem):\n        # Step 1: a\n" +
         body + "        return \"x\", 0.0\n";
}

std::string problem_of(const std::string& completion) {
  const Workflow workflow = jail().agent.parse(completion);
  EXPECT_FALSE(workflow.valid);
  EXPECT_EQ(workflow.problem.find('\n'), std::string::npos);
  return workflow.problem;
}

std::string code_problem(const std::string& code) {
  const Workflow workflow = jail().agent.check(code);
  EXPECT_FALSE(workflow.valid) << code;
  return workflow.problem;
}

TEST(MetaAgent, ParsesWhatItRenders) {
  const auto& agent = jail().agent;
  const Workflow workflow = agent.parse(agent.render_completion("Because.", good_code()));
  EXPECT_TRUE(workflow.valid) << workflow.problem;
  EXPECT_EQ(workflow.reasoning, "Because.");
  EXPECT_EQ(workflow.code, good_code());
  EXPECT_EQ(workflow.num_steps, 1);
  EXPECT_GT(workflow.facts.num_nodes, 10);
}

TEST(MetaAgent, RejectsEveryOtherForm) {
  const std::string block = "```python\n" + good_code() + "```";
  EXPECT_THAT(problem_of(""), HasSubstr("no ```python block"));
  EXPECT_THAT(problem_of("Because.\n" + good_code()), HasSubstr("no ```python block"));
  EXPECT_THAT(problem_of("Because.\n```\n" + good_code() + "```"), HasSubstr("expected ```python"));
  EXPECT_THAT(problem_of("Because.\n```python\n" + good_code()), HasSubstr("not closed"));
  EXPECT_THAT(problem_of("Because.\n" + block + "\n" + block), HasSubstr("more than one"));
  EXPECT_THAT(problem_of("Because.\n" + block + "\nDone."), HasSubstr("text after"));
  EXPECT_THAT(problem_of(" \n" + block), HasSubstr("no reasoning"));
  EXPECT_THAT(problem_of("Because.\n```python\n \n```"), HasSubstr("is empty"));
}

TEST(MetaAgent, TakesAThinkPartAsReasoning) {
  const std::string block = "\n```python\n" + good_code() + "```\n";
  const auto& agent = jail().agent;
  const std::string draft = "Maybe\n```python\nx\n```\nno.";
  const Workflow workflow = agent.parse("<think>\n" + draft + "\n</think>\n" + block);
  EXPECT_TRUE(workflow.valid) << workflow.problem;
  EXPECT_EQ(workflow.reasoning, draft);
  EXPECT_EQ(agent.parse("a\n</think>\nb" + block).reasoning, "a\nb");
  EXPECT_THAT(problem_of("<think>a" + block), HasSubstr("not closed"));
}

TEST(MetaAgent, RejectsWhatMayNotRun) {
  EXPECT_THAT(code_problem("def f(:\n"), HasSubstr("does not parse"));
  EXPECT_THAT(code_problem("import os\n" + good_code()), HasSubstr("import of os"));
  EXPECT_THAT(code_problem("from contextlib import suppress\n" + good_code()),
              HasSubstr("import of contextlib"));
  EXPECT_THAT(code_problem(with_body("        import subprocess\n")),
              HasSubstr("import of subprocess"));
  for (const char* handler : {"except:", "except Exception:", "except BaseException as e:",
                              "except (ValueError, Exception):"}) {
    EXPECT_THAT(code_problem(with_body(std::string("        try:\n            x = 1\n        ") +
                                       handler + "\n            x = 2\n")),
                HasSubstr("catches every exception"));
  }
  EXPECT_THAT(code_problem("x = 1\n"), HasSubstr("no class Workflow"));
  EXPECT_THAT(
      code_problem(std::string(kInit) + "    def __call__(self, problem):\n        # Step 1: "
                                        "a\n        return \"x\", 0.0\n"),
      HasSubstr("no async __call__"));
  EXPECT_THAT(code_problem(std::string("class Workflow:\n    def __init__(self, name):\n        "
                                       "pass\n\n") +
                           kCall),
              HasSubstr("no __init__"));
  EXPECT_THAT(code_problem(with_body("        x = self.__class__\n")), HasSubstr("__class__"));
}

TEST(MetaAgent, DemandsStepsNumberedFromOne) {
  const std::string head = std::string(kInit) + "    async def __call__(self, problem):\n";
  EXPECT_THAT(code_problem(head + "        return \"x\", 0.0\n"), HasSubstr("no comment"));
  EXPECT_THAT(code_problem(head + "        # Step 2: a\n        return \"x\", 0.0\n"),
              HasSubstr("expected \"# Step 1:\""));
}

TEST(MetaAgent, HoldsTheSizeCaps) {
  MetaAgentOptions options;
  options.max_code_bytes = 100;
  EXPECT_THAT(MetaAgent(jail().analyser, options).check(good_code()).problem, HasSubstr("bytes"));
  options = {};
  options.max_nodes = 5;
  EXPECT_THAT(MetaAgent(jail().analyser, options).check(good_code()).problem, HasSubstr("nodes"));
  options.prompt_style = "long";
  EXPECT_THROW(MetaAgent(jail().analyser, options), InputError);
}

TEST(MetaAgent, AcceptsAnnotatedWorkflowsOfThePrintedForm) {
  const Workflow workflow = jail().agent.check(R"(import re
from typing import Tuple

class Workflow:
    def __init__(
        self,
        name: str,
        llm_config: dict,
        dataset: DatasetType,
    ) -> None:
        """Keeps the instance."""
        self.name = name
        self.llm = create_llm_instance(llm_config)

    async def __call__(self, problem: str, entry_point: str) -> Tuple[str, float]:
        """Solves it."""
        # Step 1: Generate
        solutions = await self.llm.call_llm(
            messages=[f"Write {entry_point}:\n{problem}"],
            temperature=0.2,
            num_of_response=2,
            agent_role="expert",
            instructions="Return only code.",
        )
        # Step 2: Test
        for solution in solutions:
            try:
                result = exec_code(solution, entry_point)
            except ValueError:
                continue
            if result == "no error":
                break
        return solution, self.llm.get_usage_summary()["total_cost"]
)");
  EXPECT_TRUE(workflow.valid) << workflow.problem;
  EXPECT_EQ(workflow.num_steps, 2);
}

TEST(MetaAgent, ShortPromptIsShortAndShowsNoTest) {
  Task task = teacher_task();
  task.public_tests = {Json{{"args", {"SECRET"}}, {"expected", 1}}};
  const auto messages = jail().agent.prompt(task);
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_LT(messages[0].content.size(), 100u);
  EXPECT_THAT(messages[1].content, HasSubstr(task.prompt));
  EXPECT_THAT(messages[1].content, HasSubstr("Entry point: count_vowels"));
  EXPECT_THAT(messages[1].content, HasSubstr("Kind: code"));
  EXPECT_EQ(messages[1].content.find("SECRET"), std::string::npos);
}

TEST(MetaAgent, FullPromptHoldsTheContractAndAValidExample) {
  MetaAgentOptions options;
  options.prompt_style = "full";
  const MetaAgent agent(jail().analyser, options);
  for (const TaskKind kind : all_task_kinds()) {
    const std::string text = agent.prompt(teacher_task(kind))[0].content;
    EXPECT_THAT(text, HasSubstr("call_llm(messages, temperature, num_of_response, agent_role"));
    EXPECT_EQ(text.find("exec_code") != std::string::npos, kind == TaskKind::kCode);
    const size_t example = text.find("Example for another task:\n");
    ASSERT_NE(example, std::string::npos);
    const Workflow workflow = agent.parse(text.substr(example + 26));
    EXPECT_TRUE(workflow.valid) << workflow.problem;
  }
}

// The text of a workflow that stands in a string of another one counts for nothing.
TEST(MetaAgent, ReadsNoStructureFromStrings) {
  const Workflow workflow = jail().agent.check(
      with_body("        example = '''\n        # Step 2: a\n        # Step 7: b\n'''\n"));
  EXPECT_TRUE(workflow.valid) << workflow.problem;
  EXPECT_EQ(workflow.num_steps, 1);
  EXPECT_THAT(code_problem("'''\n" + good_code() + "'''\n"), HasSubstr("no class Workflow"));
}

TEST(MetaAgent, AcceptsTheBaselines) {
  for (const TaskKind kind : all_task_kinds()) {
    for (const auto& code : {io_workflow(kind), cot_workflow(kind), cot_sc_workflow(kind, 5)}) {
      const Workflow workflow = jail().agent.check(code);
      EXPECT_TRUE(workflow.valid) << workflow.problem;
    }
  }
}

TEST(MetaAgent, AcceptsEveryKindOfTheTeacherAndItsRefinements) {
  const ScriptedTeacher teacher;
  Rng rng(1);
  for (const TaskKind kind : all_task_kinds()) {
    for (const auto& name : ScriptedTeacher::kinds(kind)) {
      Draft draft = teacher.draft(teacher_task(kind, static_cast<int>(name.size())), name, rng);
      for (int i = 0; i < 3; ++i) {
        const auto text = jail().agent.render_completion(draft.reasoning, draft.code);
        const Workflow workflow = jail().agent.parse(text);
        ASSERT_TRUE(workflow.valid) << workflow.problem << "\n" << text;
        EXPECT_EQ(workflow.code, draft.code);
        EXPECT_EQ(workflow.num_steps, static_cast<int>(draft.steps.size()));
        draft = teacher.refine(teacher_task(kind, 0), draft, rng);
      }
    }
  }
}

TEST(MetaAgent, RewardTermsSeparateSmallFromLargeWorkflows) {
  const ScriptedTeacher teacher;
  Rng rng(2);
  Outcome outcome;
  outcome.kind = Outcome::Kind::kScored;
  const auto terms_of = [&](const char* kind) {
    return reward(outcome, jail().agent.check(teacher.draft(teacher_task(), kind, rng).code));
  };
  const auto small = terms_of("single_call"), large = terms_of("drafts_then_repair");
  EXPECT_LT(small.complexity, large.complexity);
  EXPECT_GT(large.complexity, 0.1);
  EXPECT_LT(large.complexity, 0.9);
  EXPECT_GT(small.diversity, 0.2);
  EXPECT_LT(small.diversity, 1.0);
}

}  // namespace
}  // namespace weft
