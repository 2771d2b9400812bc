#include "sandbox/workflow/workflow_process.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <thread>
#include <utility>

#include "tests/sandbox/jail_support.h"
#include "tests/sandbox/workflow/scripted_worker.h"

namespace weft {
namespace {

using Status = WorkflowResult::Status;
using test::ScriptedWorker;
using test::workflow_code;

WorkflowResult run(const std::string& code, Worker& worker, WorkflowJob job = {}) {
  WorkflowHost host(test::shared_sandbox(), test::shared_judge(), worker);
  job.code = code;
  if (job.problem.empty()) job.problem = "P";
  return host.run(std::move(job));
}

WorkflowResult run_body(const std::string& body, WorkflowJob job = {}) {
  ScriptedWorker worker;
  return run(workflow_code(body), worker, std::move(job));
}

TEST(WorkflowHost, AnswersThroughTheWorkerAndSumsUsage) {
  const auto result = run_body(
      "texts = await self.llm.call_llm(messages=[problem], temperature=0.5, num_of_response=2,\n"
      "                                agent_role='r', instructions='i')\n"
      "return texts[1], self.llm.get_usage_summary()['total_cost']");
  EXPECT_EQ(result.status, Status::kAnswered) << result.error;
  EXPECT_EQ(result.answer, "P#1");
  EXPECT_EQ(result.usage.calls, 1);
  EXPECT_EQ(result.usage.prompt_tokens, 10);
  EXPECT_EQ(result.usage.completion_tokens, 10);
  EXPECT_DOUBLE_EQ(result.usage.usd, 0.25);
  EXPECT_EQ(result.trace[0]["kind"], "call_llm");
  EXPECT_EQ(result.trace[0]["role"], "r");
  EXPECT_EQ(result.tier, test::shared_sandbox().tier());
}

TEST(WorkflowHost, TraceKeepsTextsWhereItIsAskedTo) {
  const std::string body =
      "texts = await self.llm.call_llm(messages=['first', 'second'], instructions='i')\n"
      "exec_code('x = 1', 'f')\n"
      "return texts[0], 0.0";
  WorkflowJob job;
  job.trace_text_bytes = 1000;
  const Json trace = run_body(body, job).trace;
  ASSERT_EQ(trace.size(), 2u);
  EXPECT_EQ(trace[0]["prompt"], "first\n\nsecond");
  EXPECT_EQ(trace[0]["instructions"], "i");
  EXPECT_EQ(trace[0]["texts"].size(), 1u);
  EXPECT_EQ(trace[1]["code"], "x = 1");
  EXPECT_FALSE(trace[0].contains("cut"));
  EXPECT_FALSE(run_body(body).trace[0].contains("prompt"));
}

// Six bytes: "i" and five of the prompt, whose second letter takes two.
TEST(WorkflowHost, TraceCutsTextsBetweenCharacters) {
  WorkflowJob job;
  job.trace_text_bytes = 6;
  const Json trace =
      run_body(
          "texts = await self.llm.call_llm(messages=['a\u00e9\u00e9\u00e9'], instructions='i')\n"
          "return texts[0], 0.0",
          job)
          .trace;
  EXPECT_EQ(trace[0]["prompt"], "a\u00e9\u00e9");
  EXPECT_EQ(trace[0]["texts"][0], "");
  EXPECT_EQ(trace[0]["cut"], true);
}

TEST(WorkflowHost, RunsCallsOfOneWorkflowAtTheSameTime) {
  ScriptedWorker worker({}, 600);
  const auto result =
      run(workflow_code("import asyncio\n"
                        "lists = await asyncio.gather(*[self.llm.call_llm(messages=[str(i)]) for i "
                        "in range(8)])\n"
                        "return ' '.join(t[0] for t in lists), 0.0"),
          worker);
  EXPECT_EQ(result.answer, "0#0 1#0 2#0 3#0 4#0 5#0 6#0 7#0") << result.error;
  EXPECT_LT(result.wall_ms, 8 * 600 / 2);  // one after the other takes 8 * 600
}

/// Answers each request with its seed, `num` at a time, in the order in which they came or
/// backwards.
class ReversingWorker : public Worker {
 public:
  ReversingWorker(size_t num, bool backwards) : num_(num), backwards_(backwards) {}
  Bound bound(const WorkerRequest&) const override { return {}; }
  void submit(WorkerRequest request, std::function<void(WorkerReply)> done) override {
    WorkerReply reply;
    reply.texts = {request.messages.front() + ":" + std::to_string(request.seed)};
    waiting_.push_back([reply, done = std::move(done)] { done(reply); });
    if (waiting_.size() < num_) return;
    if (backwards_) std::reverse(waiting_.begin(), waiting_.end());
    for (const auto& answer : std::exchange(waiting_, {})) answer();
  }

 private:
  const size_t num_;
  const bool backwards_;
  std::vector<std::function<void()>> waiting_;  // of the host's thread
};

// Three branches of two calls each, and what came first is written down: every part of the answer
// would tell a different order of replies.
TEST(WorkflowHost, WhatAWorkflowDoesDoesNotDependOnWhichReplyComesFirst) {
  const std::string code = workflow_code(
      "import asyncio\n"
      "log = []\n"
      "async def branch(name):\n"
      "    first = (await self.llm.call_llm(messages=[name]))[0]\n"
      "    log.append(first)\n"
      "    second = (await self.llm.call_llm(messages=[name + '2']))[0]\n"
      "    log.append(second)\n"
      "await asyncio.gather(*[branch(n) for n in 'abc'])\n"
      "return ' '.join(log), 0.0");
  WorkflowJob job;
  job.seed = 5;
  ReversingWorker forwards(3, false), backwards(3, true);
  const auto one = run(code, forwards, job), other = run(code, backwards, job);
  EXPECT_EQ(one.status, Status::kAnswered) << one.error;
  EXPECT_EQ(one.answer, other.answer);
  job.seed = 6;
  EXPECT_NE(run(code, forwards, job).answer, one.answer);
}

TEST(WorkflowHost, ACallsSeedIsOfWhatItAsks) {
  WorkerRequest request;
  request.messages = {"a"};
  const uint64_t seed = call_seed(1, request, 0);
  EXPECT_NE(call_seed(2, request, 0), seed);
  EXPECT_NE(call_seed(1, request, 1), seed);
  for (const auto& change : std::vector<std::function<void(WorkerRequest&)>>{
           [](auto& r) { r.messages = {"b"}; },
           [](auto& r) {
             r.messages = {"a", ""};
           },
           [](auto& r) { r.agent_role = "x"; }, [](auto& r) { r.instructions = "x"; },
           [](auto& r) { r.temperature = 0.5; }, [](auto& r) { r.num_responses = 2; }}) {
    WorkerRequest other = request;
    change(other);
    EXPECT_NE(call_seed(1, other, 0), seed);
  }
}

TEST(WorkflowHost, CountsWhatTheClockDecided) {
  WorkflowJob job;
  job.budget.wall_ms = 900;  // on a busy machine, too, the call is made by then
  ScriptedWorker hangs({}, 60000);
  const auto late =
      run(workflow_code("return (await self.llm.call_llm(messages=['x']))[0], 0.0"), hangs, job);
  EXPECT_EQ(late.usage.clock_decisions, 2);  // the wall clock, and the call that it cut short
  EXPECT_EQ(run_body("return 'x', 0.0").usage.clock_decisions, 0);
}

TEST(WorkflowHost, ExecCodeHasBayesFlowsThreeShapes) {
  WorkflowJob job;
  job.entry_point = "f";
  job.public_tests = {test::call_test(2, 4), Json{{"code", "assert f(3) == 6"}}};
  const auto good = run_body("return exec_code('def f(x): return 2 * x', entry_point), 0.0", job);
  EXPECT_EQ(good.answer, "no error") << good.error;
  const auto wrong = run_body(
      "r = exec_code('def f(x): return 4', entry_point)\n"
      "return f\"{len(r)} {r[0]['test_case']} {r[0]['error_type']} {r[0]['error_message']} \"\\\n"
      "       f\"{type(r[0]['traceback']).__name__}\", 0.0",
      job);
  EXPECT_EQ(wrong.answer, "1 assert f(3) == 6 AssertionError got 4 list") << wrong.error;
  const auto broken =
      run_body("return exec_code('def f(x): return y', entry_point)['exec_fail_case'], 0.0", job);
  EXPECT_NE(broken.answer.find("NameError"), std::string::npos) << broken.answer << broken.error;
  EXPECT_NE(broken.answer.find("line 1, in f"), std::string::npos) << broken.answer;
  EXPECT_EQ(good.usage.execs, 1);
  EXPECT_EQ(good.trace[0]["verdict"], "PASS");
}

TEST(WorkflowHost, ExecCodeWithoutPublicTestsOnlyLoadsTheSolution) {
  WorkflowJob job;
  job.entry_point = "f";
  const auto answer = [&](const std::string& code) {
    return run_body("return str(exec_code(\"" + code + "\", entry_point)), 0.0", job).answer;
  };
  EXPECT_EQ(answer("def f(x): return 2 * x\\nprint(f(1))"), "no error");
  EXPECT_NE(answer("def g(x): return 2 * x").find("NameError"), std::string::npos);
  EXPECT_NE(answer("def f(x) return").find("SyntaxError"), std::string::npos);
}

TEST(WorkflowHost, ExecCodeRunsTestsWithAnInputAsAProgram) {
  WorkflowJob job;
  job.public_tests = {Json{{"input", "1\n2\n"}, {"output", "3\n"}},
                      Json{{"input", "2\n2\n"}, {"output", "4\n"}}};
  const auto good =
      run_body("return exec_code('print(int(input()) + int(input()))', entry_point), 0.0", job);
  EXPECT_EQ(good.answer, "no error") << good.error;
  EXPECT_EQ(good.trace[0]["declared"], 2);
  const auto wrong = run_body(
      "r = exec_code('print(int(input()) * int(input()))', entry_point)\n"
      "return f\"{len(r)} {r[0]['test_case']}; {r[0]['error_type']}: {r[0]['error_message']}\", "
      "0.0",
      job);
  EXPECT_EQ(wrong.answer, R"(1 input '1\n2\n', expected output '3\n'; AssertionError: got '2\n')")
      << wrong.error;
  const auto broken =
      run_body("return exec_code('print(1 / 0)', entry_point)['exec_fail_case'], 0.0", job);
  EXPECT_EQ(broken.answer.substr(0, 17), "ZeroDivisionError") << broken.answer << broken.error;
}

TEST(WorkflowHost, ExecCodeWithoutTestsAndEntryPointOnlyCompilesTheSolution) {
  const auto answer = [](const std::string& code) {
    return run_body("return str(exec_code(" + code + ", entry_point)), 0.0").answer;
  };
  EXPECT_EQ(answer("'print(int(input()) + 1)'"), "no error");
  EXPECT_NE(answer("'print(input()'").find("SyntaxError"), std::string::npos);
}

TEST(WorkflowHost, AnEmptyEntryPointGoesOnlyToACallThatNeedsOne) {
  const auto answer = [](const std::string& parameters, const std::string& value) {
    ScriptedWorker worker;
    return run("class Workflow:\n    def __init__(self, name, llm_config, dataset): pass\n"
               "    async def __call__(self, problem" +
                   parameters + "): return repr(" + value + ")\n",
               worker)
        .answer;
  };
  EXPECT_EQ(answer(", entry_point", "entry_point"), "''");
  EXPECT_EQ(answer(", votes=3", "votes"), "3");
  EXPECT_EQ(answer(", *others", "others"), "()");
}

TEST(WorkflowHost, ExecCodeMayRunWhileCallsAreOutstanding) {
  WorkflowJob job;
  job.entry_point = "f";
  job.public_tests = {test::call_test(2, 4)};
  const auto result = run_body(
      "import asyncio\n"
      "call = asyncio.ensure_future(self.llm.call_llm(messages=['a']))\n"
      "await asyncio.sleep(0)\n"
      "reports = [exec_code('def f(x): return 4', entry_point) for _ in range(3)]\n"
      "return (await call)[0] + str(reports), 0",
      job);
  EXPECT_EQ(result.answer, "a#0['no error', 'no error', 'no error']") << result.error;
}

TEST(WorkflowHost, TakesABareStringAndAWorkflowWithoutEntryPoint) {
  ScriptedWorker worker;
  WorkflowJob job;
  job.entry_point = "f";
  const auto result =
      run("class Workflow:\n    def __init__(self, name, llm_config, dataset): self.d = dataset\n"
          "    async def __call__(self, problem): return "
          "extract_code('x\\n```python\\ncode\\n```') + problem\n",
          worker, job);
  EXPECT_EQ(result.answer, "codeP") << result.error;
}

TEST(WorkflowHost, ErrorsCarryTypeMessageAndLine) {
  const auto result = run_body("return {}['k']");
  EXPECT_EQ(result.status, Status::kWorkflowError);
  EXPECT_EQ(result.error, "KeyError: k (line 7, in __call__)");
  EXPECT_EQ(run_body("x = (").error.substr(0, 11), "SyntaxError");
  ScriptedWorker worker;
  EXPECT_EQ(run("x = 1", worker).error.substr(0, 9), "NameError");
  EXPECT_EQ(run_body("return 1, 2").error.substr(0, 9), "TypeError");
  EXPECT_EQ(run_body("return object()").error, "UNSERIALISABLE object");
}

TEST(WorkflowHost, BudgetsEndTheWorkflowAsLimits) {
  WorkflowJob job;
  job.budget.max_calls = 3;
  const std::string loop =
      "for _ in range(100):\n    await self.llm.call_llm(messages=['x'], num_of_response=2)\n";
  auto result = run_body(loop, job);
  EXPECT_EQ(result.status, Status::kLimit);
  EXPECT_EQ(result.error, "number of call_llm exceeds the budget of 3");
  EXPECT_EQ(result.usage.calls, 3);
  job.budget.max_calls = 100;
  job.budget.max_tokens = 50;
  EXPECT_EQ(run_body(loop, job).error, "number of tokens exceeds the budget of 50");
  job.budget.max_tokens = 10000;
  job.budget.max_usd = 0.6;
  EXPECT_EQ(run_body(loop, job).usage.calls, 3);
  job.budget.max_responses_per_call = 1;
  EXPECT_EQ(run_body(loop, job).error, "num_of_response exceeds the budget of 1");
  job.budget.wall_ms = 300;
  EXPECT_EQ(run_body("import asyncio\nawait asyncio.sleep(100)", job).error,
            "TIME_WALL: more than 300 ms");
}

// Takes what it is allowed to take, up to 100 tokens.
WorkerReply greedy_reply(const WorkerRequest& request) {
  WorkerReply reply;
  reply.texts = {"x"};
  reply.completion_tokens = std::min<int64_t>(request.max_tokens, 100);
  reply.usd = std::min(request.max_usd, 1.0);
  reply.lowered = request.max_tokens < 100 || request.max_usd < 1;
  return reply;
}

// Ten at once, of which each may take 100 tokens and one dollar.
TEST(WorkflowHost, CallsThatBudgetsHaveNoRoomForWaitAndAreThenLowered) {
  const std::string ten =
      "import asyncio\n"
      "await asyncio.gather(*[self.llm.call_llm(messages=[str(i)]) for i in range(10)])\n"
      "return 'done', 0.0";
  ScriptedWorker worker(greedy_reply, 5);
  worker.most = {100, 1};
  WorkflowJob job;
  job.budget.max_tokens = 430;
  auto result = run(workflow_code(ten), worker, job);
  EXPECT_EQ(result.status, Status::kLimit);
  EXPECT_EQ(result.error, "number of tokens exceeds the budget of 430");
  EXPECT_EQ(result.usage.completion_tokens, 430);
  EXPECT_EQ(worker.num_requests, 5);
  ASSERT_EQ(result.trace.size(), 5u);
  EXPECT_FALSE(result.trace[3].contains("lowered"));
  EXPECT_TRUE(result.trace[4].at("lowered").get<bool>());

  job.budget.max_tokens = 10000;
  job.budget.max_usd = 2.5;
  result = run(workflow_code(ten), worker, job);
  EXPECT_EQ(result.error, "cost in USD exceeds the budget of 2.5");
  EXPECT_DOUBLE_EQ(result.usage.usd, 2.5);

  job.budget.max_usd = 10;
  result = run(workflow_code(ten), worker, job);
  EXPECT_EQ(result.answer, "done") << result.error;
  EXPECT_EQ(result.usage.completion_tokens, 1000);
}

TEST(WorkflowHost, APromptThatTheBudgetLeavesNothingForEndsTheWorkflow) {
  ScriptedWorker worker([](const WorkerRequest&) {
    WorkerReply reply;
    reply.status = WorkerReply::Status::kLimit;
    reply.error = "a prompt of 90 tokens leaves nothing";
    return reply;
  });
  const auto result = run(workflow_code("await self.llm.call_llm(messages=['x'])"), worker);
  EXPECT_EQ(result.status, Status::kLimit);
  EXPECT_EQ(result.error, "budget: a prompt of 90 tokens leaves nothing");
}

TEST(WorkflowHost, WorkerRefusalsAreExceptionsAndItsFailuresInfrastructure) {
  const auto with = [](WorkerReply::Status status) {
    ScriptedWorker worker([status](const WorkerRequest&) {
      WorkerReply reply;
      reply.status = status;
      reply.error = "too long";
      return reply;
    });
    return run(workflow_code("try:\n    await self.llm.call_llm(messages=['x'])\n"
                             "except RuntimeError as error:\n    return str(error), 0.0"),
               worker);
  };
  EXPECT_EQ(with(WorkerReply::Status::kRefused).answer, "too long");
  const auto lost = with(WorkerReply::Status::kInfrastructure);
  EXPECT_EQ(lost.status, Status::kInfrastructure);
  EXPECT_EQ(lost.error, "worker: too long");
}

TEST(WorkflowHost, AWorkerThatHangsIsInfrastructureAndNoLimitOfTheWorkflow) {
  ScriptedWorker worker({}, /*delay_ms=*/1600);
  WorkflowJob job;
  job.budget.wall_ms = 1500;
  const auto hung =
      run(workflow_code("return (await self.llm.call_llm(messages=['x']))[0], 0.0"), worker, job);
  EXPECT_EQ(hung.status, Status::kInfrastructure);
  EXPECT_EQ(hung.error, "worker: it left a call unanswered; TIME_WALL: more than 1500 ms");
}

TEST(WorkflowHost, ManyWaitingWorkflowsShareOneThread) {
  ScriptedWorker worker({}, 300);
  WorkflowHost host(test::shared_sandbox(), test::shared_judge(), worker, 40);
  std::vector<std::promise<WorkflowResult>> promises(60);
  for (size_t i = 0; i < promises.size(); ++i) {
    WorkflowJob job;
    job.code = workflow_code("return (await self.llm.call_llm(messages=[problem]))[0], 0.0");
    job.problem = std::to_string(i);
    host.start(job, [&promises, i](WorkflowResult r) { promises[i].set_value(std::move(r)); });
  }
  for (size_t i = 0; i < promises.size(); ++i) {
    EXPECT_EQ(promises[i].get_future().get().answer, std::to_string(i) + "#0");
  }
}

TEST(WorkflowHost, AdmitsOnlyAsManyAsTheMemoryHolds) {
  std::atomic<int> ended{0};
  ScriptedWorker worker(
      [](const WorkerRequest&) {
        WorkerReply reply;
        reply.texts = {"x"};
        return reply;
      },
      50);
  // Room for two budgets of 64 MB and what a process costs beside them, not for three.
  WorkflowHost host(test::shared_sandbox(), test::shared_judge(), worker, 64, 150);
  std::vector<std::promise<WorkflowResult>> promises(6);
  for (auto& promise : promises) {
    WorkflowJob job;
    job.code = workflow_code("return (await self.llm.call_llm(messages=['x']))[0], 0.0");
    host.start(job, [&](WorkflowResult r) {
      ++ended;
      promise.set_value(std::move(r));
    });
  }
  int most = 0;  // that have asked the worker and not ended, so never counted too high
  while (ended < static_cast<int>(promises.size())) {
    const int asked = worker.num_requests;
    most = std::max(most, asked - ended);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_LE(most, 2);
  for (auto& promise : promises) EXPECT_EQ(promise.get_future().get().answer, "x");
  WorkflowJob large;
  large.budget.memory_mb = 147;
  large.code = workflow_code("return 'x'");
  const auto refused = host.run(large);
  EXPECT_EQ(refused.status, Status::kInfrastructure);
  EXPECT_EQ(refused.error, "a budget of 147 MB exceeds the 150 MB for all workflows");
}

TEST(WorkflowHost, TheSameSeedGivesTheSameRandomNumbersAndWorkerSeeds) {
  const auto answer = [](uint64_t seed) {
    ScriptedWorker worker([](const WorkerRequest& request) {
      WorkerReply reply;
      reply.texts = {std::to_string(request.seed)};
      return reply;
    });
    WorkflowJob job;
    job.seed = seed;
    return run(workflow_code("import random\nt = await self.llm.call_llm(messages=['x'])\n"
                             "return f'{random.random()} {t[0]}', 0.0"),
               worker, job)
        .answer;
  };
  EXPECT_EQ(answer(1), answer(1));
  EXPECT_NE(answer(1), answer(2));
}

TEST(WorkflowHost, ShutsDownWithWorkflowsRunning) {
  ScriptedWorker worker({}, 60000);
  std::promise<WorkflowResult> promise;
  {
    WorkflowHost host(test::shared_sandbox(), test::shared_judge(), worker);
    WorkflowJob job;
    job.code = workflow_code("await self.llm.call_llm(messages=['x'])");
    host.start(job, [&promise](WorkflowResult r) { promise.set_value(std::move(r)); });
    while (worker.num_requests == 0) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_EQ(promise.get_future().get().status, Status::kInfrastructure);
  EXPECT_EQ(worker.num_cancelled, 1);
}

}  // namespace
}  // namespace weft
