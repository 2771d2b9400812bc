// A user's functions in prompts and runs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "tests/support/scripted_model.h"
#include "tests/support/support.h"
#include "tests/workflow/jail.h"
#include "workflow/run_workflow.h"

namespace weft {
namespace {

using test::jail;
using testing::HasSubstr;
using testing::Not;

TEST(ToolsRun, AWorkflowCallsThemAndTheUsageCountsThem) {
  const test::TempDir folder;
  RunnerOptions options;
  options.tools.file = (folder / "mine.py").string();
  write_file_atomically(options.tools.file,
                        "def capital(country):\n    \"\"\"Of Europe.\"\"\"\n"
                        "    return {'Italy': 'Rome'}[country]\n");
  EXPECT_EQ(list_tools(jail().sandbox, options.tools), "- capital(country): Of Europe.\n");
  EXPECT_EQ(list_tools(jail().sandbox, {}), "");
  Task task;
  task.id = "q";
  task.dataset = "jsonl";
  task.kind = TaskKind::kQa;
  task.prompt = "What is the capital of Italy?";
  task.answer = "Rome";
  const Workflow workflow = jail().agent.check(
      "class Workflow:\n    def __init__(self, name, llm_config, dataset):\n"
      "        self.llm = create_llm_instance(llm_config)\n\n"
      "    async def __call__(self, problem):\n        # Step 1: look it up\n"
      "        return capital(\"Italy\"), 0.0\n");
  ASSERT_TRUE(workflow.valid) << workflow.problem;
  test::ScriptedModel model("unused");
  WorkflowRunner runner(jail().sandbox, jail().judge, model, options);
  const Outcome outcome = runner.run({.workflow = &workflow, .task = &task, .seed = 1});
  EXPECT_EQ(outcome.pass_rate, 1.0) << outcome.error;
  EXPECT_EQ(usage_to_json(outcome.usage)["tool_calls"], 1);
  EXPECT_FALSE(usage_to_json({}).contains("tool_calls"));
}

TEST(ToolsRun, PromptsShowThem) {
  const std::string line = "- capital(country): Of Europe.\n";
  Task task;
  task.kind = TaskKind::kQa;
  for (const char* style : {"short", "full"}) {
    MetaAgentOptions options;
    options.prompt_style = style;
    const MetaAgent with(jail().analyser, options, line), without(jail().analyser, options);
    EXPECT_THAT(with.prompt(task)[0].content, HasSubstr(line)) << style;
    EXPECT_THAT(with.prompt(task)[0].content, HasSubstr("WorkerError")) << style;
    EXPECT_THAT(without.prompt(task)[0].content, Not(HasSubstr("WorkerError"))) << style;
  }
  EXPECT_THAT(contract_text(TaskKind::kCode, line), HasSubstr("or the text itself.\n" + line));
}

}  // namespace
}  // namespace weft
