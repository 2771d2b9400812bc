// Attacks through the workflow's channel; cases as numbered in docs/sandbox.md.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cstdlib>
#include <future>
#include <memory>

#include "sandbox/workflow/workflow_process.h"
#include "tests/sandbox/jail_support.h"
#include "tests/sandbox/workflow/scripted_worker.h"

namespace weft {
namespace {

using Status = WorkflowResult::Status;
using test::ScriptedWorker;
using test::workflow_code;

long peak_kb() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

class HostileWorkflow : public testing::Test {
 protected:
  WorkflowResult run(const std::string& body, WorkflowJob job = {}) {
    job.code = workflow_code(body);
    job.problem = "P";
    return host_.run(std::move(job));
  }
  // The honest twin, beside which nothing else lives.
  void TearDown() override {
    const auto result = run("return (await self.llm.call_llm(messages=['x']))[0], 0.0");
    EXPECT_EQ(result.answer, "x#0") << result.error;
  }

  std::future<WorkflowResult> start(const std::string& body, WorkflowJob job = {}) {
    job.code = workflow_code(body);
    auto promise = std::make_shared<std::promise<WorkflowResult>>();
    host_.start(job, [promise](WorkflowResult r) { promise->set_value(std::move(r)); });
    return promise->get_future();
  }
  ScriptedWorker worker_{{}, 20};
  ScriptedWorker slow_worker_{{}, 30000};
  WorkflowHost host_{test::shared_sandbox(), test::shared_judge(), worker_};
};

// A run that fails by infrastructure is left out of the reward: no workflow may bring that about.
TEST_F(HostileWorkflow, Case065NothingAskedOfExecCodeIsInfrastructure) {
  WorkflowJob job;
  job.entry_point = "f";
  job.public_tests = {Json{{"code", "assert f(2) == 4"}}};
  const std::string good = "'def f(x): return 2 * x'";
  EXPECT_EQ(run("return exec_code(" + good + ", 'another'), 0.0", job).answer, "no error");
  const std::string told = "try:\n    return str(exec_code(" + good +
                           ", '')), 0.0\nexcept RuntimeError as error:\n    return str(error), 0.0";
  for (const Json& test :
       {Json{{"code", "assert f(g(2)) == 4"}}, Json{{"args", 1}}, Json{{"checks", "f"}}, Json(1)}) {
    job.public_tests = {test};
    const auto result = run(told, job);
    EXPECT_EQ(result.status, Status::kAnswered) << test << result.error;
    EXPECT_EQ(result.answer.substr(0, 17), "exec_code: test 0") << test << result.answer;
  }
  job.entry_point = "";
  job.public_tests = {Json{{"code", "assert f(2) == 4"}}};
  EXPECT_EQ(run(told, job).answer.substr(0, 9), "exec_code");
}

TEST_F(HostileWorkflow, Case066AMillionCallsEndAtTheBudget) {
  const auto result = run(
      "import asyncio\n"
      "await asyncio.gather(*[self.llm.call_llm(messages=['x' * 1000]) for _ in range(100000)])");
  EXPECT_EQ(result.status, Status::kLimit);
  EXPECT_EQ(result.usage.calls, 32);
}

TEST_F(HostileWorkflow, Case066InvalidCallsAreChargedToo) {
  const auto result =
      run("import _weft\nfor _ in range(1000000):\n    _weft.request('call_llm', 1)");
  EXPECT_EQ(result.status, Status::kLimit);
}

TEST_F(HostileWorkflow, Case066AHugePromptIsRefused) {
  WorkflowJob job;
  job.budget.memory_mb = 256;
  const auto result = run("await self.llm.call_llm(messages=['x' * 20000000])", job);
  EXPECT_EQ(result.error.substr(0, 10), "ValueError") << result.error;
}

TEST_F(HostileWorkflow, Case066AFloodOfFramesEndsTheJobAtOnce) {
  for (const char* type : {"15", "16"}) {  // those of a job that has locked itself, has loaded
    const auto result = run(std::string("import os, struct\nframes = struct.pack('<III', 0, ") +
                            type + ", 0) * 5000\nwhile True: os.write(3, frames)");
    EXPECT_EQ(result.status, Status::kWorkflowError) << type;
    EXPECT_EQ(result.error, "PROTOCOL: an unexpected frame") << type;
    EXPECT_LT(result.wall_ms, 5000) << type;
  }
}

TEST_F(HostileWorkflow, Case066BytesAreBoundedWithinTheBudgetOfCallsToo) {
  WorkflowJob job;
  job.budget.max_calls = 100000;
  const long before_kb = peak_kb();
  const auto large =
      run("import _weft\nwhile True: _weft.request('call_llm', b'x' * 8000000)", job);
  EXPECT_EQ(large.status, Status::kWorkflowError);
  EXPECT_EQ(large.error, "PROTOCOL: more than 64 MiB of requests");
  EXPECT_EQ(large.usage.calls, 8);
  const auto many = run("await self.llm.call_llm(messages=[''] * 100000)", job);
  EXPECT_EQ(many.error.substr(0, 11), "WorkerError") << many.error;
  EXPECT_EQ(worker_.num_requests, 0);
  EXPECT_LT(peak_kb() - before_kb, 512 * 1024);
}

TEST_F(HostileWorkflow, Case066FloodsHoldNobodyUp) {
  WorkflowJob job;
  job.budget.max_calls = 100000;
  std::future<WorkflowResult> floods[3];
  for (auto& flood : floods) {
    flood = start("import _weft\nwhile True: _weft.request('call_llm', b'x' * 100000)", job);
  }
  const auto honest = run("return (await self.llm.call_llm(messages=['x']))[0], 0.0");
  EXPECT_EQ(honest.answer, "x#0") << honest.error;
  EXPECT_LT(honest.wall_ms, 5000);
  for (auto& flood : floods) {
    const auto result = flood.get();
    EXPECT_EQ(result.status, Status::kWorkflowError) << result.error;
  }
}

TEST_F(HostileWorkflow, Case068RunsOfCodeEndWithTheirWorkflow) {
  WorkflowJob job;
  job.entry_point = "f";
  job.public_tests = {test::call_test(2, 4), test::call_test(3, 6)};
  job.budget.wall_ms = 1000;
  const auto result = run("exec_code('import time\\ndef f(x): time.sleep(7)', 'f')", job);
  EXPECT_EQ(result.error, "TIME_WALL: more than 1000 ms");
  EXPECT_LT(result.wall_ms, 4000);
  auto next = test::call_request("def f(x): return 2 * x\n");
  next.tests = {test::call_test(2, 4)};
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(test::shared_judge().run(next).row_verdict(), "PASS");
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(3));
}

TEST_F(HostileWorkflow, Case068ADeadWorkflowsRunsLeaveTheQueue) {
  auto slow = test::call_request("import time\ndef f(x):\n    time.sleep(6)\n    return 2 * x\n");
  slow.limits.wall_ms = 20000;
  slow.tests = {test::call_test(2, 4)};
  std::promise<Verdict> reward;
  test::shared_judge().submit(slow, [&](Verdict v) { reward.set_value(std::move(v)); });
  WorkflowJob job;
  job.public_tests = {test::call_test(2, 4)};
  const auto result = run(
      "import os, _weft\n_weft.request('exec_code', 'def f(x): return 4', 'f')\nos._exit(0)", job);
  EXPECT_EQ(result.error, "ended without an answer, exit 0");
  EXPECT_LT(result.wall_ms, 4000);  // and not until a slot is free
  EXPECT_EQ(reward.get_future().get().row_verdict(), "PASS");
}

TEST_F(HostileWorkflow, Case068AWorkflowRunsOneCodeAtATime) {
  WorkflowJob job;
  job.entry_point = "f";
  job.public_tests = {test::call_test(2, 4)};
  const auto result =
      run("import _weft\n"
          "slow = 'import time\\ntime.sleep(0.5)\\ndef f(x): return 4'\n"
          "ids = [_weft.request('exec_code', slow, 'f') for _ in range(3)]\n"
          "replies = dict(_weft.receive(True) for _ in ids)\n"
          "return str([replies[i] for i in ids]), 0.0",
          job);
  const std::string refused = "(False, 'an exec_code of this workflow is running')";
  EXPECT_EQ(result.answer, "[(True, 'no error'), " + refused + ", " + refused + "]")
      << result.error;
  EXPECT_EQ(result.usage.execs, 3);
}

TEST_F(HostileWorkflow, Case067ForgedAndInterleavedFramesEndTheJob) {
  EXPECT_EQ(
      run("import os\nos.write(3, b'x' * 100)\nimport asyncio\nawait asyncio.sleep(10)").error,
      "PROTOCOL: a malformed frame");
  const std::string same_id =
      "import os, struct\ndef text(s): return b's' + struct.pack('<I', len(s)) + s\n"
      "slow = b'import time\\ntime.sleep(0.5)'\n"
      "body = b't' + struct.pack('<I', 3) + text(b'exec_code') + text(slow) + text(b'')\n"
      "for _ in range(2):\n    os.write(3, struct.pack('<III', len(body), 24, 7) + body)\n"
      "import asyncio\nawait asyncio.sleep(10)";
  WorkflowJob job;
  job.public_tests = {test::call_test(1, 1)};
  EXPECT_EQ(run(same_id, job).error, "PROTOCOL: a malformed request");
}

TEST_F(HostileWorkflow, Case067RepliesToItselfEndOnlyItsOwnJob) {
  auto beside = start(
      "texts = await self.llm.call_llm(messages=['y'])\nimport asyncio\n"
      "await asyncio.sleep(1)\nreturn texts[0], 0.0");
  const std::string frames =
      "import os, struct, asyncio\ndef frame(type, id, body):\n"
      "    return struct.pack('<III', len(body), type, id) + body\n";
  const std::string canned = "b't' + struct.pack('<I', 2) + b'T' + b's\\2\\0\\0\\0me'";
  EXPECT_EQ(run(frames +
                "call = asyncio.ensure_future(self.llm.call_llm(messages=['x']))\n"
                "await asyncio.sleep(0)\nos.write(3, frame(4, 1, " +
                canned + "))\nreturn (await call)[0], 0.0")
                .error,
            "PROTOCOL: a malformed frame");
  EXPECT_EQ(run(frames + "whole = frame(24, 7, b'x' * 30)\nos.write(3, whole[:20])\n"
                         "os.write(3, frame(24, 8, b'x' * 30))\nos.write(3, whole[20:])\n"
                         "await asyncio.sleep(10)")
                .error.substr(0, 8),
            "PROTOCOL");
  EXPECT_EQ(beside.get().answer, "y#0");
}

TEST_F(HostileWorkflow, Case068DeathCancelsItsCallsAndTheirCostIsCounted) {
  WorkflowHost host(test::shared_sandbox(), test::shared_judge(), slow_worker_);
  WorkflowJob job;
  job.budget.max_calls = 50;
  job.problem = "P";
  job.code = workflow_code(
      "import asyncio, os\n"
      "for _ in range(50):\n    asyncio.ensure_future(self.llm.call_llm(messages=['x']))\n"
      "await asyncio.sleep(0.1)\nos._exit(0)");
  const auto result = host.run(job);
  EXPECT_EQ(result.status, Status::kWorkflowError);
  EXPECT_EQ(result.error, "ended without an answer, exit 0");
  EXPECT_EQ(slow_worker_.num_cancelled, 50);
  EXPECT_EQ(result.usage.completion_tokens, 50);
  EXPECT_LT(result.wall_ms, 5000);
}

TEST_F(HostileWorkflow, Case068BeingKilledWithCallsOpenLeavesNothingBehind) {
  WorkflowHost host(test::shared_sandbox(), test::shared_judge(), slow_worker_);
  const auto once = [&host] {
    WorkflowJob job;
    job.budget.max_calls = 50;
    job.budget.cpu_ms = 1000;
    job.code = workflow_code(
        "import asyncio\n"
        "for _ in range(50):\n    asyncio.ensure_future(self.llm.call_llm(messages=['x']))\n"
        "await asyncio.sleep(0.1)\nwhile True: pass");
    const auto result = host.run(job);
    EXPECT_EQ(result.error, "TIME_CPU: more than 1000 ms");
    EXPECT_EQ(result.usage.calls, 50);
    EXPECT_EQ(result.usage.completion_tokens, 50);
  };
  once();
  const auto processes = test::descendants();
  const int descriptors = test::num_open_descriptors();
  once();
  EXPECT_EQ(slow_worker_.num_cancelled, 100);
  EXPECT_EQ(test::descendants(), processes);
  EXPECT_EQ(test::num_open_descriptors(), descriptors);
}

TEST_F(HostileWorkflow, Case069ExecutedCodeHasNoChannelToAskFor) {
  WorkflowJob job;
  job.public_tests = {test::call_test(2, 4)};
  const std::string quoted = dump_json(Json(test::hostile_program("case_069_executes_workflows")));
  const auto result = run("return str(exec_code(" + quoted + ", 'f')), 0.0", job);
  EXPECT_NE(result.answer.find("ModuleNotFoundError"), std::string::npos)
      << result.answer << result.error;
  EXPECT_EQ(result.usage.execs, 1);
}

TEST_F(HostileWorkflow, Case070NeverReturningEndsAtTheWallLimit) {
  WorkflowJob job;
  job.budget.wall_ms = 300;
  EXPECT_EQ(run("import asyncio\nawait asyncio.Event().wait()", job).status, Status::kLimit);
}

TEST_F(HostileWorkflow, Case071ABusyLoopEndsAtTheCpuLimit) {
  WorkflowJob job;
  job.budget.cpu_ms = 300;
  const auto result = run("while True: pass", job);
  EXPECT_EQ(result.status, Status::kLimit);
  EXPECT_EQ(result.error, "TIME_CPU: more than 300 ms");
}

TEST_F(HostileWorkflow, Case071ABlockedLoopEndsDuringItsCallAndHoldsNobodysCallsUp) {
  WorkflowJob job;
  job.budget.cpu_ms = 3000;
  std::future<WorkflowResult> blocked[2];
  for (auto& each : blocked) {
    each = start(
        "import asyncio\nasyncio.ensure_future(self.llm.call_llm(messages=['x']))\n"
        "await asyncio.sleep(0)\nwhile True: pass",
        job);
  }
  const auto other =
      run("for _ in range(10):\n    await self.llm.call_llm(messages=['x'])\nreturn 'served', 0.0");
  EXPECT_EQ(other.answer, "served") << other.error;
  // A host that a blocked workflow held would serve the other one only after its end.
  for (auto& each : blocked) {
    EXPECT_EQ(each.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  }
  for (auto& each : blocked) {
    const auto result = each.get();
    EXPECT_EQ(result.error, "TIME_CPU: more than 3000 ms");
    EXPECT_EQ(result.usage.calls, 1);
  }
}

TEST_F(HostileWorkflow, Case072BudgetsAreNotTheWorkflowsToSet) {
  WorkflowJob job;
  job.budget.max_calls = 1;
  const auto result =
      run("self.llm.config = {'max_calls': 1000}\n"
          "llm = create_llm_instance({'max_calls': 1000, 'budget': None})\n"
          "await llm.call_llm(messages=['x'])\nawait llm.call_llm(messages=['x'])",
          job);
  EXPECT_EQ(result.status, Status::kLimit);
  EXPECT_EQ(result.usage.calls, 1);
}

TEST_F(HostileWorkflow, Case073RewritingTheHelpersFoolsOnlyItself) {
  const auto result =
      run("import weft\nasync def canned(*a, **k): return ['free']\n"
          "weft._ask = canned\nweft._Llm.call_llm = canned\n"
          "weft.exec_code = lambda *a: 'no error'\n"
          "return (await self.llm.call_llm(messages=['x']))[0], 0.0");
  EXPECT_EQ(result.answer, "free");
  EXPECT_EQ(result.usage.calls, 0);
}

TEST_F(HostileWorkflow, Case031ForksAndThreadsAreRefused) {
  EXPECT_EQ(run("import os\nos.fork()").error.substr(0, 15), "PermissionError");
  EXPECT_EQ(run("import threading\nthreading.Thread(target=print).start()").error.substr(0, 12),
            "RuntimeError");
}

TEST_F(HostileWorkflow, Case034MemoryEndsAtTheBudget) {
  EXPECT_EQ(run("x = []\nwhile True: x.append(bytearray(b'x' * 1000000))").error.substr(0, 11),
            "MemoryError");
}

TEST_F(HostileWorkflow, Case041AFloodOfOutputEndsTheJob) {
  EXPECT_EQ(run("while True: print('x' * 10000)").error.substr(0, 6), "OUTPUT");
}

TEST_F(HostileWorkflow, Case055SignalsReachNobody) {
  const auto result =
      run("import os\nfor pid in (0, -1, 1, 2, 3):\n    try:\n        os.kill(pid, 9)\n        "
          "return 'sent', 0.0\n"
          "    except (PermissionError, ProcessLookupError):\n        pass\nreturn 'held', 0.0");
  EXPECT_EQ(result.answer, "held") << result.error;
}

}  // namespace
}  // namespace weft
