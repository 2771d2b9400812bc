#include "workflow/run_workflow.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <thread>

#include "tests/support/scripted_model.h"
#include "tests/workflow/jail.h"
#include "workflow/baselines.h"

namespace weft {
namespace {

using test::jail;
using test::ScriptedModel;
using test::ScriptedPrompt;
using testing::HasSubstr;
using Kind = Outcome::Kind;

Json test_of(int argument, int expected) {
  return Json{{"args", Json::array({argument})}, {"expected", expected}};
}

Task double_task() {
  Task task;
  task.id = "double";
  task.dataset = "jsonl";
  task.prompt = "Write double(n) that returns twice n.";
  task.entry_point = "double";
  task.public_tests = {test_of(1, 2), test_of(0, 0)};
  task.val_tests = {test_of(2, 4), test_of(5, 10), test_of(-3, -6), test_of(0, 0)};
  return task;
}

const char* const kRight = "Sure:\n```python\ndef double(n):\n    return 2 * n\n```\n";
const char* const kWrong = "def double(n):\n    return n * n\n";

Workflow checked(const std::string& code) {
  Workflow workflow = jail().agent.check(code);
  EXPECT_TRUE(workflow.valid) << workflow.problem;
  return workflow;
}

Workflow with_body(const std::string& body) {
  return checked(
      "class Workflow:\n    def __init__(self, name, llm_config, dataset):\n"
      "        self.llm = create_llm_instance(llm_config)\n\n"
      "    async def __call__(self, problem, entry_point):\n        # Step 1: a\n" +
      body);
}

Outcome run_on(TextModel& model, const Workflow& workflow, const Task& task, uint64_t seed = 1,
               RunnerOptions options = {}) {
  WorkflowRunner runner(jail().sandbox, jail().judge, model, options);
  return runner.run({.workflow = &workflow, .task = &task, .seed = seed});
}

TEST(WorkflowRunner, ScoresAnAnswerOnTheValTests) {
  ScriptedModel model(kRight);
  const Outcome outcome = run_on(model, checked(io_workflow(TaskKind::kCode)), double_task());
  EXPECT_EQ(outcome.kind, Kind::kScored) << outcome.error;
  EXPECT_EQ(outcome.pass_rate, 1.0);
  EXPECT_EQ(outcome.declared, 4);
  EXPECT_EQ(outcome.answer, "def double(n):\n    return 2 * n\n");
  EXPECT_EQ(outcome.usage.calls, 1);
  EXPECT_GT(outcome.usage.completion_tokens, 0);
  EXPECT_GT(outcome.usage.prompt_tokens, 0);
  ASSERT_EQ(outcome.trace.size(), 1u);
  EXPECT_EQ(outcome.trace[0]["kind"], "call_llm");
}

// n * n is right for 0 and 2 of the four val tests.
TEST(WorkflowRunner, GivesTheShareOfPassedTests) {
  ScriptedModel model(kWrong);
  const Outcome outcome = run_on(model, checked(io_workflow(TaskKind::kCode)), double_task());
  EXPECT_EQ(outcome.kind, Kind::kScored) << outcome.error;
  EXPECT_EQ(outcome.pass_rate, 0.5);
}

TEST(WorkflowRunner, GivesTheRewardByItsOptionsWhereAnAnswerIsScored) {
  ScriptedModel model(kWrong);
  RunnerOptions options;
  options.reward.w_pass = 2;
  options.reward.w_calls = 0.5;
  const Workflow workflow = checked(io_workflow(TaskKind::kCode));
  const Outcome outcome = run_on(model, workflow, double_task(), 1, options);
  ASSERT_TRUE(outcome.reward);
  EXPECT_EQ(outcome.reward->pass, 0.5);
  EXPECT_EQ(outcome.reward->calls, 1.0 / 32);
  EXPECT_EQ(outcome.reward->total, reward(outcome, workflow, options.reward).total);
  WorkflowRunner runner(jail().sandbox, jail().judge, model, options);
  const Task task = double_task();
  EXPECT_FALSE(runner.run({.workflow = &workflow, .task = &task, .score_val = false}).reward);
}

TEST(WorkflowRunner, OverridesTheTestsForEvaluation) {
  ScriptedModel model(kWrong);
  WorkflowRunner runner(jail().sandbox, jail().judge, model);
  const Workflow workflow = checked(io_workflow(TaskKind::kCode));
  const Task task = double_task();
  const std::vector<Json> tests = {test_of(2, 4)};
  const Outcome outcome =
      runner.run({.workflow = &workflow, .task = &task, .seed = 1, .tests = &tests});
  EXPECT_EQ(outcome.declared, 1);
  EXPECT_EQ(outcome.pass_rate, 1.0);
}

TEST(WorkflowRunner, AnswersWithoutScoringWhereAsked) {
  ScriptedModel model(kRight);
  WorkflowRunner runner(jail().sandbox, jail().judge, model);
  const Workflow workflow = checked(io_workflow(TaskKind::kCode));
  const Task task = double_task();
  const Outcome outcome =
      runner.run({.workflow = &workflow, .task = &task, .seed = 1, .score_val = false});
  EXPECT_EQ(outcome.kind, Kind::kScored);
  EXPECT_EQ(outcome.declared, 0);
  EXPECT_THAT(outcome.answer, HasSubstr("2 * n"));
}

/// Samples drafts and keeps the first that passes the public tests.
Workflow first_passing_of(int num_drafts) {
  return with_body(
      "        codes = await self.llm.call_llm([problem], 0.7, " + std::to_string(num_drafts) +
      ", \"a\", \"b\")\n"
      "        code = next((c for c in codes if exec_code(c, entry_point) == \"no error\"), "
      "codes[0])\n"
      "        return code, self.llm.get_usage_summary()[\"total_cost\"]\n");
}

TEST(WorkflowRunner, TestsFencedDraftsOnPublicTests) {
  ScriptedModel model(
      [](const ScriptedPrompt& prompt) { return prompt.choice == 2 ? kRight : kWrong; });
  const Workflow workflow = first_passing_of(4);
  const Outcome outcome = run_on(model, workflow, double_task());
  EXPECT_EQ(outcome.kind, Kind::kScored) << outcome.error;
  EXPECT_EQ(outcome.pass_rate, 1.0);
  EXPECT_EQ(outcome.usage.execs, 3);
}

Json program_test(const std::string& input, const std::string& output) {
  return Json{{"input", input}, {"output", output}};
}

/// A task of a program in place of a function: it has no entry point.
Task program_task() {
  Task task;
  task.id = "sum";
  task.dataset = "jsonl";
  task.prompt = "Read two numbers and print their sum.";
  task.public_tests = {program_test("1 2\n", "3\n")};
  task.val_tests = {program_test("2 2\n", "4\n"), program_test("5 7\n", "12\n")};
  return task;
}

const char* const kSum = "```python\na, b = map(int, input().split())\nprint(a + b)\n```";
const char* const kProduct = "```python\na, b = map(int, input().split())\nprint(a * b)\n```";

TEST(WorkflowRunner, TestsDraftsOfAProgramOnItsPublicInputs) {
  ScriptedModel model(
      [](const ScriptedPrompt& prompt) { return prompt.choice == 1 ? kSum : kProduct; });
  const Workflow workflow = first_passing_of(3);
  const Outcome outcome = run_on(model, workflow, program_task());
  EXPECT_EQ(outcome.kind, Kind::kScored) << outcome.error;
  EXPECT_EQ(outcome.pass_rate, 1.0);
  EXPECT_EQ(outcome.declared, 2);
  EXPECT_EQ(outcome.usage.execs, 2);
}

// 2 * 2 is 2 + 2, 5 * 7 is not 5 + 7.
TEST(WorkflowRunner, GivesAProgramItsShareOfPassedTests) {
  ScriptedModel model(kProduct);
  const Workflow workflow = checked(io_workflow(TaskKind::kCode));
  const Task task = program_task();
  const Outcome outcome = run_on(model, workflow, task);
  EXPECT_EQ(outcome.kind, Kind::kScored) << outcome.error;
  EXPECT_EQ(outcome.pass_rate, 0.5);
  const std::vector<Json> hidden = {program_test("3 3\n", "6\n")};
  WorkflowRunner runner(jail().sandbox, jail().judge, model);
  const Outcome hidden_score =
      runner.run({.workflow = &workflow, .task = &task, .seed = 1, .tests = &hidden});
  EXPECT_EQ(hidden_score.declared, 1);
  EXPECT_EQ(hidden_score.pass_rate, 0.0);
}

TEST(WorkflowRunner, BaselinesAskForWhatTheTestsRun) {
  for (const auto& [task, wanted] :
       {std::pair(double_task(), "the function"), std::pair(program_task(), "the program")}) {
    const CodeForm form = code_form(task);
    for (const auto& code : {io_workflow(task.kind, form), cot_workflow(task.kind, form),
                             cot_sc_workflow(task.kind, 2, form)}) {
      std::atomic<int> prompts = 0;
      std::atomic<int> asking = 0;
      ScriptedModel model([&, wanted = std::string(wanted)](const ScriptedPrompt& prompt) {
        ++prompts;
        asking += prompt.system.find(wanted) != std::string::npos;
        return kSum;
      });
      run_on(model, checked(code), task);
      EXPECT_GT(prompts, 0);
      EXPECT_EQ(asking, prompts) << wanted << "\n" << code;
    }
  }
}

TEST(WorkflowRunner, AWorkflowThatRaisesIsAWorkflowError) {
  ScriptedModel model("x");
  const Outcome outcome =
      run_on(model, with_body("        return [1][len(problem)], 0.0\n"), double_task());
  EXPECT_EQ(outcome.kind, Kind::kWorkflowError);
  EXPECT_EQ(outcome.pass_rate, 0);
  EXPECT_THAT(outcome.error, HasSubstr("IndexError"));
}

TEST(WorkflowRunner, AnEmptyAnswerIsAWorkflowError) {
  ScriptedModel model(" \n");
  const Outcome outcome = run_on(model, checked(io_workflow(TaskKind::kCode)), double_task());
  EXPECT_EQ(outcome.kind, Kind::kWorkflowError);
  EXPECT_THAT(outcome.error, HasSubstr("nothing"));
}

TEST(WorkflowRunner, NeverRunsAWorkflowThatIsNotValid) {
  ScriptedModel model(kRight);
  const Workflow workflow = jail().agent.check("import os\n" + io_workflow(TaskKind::kCode));
  const Outcome outcome = run_on(model, workflow, double_task());
  EXPECT_EQ(outcome.kind, Kind::kWorkflowError);
  EXPECT_THAT(outcome.error, HasSubstr("import of os"));
  EXPECT_TRUE(model.requests().empty());
}

TEST(WorkflowRunner, ABudgetEndsAWorkflow) {
  ScriptedModel model("x");
  RunnerOptions options;
  options.budget.max_calls = 3;
  const Workflow workflow = with_body(
      "        for i in range(9):\n"
      "            x = await self.llm.call_llm([problem], 0.0, 1, \"\", \"\")\n"
      "        return x[0], 0.0\n");
  const Outcome outcome = run_on(model, workflow, double_task(), 1, options);
  EXPECT_EQ(outcome.kind, Kind::kLimit) << outcome.error;
  EXPECT_EQ(model.requests().size(), 3u);
}

TEST(WorkflowRunner, RetriesAnInfrastructureErrorOnce) {
  std::atomic<int> calls = 0;
  ScriptedModel model([](const ScriptedPrompt&) { return std::string(kRight); },
                      [&calls](const ScriptedPrompt&) {
                        return calls++ == 0 ? ResponseStatus::kFailed : ResponseStatus::kOk;
                      });
  const Outcome outcome = run_on(model, checked(io_workflow(TaskKind::kCode)), double_task());
  EXPECT_EQ(outcome.kind, Kind::kScored) << outcome.error;
  EXPECT_EQ(calls, 2);
  EXPECT_EQ(outcome.usage.calls, 2);
  EXPECT_EQ(outcome.last_usage.calls, 1);
}

TEST(WorkflowRunner, ReportsALastingInfrastructureErrorApart) {
  std::atomic<int> calls = 0;
  ScriptedModel model([](const ScriptedPrompt&) { return std::string(kRight); },
                      [&calls](const ScriptedPrompt&) {
                        ++calls;
                        return ResponseStatus::kFailed;
                      });
  const Outcome outcome = run_on(model, checked(io_workflow(TaskKind::kCode)), double_task());
  EXPECT_EQ(outcome.kind, Kind::kInfrastructure);
  EXPECT_EQ(calls, 2);
  EXPECT_THAT(outcome.error, HasSubstr("scripted failure"));
}

TEST(WorkflowRunner, ARefusedCallIsTheWorkflowsFault) {
  ScriptedModel model([](const ScriptedPrompt&) { return std::string("x"); },
                      [](const ScriptedPrompt&) { return ResponseStatus::kRefused; });
  const Outcome outcome = run_on(model, checked(io_workflow(TaskKind::kCode)), double_task());
  EXPECT_EQ(outcome.kind, Kind::kWorkflowError);
}

TEST(WorkflowRunner, AWorkerWithoutBudgetIsNotTheWorkflowsFault) {
  ScriptedModel model([](const ScriptedPrompt&) { return std::string("x"); },
                      [](const ScriptedPrompt&) { return ResponseStatus::kOutOfBudget; });
  const Outcome outcome = run_on(model, checked(io_workflow(TaskKind::kCode)), double_task());
  EXPECT_EQ(outcome.kind, Kind::kInfrastructure);
}

TEST(WorkflowRunner, DerivesTheSeedOfACallFromRunAndIndex) {
  const Workflow workflow = with_body(
      "        a = await self.llm.call_llm([problem], 0.5, 1, \"\", \"\")\n"
      "        b = await self.llm.call_llm([problem], 0.5, 1, \"\", \"\")\n"
      "        return a[0] + b[0], 0.0\n");
  std::vector<std::vector<uint64_t>> seeds;
  for (const uint64_t seed : {7u, 7u, 8u}) {
    ScriptedModel model("x");
    run_on(model, workflow, double_task(), seed);
    seeds.emplace_back();
    for (const auto& request : model.requests()) seeds.back().push_back(request.sampling.seed);
    ASSERT_EQ(seeds.back().size(), 2u);
  }
  EXPECT_EQ(seeds[0], seeds[1]);
  EXPECT_NE(seeds[0][0], seeds[0][1]);
  EXPECT_NE(seeds[0][0], seeds[2][0]);
}

TEST(WorkflowRunner, ScoresOtherKindsByTheirScorers) {
  struct Case {
    TaskKind kind;
    const char *gold, *reply;
  };
  for (const auto& [kind, gold, reply] :
       {Case{TaskKind::kMath, "12", "It is \\boxed{12}."},
        Case{TaskKind::kQa, "the Eiffel Tower", "Thinking.\nEiffel Tower"},
        Case{TaskKind::kChoice, "B", "Well, the answer is B."}}) {
    Task task;
    task.dataset = "jsonl";
    task.kind = kind;
    task.prompt = "?";
    task.answer = gold;
    ScriptedModel model(reply);
    for (const auto& code : {cot_workflow(kind), cot_sc_workflow(kind, 3)}) {
      const Outcome outcome = run_on(model, checked(code), task);
      EXPECT_EQ(outcome.kind, Kind::kScored) << outcome.error;
      EXPECT_EQ(outcome.pass_rate, 1.0) << outcome.answer;
    }
  }
}

TEST(WorkflowRunner, KeepsTheOrderOfManyRuns) {
  ScriptedModel model([](const ScriptedPrompt& prompt) { return "answer to " + prompt.user; });
  WorkflowRunner runner(jail().sandbox, jail().judge, model);
  const Workflow workflow = checked(io_workflow(TaskKind::kQa));
  std::vector<Task> tasks(24);
  std::vector<RunRequest> requests;
  for (size_t i = 0; i < tasks.size(); ++i) {
    tasks[i].kind = TaskKind::kQa;
    tasks[i].prompt = "question " + std::to_string(i);
    tasks[i].answer = "answer to question " + std::to_string(i);
    requests.push_back({.workflow = &workflow, .task = &tasks[i], .seed = i});
  }
  const auto outcomes = runner.run_all(requests);
  for (size_t i = 0; i < tasks.size(); ++i) EXPECT_EQ(outcomes[i].answer, tasks[i].answer);
}

TEST(WorkflowRunner, ItsEndDeliversWhatIsInFlight) {
  ScriptedModel model("x");
  const Workflow workflow = with_body(
      "        import asyncio\n        await asyncio.sleep(60)\n        return \"x\", 0.0\n");
  const Task task = double_task();
  std::promise<Outcome> promise;
  {
    WorkflowRunner runner(jail().sandbox, jail().judge, model);
    runner.submit({.workflow = &workflow, .task = &task, .seed = 1},
                  [&promise](Outcome outcome) { promise.set_value(std::move(outcome)); });
  }
  EXPECT_EQ(promise.get_future().get().kind, Kind::kInfrastructure);
}

/// Answers a request once it is cancelled, and nothing else.
class StuckModel : public TextModel {
 public:
  ~StuckModel() override { thread_.join(); }
  std::string name() const override { return "stuck"; }
  void submit(TextRequest request, std::function<void(TextResponse)> done) override {
    thread_ = std::thread([this, flag = request.cancelled, done = std::move(done)] {
      submitted.set_value();
      while (!flag->load()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      TextResponse response;
      response.status = ResponseStatus::kCancelled;
      done(std::move(response));
    });
  }
  std::promise<void> submitted;

 private:
  std::thread thread_;
};

TEST(WorkflowRunner, ItsEndCancelsTheCallsInFlight) {
  StuckModel model;
  const Workflow workflow = checked(io_workflow(TaskKind::kCode));
  const Task task = double_task();
  std::promise<Outcome> promise;
  {
    WorkflowRunner runner(jail().sandbox, jail().judge, model);
    runner.submit({.workflow = &workflow, .task = &task, .seed = 1},
                  [&promise](Outcome outcome) { promise.set_value(std::move(outcome)); });
    model.submitted.get_future().wait();
  }
  EXPECT_EQ(promise.get_future().get().kind, Kind::kInfrastructure);
}

TEST(WorkflowRunner, ItsEndCancelsTheScoringInFlight) {
  ScriptedModel model("def double(n):\n    import time\n    time.sleep(250)\n");
  const Workflow workflow = checked(io_workflow(TaskKind::kCode));
  Task task = double_task();
  task.val_tests = {test_of(777, 1554)};
  RunnerOptions options;
  options.judge_cpu_ms = 60000;
  const int64_t prepared = jail().judge.num_tests_prepared();
  std::promise<Outcome> promise;
  const auto start = std::chrono::steady_clock::now();
  {
    WorkflowRunner runner(jail().sandbox, jail().judge, model, options);
    runner.submit({.workflow = &workflow, .task = &task, .seed = 1},
                  [&promise](Outcome outcome) { promise.set_value(std::move(outcome)); });
    while (jail().judge.num_tests_prepared() == prepared) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  EXPECT_EQ(promise.get_future().get().kind, Kind::kInfrastructure);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(60));
}

// What the task's prompt defines before the function: exec_code and the score run it first.
TEST(WorkflowRunner, AnswersAndDraftsFindTheTasksSetup) {
  Task task = double_task();
  const std::string answer = "def double(n):\n    return math.floor(twice(n))\n";
  ScriptedModel model(
      [&](const ScriptedPrompt& prompt) { return prompt.choice == 1 ? answer : kWrong; });
  EXPECT_EQ(run_on(model, first_passing_of(3), task).passed, 2);  // of the last draft: n * n
  task.setup = "import math\n\ndef twice(n):\n    return n + n\n";
  const Outcome outcome = run_on(model, first_passing_of(3), task);
  EXPECT_EQ(outcome.pass_rate, 1.0) << outcome.error;
  EXPECT_EQ(outcome.usage.execs, 2);
  ScriptedModel continued(task.setup +
                          answer);  // an answer that repeats the prompt goes on passing
  const Outcome repeated = run_on(continued, checked(io_workflow(TaskKind::kCode)), task);
  EXPECT_EQ(repeated.pass_rate, 1.0) << repeated.error;
}

// Of several right answers: any number above its argument.
TEST(WorkflowRunner, ATasksCheckerJudgesAnswersAndDrafts) {
  Task task = double_task();
  task.checker = "def check(candidate, test):\n    return candidate(test['of']) > test['of']\n";
  task.public_tests = {Json{{"of", 3}}};
  task.val_tests = {Json{{"of", 5}}, Json{{"of", -4}}};
  ScriptedModel model([](const ScriptedPrompt& prompt) {
    return prompt.choice == 1 ? "def double(n):\n    return n + 1\n"
                              : "def double(n):\n    return n - 1\n";
  });
  const Outcome outcome = run_on(model, first_passing_of(3), task);
  EXPECT_EQ(outcome.pass_rate, 1.0) << outcome.error;
  EXPECT_EQ(outcome.usage.execs, 2);
  ScriptedModel squares(kWrong);  // 25 > 5 and 16 > -4
  EXPECT_EQ(run_on(squares, first_passing_of(1), task).passed, 2);
  ScriptedModel less("def double(n):\n    return n - 1\n");
  const Outcome wrong = run_on(less, first_passing_of(1), task);
  EXPECT_EQ(wrong.passed, 0);
  EXPECT_EQ(wrong.kind, Kind::kScored) << wrong.error;
  task.checker = "def check(candidate, test):\n    return candidate(test['off']) > 1\n";
  const Outcome fault = run_on(squares, checked(io_workflow(TaskKind::kCode)), task);
  EXPECT_EQ(fault.kind, Kind::kInfrastructure);
  EXPECT_THAT(fault.error, HasSubstr("the checker: ERROR(KeyError) off; line 2"));
}

TEST(JudgeRequest, TestsWithAnInputAreRunAsAProgram) {
  Task task = double_task();
  task.setup = "import math";
  EXPECT_EQ(judge_request(task, "x", task.val_tests).mode, Mode::kCall);
  EXPECT_EQ(judge_request(task, "x", task.val_tests).setup, "import math");
  const std::vector<Json> tests = {Json{{"input", "1\n"}, {"output", "2\n"}}};
  const JudgeRequest request = judge_request(task, "x", tests);
  EXPECT_EQ(request.mode, Mode::kStdio);
  EXPECT_EQ(request.tests, tests);
}

}  // namespace
}  // namespace weft
