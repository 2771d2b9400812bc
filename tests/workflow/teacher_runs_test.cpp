// Every kind of workflow that the teacher writes runs in the jail and uses the worker as it should.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/scripted_model.h"
#include "tests/workflow/jail.h"
#include "workflow/run_workflow.h"
#include "workflow/scripted_teacher.h"

namespace weft {
namespace {

using test::jail;
using test::ScriptedModel;
using test::ScriptedPrompt;
using testing::StartsWith;

const char* const kRight = "```python\ndef double(n):\n    return 2 * n\n```";
const char* const kWrong = "```python\ndef double(n):\n    return n * n\n```";

Task double_task() {
  const auto test_of = [](int argument) {
    return Json{{"args", Json::array({argument})}, {"expected", 2 * argument}};
  };
  Task task;
  task.dataset = "jsonl";
  task.prompt = "Write double(n) that returns twice the number n.";
  task.entry_point = "double";
  task.public_tests = {test_of(1), test_of(3)};
  task.val_tests = {test_of(4), test_of(5), test_of(7)};
  return task;
}

Outcome run(TextModel& model, const Task& task, const Draft& draft) {
  const Workflow workflow = jail().agent.check(draft.code);
  EXPECT_TRUE(workflow.valid) << workflow.problem;
  WorkflowRunner runner(jail().sandbox, jail().judge, model);
  return runner.run({.workflow = &workflow, .task = &task, .seed = 1});
}

/// Pass rate of a workflow of this kind over a worker.
double pass_rate(const std::string& kind, ScriptedModel::Answer answer) {
  ScriptedModel model(std::move(answer));
  Rng rng(5);
  const Task task = double_task();
  const Outcome outcome = run(model, task, ScriptedTeacher().draft(task, kind, rng));
  EXPECT_EQ(outcome.kind, Outcome::Kind::kScored) << kind << ": " << outcome.error;
  return outcome.pass_rate;
}

TEST(TeacherRuns, EveryKindAnswersWithARightAndWithAWrongWorker) {
  for (const auto& kind : ScriptedTeacher::kinds()) {
    EXPECT_EQ(pass_rate(kind, [](const ScriptedPrompt&) { return kRight; }), 1.0) << kind;
    EXPECT_EQ(pass_rate(kind, [](const ScriptedPrompt&) { return kWrong; }), 0.0) << kind;
  }
}

TEST(TeacherRuns, EveryPromptOpensWithTheProblem) {
  const Task task = double_task();
  Rng rng(6);
  for (const auto& kind : ScriptedTeacher::kinds()) {
    ScriptedModel model(kWrong);
    run(model, task, ScriptedTeacher().draft(task, kind, rng));
    ASSERT_FALSE(model.requests().empty());
    for (const auto& request : model.requests()) {
      const auto& messages = std::get<std::vector<ChatMessage>>(request.prompt);
      EXPECT_THAT(messages.back().content, StartsWith(task.prompt));
      EXPECT_THAT(messages.front().content, StartsWith("You are a "));
      EXPECT_LE(request.n, 5);
    }
  }
}

// The grammar's own words speak of the function through the argument: a workflow that was written
// for `double` asks for the function of the query that it is given.
TEST(TeacherRuns, AWorkflowAsksForTheFunctionOfTheQueryItIsGiven) {
  const Task source = double_task();
  Task other = source;
  other.entry_point = "halve";
  other.prompt = "Write halve(n).";
  Rng rng(11);
  size_t named = 0;
  for (const auto& kind : ScriptedTeacher::kinds()) {
    for (int i = 0; i < 3; ++i) {
      ScriptedModel model("```python\ndef halve(n):\n    return n // 2\n```");
      run(model, other, ScriptedTeacher().draft(source, kind, rng));
      for (const auto& request : model.requests()) {
        const auto& system = std::get<std::vector<ChatMessage>>(request.prompt).front().content;
        EXPECT_EQ(system.find("double"), std::string::npos) << system;
        EXPECT_EQ(system.find("entry_point"), std::string::npos) << system;
        named += system.find("halve") != std::string::npos;
      }
    }
  }
  EXPECT_GT(named, 20u);
}

TEST(TeacherRuns, RefinedAndCompletedWorkflowsRunToo) {
  const ScriptedTeacher teacher;
  const Task task = double_task();
  ScriptedModel model(kRight);
  Rng rng(7);
  for (int i = 0; i < 20; ++i) {
    const Draft child = teacher.refine(task, teacher.draft(task, rng), rng);
    const Draft completed = teacher.complete(task, {child.steps[0]}, rng);
    for (const Draft& draft : {child, completed}) {
      const Outcome outcome = run(model, task, draft);
      EXPECT_EQ(outcome.kind, Outcome::Kind::kScored) << outcome.error << "\n" << draft.code;
      EXPECT_EQ(outcome.pass_rate, 1.0) << draft.code;
    }
  }
}

TEST(TeacherRuns, DraftsByTestsFindsTheOneRightDraft) {
  const auto last_is_right = [](const ScriptedPrompt& prompt) {
    return prompt.choice == 1 ? kRight : kWrong;
  };
  EXPECT_EQ(pass_rate("drafts_by_tests", last_is_right), 1.0);
  EXPECT_EQ(pass_rate("plan_drafts_by_tests", last_is_right), 1.0);
}

TEST(TeacherRuns, RepairHappensOnlyAfterAFailedTest) {
  const auto repaired = [](const ScriptedPrompt& prompt) {
    return prompt.user.find("return n * n") != std::string::npos ? kRight : kWrong;
  };
  for (const char* kind : {"generate_test_repair", "two_round_repair", "drafts_then_repair"}) {
    EXPECT_EQ(pass_rate(kind, repaired), 1.0) << kind;
  }
  ScriptedModel model(kRight);
  Rng rng(8);
  const Task task = double_task();
  run(model, task, ScriptedTeacher().draft(task, "generate_test_repair", rng));
  EXPECT_EQ(model.requests().size(), 1u);
}

TEST(TeacherRuns, TheJudgesNumberPicksTheDraft) {
  EXPECT_EQ(pass_rate("ensemble_judge",
                      [](const ScriptedPrompt& prompt) -> std::string {
                        if (prompt.system.find("judge") != std::string::npos) return "Number 2.";
                        return prompt.choice == 1 ? kRight : kWrong;
                      }),
            1.0);
}

TEST(TeacherRuns, TheFallbackChainStopsAtTheFirstPassingDraft) {
  ScriptedModel model(
      [](const ScriptedPrompt& prompt) { return prompt.call == 1 ? kRight : kWrong; });
  Rng rng(9);
  const Task task = double_task();
  const Outcome outcome = run(model, task, ScriptedTeacher().draft(task, "fallback_chain", rng));
  EXPECT_EQ(outcome.pass_rate, 1.0);
  const auto requests = model.requests();
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_LT(requests[0].sampling.temperature, requests[1].sampling.temperature);
}

TEST(TeacherRuns, EveryKindForOtherTasksAnswers) {
  struct Case {
    TaskKind kind;
    const char *gold, *reply;
  };
  Rng rng(10);
  for (const auto& [kind, gold, reply] :
       {Case{TaskKind::kMath, "12", "So it is \\boxed{12}"}, Case{TaskKind::kQa, "Paris", "Paris"},
        Case{TaskKind::kChoice, "C", "the answer is C."}}) {
    for (const auto& name : ScriptedTeacher::kinds(kind)) {
      Task task;
      task.dataset = "jsonl";
      task.kind = kind;
      task.prompt = "What is it?";
      task.answer = gold;
      ScriptedModel model(reply);
      const Outcome outcome = run(model, task, ScriptedTeacher().draft(task, name, rng));
      EXPECT_EQ(outcome.kind, Outcome::Kind::kScored) << name << ": " << outcome.error;
      EXPECT_EQ(outcome.pass_rate, 1.0) << name;
      if (kind != TaskKind::kMath) continue;
      const TextRequest last = model.requests().back();
      const auto& messages = std::get<std::vector<ChatMessage>>(last.prompt);
      const bool names_the_box = messages.front().content.find("\\boxed{") != std::string::npos ||
                                 name == "ensemble_judge";
      EXPECT_TRUE(names_the_box) << messages.front().content;
    }
  }
}

}  // namespace
}  // namespace weft
