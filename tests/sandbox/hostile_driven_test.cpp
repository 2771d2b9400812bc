// Cases that need more than one run of one program, as numbered in docs/sandbox.md.
#include <gtest/gtest.h>
#include <signal.h>

#include <cstdlib>
#include <future>
#include <thread>

#include "sandbox/recorder/recorder.h"
#include "sandbox/workflow/workflow_process.h"
#include "tests/sandbox/jail_support.h"
#include "tests/sandbox/workflow/scripted_worker.h"

namespace weft {
namespace {

using test::call_request;
using test::call_test;
using test::hostile_program;

TEST(HostileDriven, Case015PatchedUnittestIsFlaggedWeakAndMissingTestsFail) {
  auto options = test::sandbox_options();
  options.allow_inproc = true;
  Sandbox sandbox(options);
  Judge judge(sandbox);
  auto request = call_request(hostile_program("case_015_patched_unittest"));
  request.mode = Mode::kInproc;
  const std::string test =
      "import unittest\nclass Case(unittest.TestCase):\n    def test(self):\n"
      "        self.assertEqual(f(1), 2)\nresult = unittest.TestResult()\n"
      "unittest.defaultTestLoader.loadTestsFromTestCase(Case).run(result)\n"
      "assert result.wasSuccessful() and result.testsRun == 1\n";
  request.tests = {Json{{"code", test}}};
  const Verdict patched = judge.run(request);
  EXPECT_TRUE(patched.weak);
  EXPECT_EQ(patched.row_verdict(), "ERROR(AssertionError)");
  request.code = "import os\ndef f(x):\n    os._exit(0)\n";
  request.tests = {Json{{"code", test}}, Json{{"code", test}}};
  const Verdict gone = judge.run(request);
  EXPECT_EQ(gone.passed, 0);
  EXPECT_EQ(gone.declared, 2);
  request.code = "def f(x):\n    return 2 * x\n";
  EXPECT_EQ(judge.run(request).row_verdict(), "PASS");
}

TEST(HostileDriven, Case019FindsNoSecretInItsMemory) {
  const std::string bait = "canary-bait-0123456789abcdef";
  setenv("WEFT_TEST_KEY", "canary-secret-0123456789abcdef", 1);
  Sandbox sandbox(test::sandbox_options());
  Judge judge(sandbox);
  auto request = call_request(hostile_program("case_019_scans_memory"));
  request.limits.cpu_ms = 5000;
  request.tests = {call_test(bait, Json::array({bait})),
                   call_test(bait, "canary-expected-0123456789abcdef")};
  const Verdict verdict = judge.run(request);
  unsetenv("WEFT_TEST_KEY");
  EXPECT_EQ(verdict.tests[0].name(), "PASS") << dump_json(to_json(verdict));
  EXPECT_EQ(verdict.tests[1].name(), "WRONG") << dump_json(to_json(verdict));
}

TEST(HostileDriven, Case029OddValuesCompareAsDeclared) {
  const Json tolerance = {{"abs", 1e-9}};
  const Json nan = {{"$float", "nan"}}, tuple = {{"$tuple", {1, 2}}};
  struct Row {
    const char* name;
    Json expected, compare;
    const char* verdict;
  };
  const Row rows[] = {
      {"nan", nan, "exact", "WRONG"},
      {"nan in list", Json::array({nan}), "exact", "WRONG"},
      {"nan", nan, tolerance, "WRONG"},
      {"inf", {{"$float", "inf"}}, "exact", "PASS"},
      {"inf", 1e308, tolerance, "WRONG"},
      {"inf", {{"$float", "-inf"}}, tolerance, "WRONG"},
      {"-0.0", 0, "exact", "PASS"},
      {"True", 1, "exact", "PASS"},
      {"2.0", 2, "exact", "PASS"},
      {"tuple", {1, 2}, "exact", "WRONG"},
      {"tuple", {1, 2}, "lenient_sequences", "PASS"},
      {"list", tuple, "exact", "WRONG"},
      {"list", {2, 1}, "multiset", "PASS"},
      {"list", {2, 2}, "multiset", "WRONG"},
      {"dict", {{"a", 2}, {"b", 1}}, "exact", "PASS"},
      {"set", {{"$set", {1, 3}}}, "exact", "PASS"},
      {"set", {{"$frozenset", {3, 1}}}, "exact", "PASS"},
      {"set", {1, 3}, "exact", "WRONG"},
      {"big", {{"$float", "inf"}}, "exact", "WRONG"},
      {"big", 9007199254740992.0, "exact", "WRONG"},
      {"big float", 9007199254740992, "exact", "PASS"},
      {"bytes", "a", "exact", "WRONG"},
      {"str", "a", "exact", "PASS"},
      {"None", false, "exact", "WRONG"},
      {"0.3", 0.3, "exact", "WRONG"},
      {"0.3", 0.3, tolerance, "PASS"},
      {"nested", Json::array({{1, {2}}}), "lenient_sequences", "PASS"},
  };
  auto request = call_request(hostile_program("case_029_odd_values"));
  for (const auto& row : rows) {
    request.tests.push_back(call_test(row.name, row.expected));
    request.tests.back()["compare"] = row.compare;
  }
  const Verdict verdict = test::shared_judge().run(request);
  for (size_t i = 0; i < std::size(rows); ++i) {
    EXPECT_EQ(verdict.tests[i].name(), rows[i].verdict)
        << rows[i].name << " against " << rows[i].expected << " by " << rows[i].compare;
  }
}

TEST(HostileDriven, Case030OddAnswersAreDecodedOrFailed) {
  auto request = call_request(hostile_program("case_030_odd_answers"));
  request.limits.cpu_ms = 2000;
  for (const char* name : {"digits", "surrogate", "many", "key", "bytes", "minus"}) {
    request.tests.push_back(call_test(name, 1));
  }
  request.tests.push_back(call_test("nul", std::string("a\0b", 3)));
  const auto start = std::chrono::steady_clock::now();
  const Verdict verdict = test::shared_judge().run(request);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
  for (size_t i = 0; i < 6; ++i) EXPECT_EQ(verdict.tests[i].name(), "WRONG") << i;
  EXPECT_EQ(verdict.tests[6].name(), "PASS");
  EXPECT_EQ(verdict.tests[0].got.substr(0, 6), "int of");
  EXPECT_LT(dump_json(to_json(verdict)).size(), 10000u);
}

// Locks on files are granted where there is a folder to write in, and hold nobody off: see below.
TEST(HostileDriven, Case064TwoJobsAtOnceDoNotFindEachOther) {
  Sandbox sandbox(test::sandbox_options(2));
  Judge judge(sandbox);
  for (const int64_t scratch_mb : {0, 4}) {
    if (sandbox.tier() == "C" && scratch_mb > 0) continue;
    const Json granted = scratch_mb > 0 ? Json{"file lock", "record lock"} : Json::array();
    std::promise<Verdict> promises[2];
    for (int i = 0; i < 2; ++i) {
      auto request = call_request(hostile_program("case_064_seeks_others"));
      request.limits.cpu_ms = 2000;
      request.limits.scratch_mb = scratch_mb;
      request.tests = {call_test(i == 0 ? "wait" : "wake", granted)};
      judge.submit(request, [&promises, i](Verdict v) { promises[i].set_value(std::move(v)); });
    }
    for (auto& promise : promises) {
      const Verdict verdict = promise.get_future().get();
      EXPECT_EQ(verdict.row_verdict(), "PASS") << dump_json(to_json(verdict));
    }
  }
}

// With a scratch folder a job may lock files: on those that others share it is told so, no more.
TEST(HostileDriven, Case064LocksOnTheLibraryHoldNobodyOff) {
  Sandbox sandbox(test::sandbox_options(2));
  if (sandbox.tier() == "C") GTEST_SKIP() << "no scratch folder without namespaces";
  Judge judge(sandbox);
  std::promise<Verdict> promises[2];
  for (auto& promise : promises) {
    auto request = call_request(hostile_program("case_064_locks_the_library"));
    request.limits.scratch_mb = 4;
    request.tests = {call_test(0.5, 4)};
    judge.submit(request, [&promise](Verdict v) { promise.set_value(std::move(v)); });
  }
  for (auto& promise : promises) {
    const Verdict verdict = promise.get_future().get();
    EXPECT_EQ(verdict.row_verdict(), "PASS") << dump_json(to_json(verdict));
  }
}

// What a program is given as input is a file that only reads, in no folder, and on no account.
TEST(HostileDriven, Case084StandardInputCannotBeChanged) {
  if (test::shared_sandbox().tier() == "C") GTEST_SKIP() << "no scratch folder without namespaces";
  auto request = call_request(hostile_program("case_084_standard_input"));
  request.mode = Mode::kStdio;
  request.limits.cpu_ms = 2000;
  for (const size_t bytes : {size_t{5}, size_t{20} << 20}) {
    request.tests = {Json{{"input", std::string(bytes, 'i')}, {"output", "held"}}};
    const Verdict verdict = test::shared_judge().run(request);
    EXPECT_EQ(verdict.row_verdict(), "PASS") << dump_json(to_json(verdict));
  }
}

class KilledZygotes : public testing::Test {
 protected:
  // Of the second sandbox only: the shared one's are left alone.
  void SetUp() override {
    const auto others = test::descendants();
    sandbox_ = std::make_unique<Sandbox>(test::sandbox_options(2));
    judge_ = std::make_unique<Judge>(*sandbox_);
    others_ = others;
  }
  void kill_processes(size_t at_most) const {
    for (const int pid : test::descendants()) {
      if (!others_.count(pid) && at_most-- > 0) kill(pid, SIGKILL);
    }
  }
  std::future<Verdict> start(const std::string& code) {
    auto request = call_request(code);
    request.limits.wall_ms = 5000;
    request.tests = {call_test(2, 4)};
    auto promise = std::make_shared<std::promise<Verdict>>();
    judge_->submit(request, [promise](Verdict v) { promise->set_value(std::move(v)); });
    return promise->get_future();
  }

  std::set<int> others_;
  std::unique_ptr<Sandbox> sandbox_;
  std::unique_ptr<Judge> judge_;
};

TEST(HostileDriven, Case065OthersDoNotNoticeAFullPidTable) {
  Sandbox sandbox(test::sandbox_options(2));
  if (sandbox.tier() != "A") GTEST_SKIP() << "slots share a user, and its limit, below tier A";
  Judge judge(sandbox);
  auto request = call_request(hostile_program("case_065_fills_the_pid_table"));
  request.limits.max_procs = 60;
  request.limits.cpu_ms = 2000;
  request.tests = {call_test(2, 4), call_test(3, 6), call_test(4, 8)};
  std::promise<Verdict> promise;
  judge.submit(request, [&promise](Verdict v) { promise.set_value(std::move(v)); });
  auto full = promise.get_future();
  int beside = 0;
  do {
    auto honest = call_request(hostile_program("twin_033"));
    honest.limits.cpu_ms = 1000;
    honest.limits.wall_ms = 20000;
    honest.tests = {call_test(2, 4)};
    const Verdict verdict = judge.run(honest);
    EXPECT_EQ(verdict.row_verdict(), "PASS") << dump_json(to_json(verdict));
    ++beside;
  } while (full.wait_for(std::chrono::seconds(0)) != std::future_status::ready);
  const Verdict verdict = full.get();
  EXPECT_FALSE(verdict.infra);
  EXPECT_EQ(verdict.passed, 0);
  EXPECT_GT(beside, 0);
}

TEST_F(KilledZygotes, Case065ASlotThatLosesItsZygoteIsRebuiltAndTheJobTriedAgain) {
  const std::string slow = "import time\ndef f(x):\n    time.sleep(0.5)\n    return 2 * x\n";
  auto first = start(slow), second = start(slow);
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  kill_processes(1);  // the launcher of a slot, and with it the slot
  for (auto* verdict : {&first, &second}) {
    const Verdict result = verdict->get();
    EXPECT_EQ(result.row_verdict(), "PASS") << dump_json(to_json(result));
    EXPECT_FALSE(result.infra);
  }
}

TEST_F(KilledZygotes, Case065ASlotMayLoseItsZygotesOfEveryFlavour) {
  auto request = call_request("def f(x): return 2 * x\n");
  request.tests = {Json{{"code", "assert f(2) == 4"}}};  // split in one flavour, run in another
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(judge_->run(request).row_verdict(), "PASS");
    kill_processes(SIZE_MAX);
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  const Verdict verdict = judge_->run(request);
  EXPECT_EQ(verdict.row_verdict(), "PASS") << dump_json(to_json(verdict));
}

TEST_F(KilledZygotes, Case065TwoLossesAreInfrastructureAndTheNextJobPasses) {
  auto lost = start("import time\ndef f(x):\n    time.sleep(3)\n    return 2 * x\n");
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (lost.wait_for(std::chrono::milliseconds(100)) != std::future_status::ready &&
         std::chrono::steady_clock::now() < end) {
    kill_processes(SIZE_MAX);
  }
  const Verdict verdict = lost.get();
  EXPECT_TRUE(verdict.infra);
  EXPECT_EQ(verdict.row_verdict(), "INFRA");
  EXPECT_EQ(start("def f(x): return 2 * x\n").get().row_verdict(), "PASS");
}

TEST_F(KilledZygotes, Case065ACheckersZygoteThatDiedIsRebuilt) {
  auto request = call_request("def f(n): return 2 * n\n");
  request.mode = Mode::kJudge;
  request.checker = "def check(candidate, test): return candidate(test['n']) == 2 * test['n']\n";
  request.tests = {Json{{"n", 5}}};
  const auto before = test::descendants();
  ASSERT_EQ(judge_->run(request).row_verdict(), "PASS");
  for (const int pid : test::descendants()) {
    if (!before.count(pid)) kill(pid, SIGKILL);
  }
  for (int i = 0; i < 3; ++i) {
    const Verdict verdict = judge_->run(request);
    EXPECT_EQ(verdict.row_verdict(), "PASS") << dump_json(to_json(verdict));
  }
}

TEST_F(KilledZygotes, Case065ARecordingIsTriedAgain) {
  ReferenceTask task;
  task.code = "import time\ndef f(x):\n    time.sleep(1)\n    return 2 * x\n";
  task.entry_point = "f";
  task.tests = {"def check(candidate):\n    assert candidate(2) == 4\n"};
  auto recording = std::async(std::launch::async, [&] {
    Limits limits;
    limits.cpu_ms = 5000;
    return Recorder(*sandbox_, limits).record(task);
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(400));
  kill_processes(SIZE_MAX);
  EXPECT_EQ(recording.get().tests.size(), 1u);
}

// Of a host with one workflow at a time and three in all.
class KilledWorkflowZygote : public KilledZygotes {
 protected:
  void SetUp() override {
    KilledZygotes::SetUp();
    others_ = test::descendants();
    host_ = std::make_unique<WorkflowHost>(*sandbox_, *judge_, worker_, 1);
    for (auto& promise : promises_) {
      WorkflowJob job;
      job.code = test::workflow_code(
          "import asyncio\ntexts = await self.llm.call_llm(messages=['x'])\n"
          "await asyncio.sleep(1)\nreturn texts[0], 0.0");
      host_->start(job, [&promise](WorkflowResult r) { promise.set_value(std::move(r)); });
    }
  }
  // Kills the zygote of the running workflow as soon as its n-th request has come.
  void kill_at_request(int number) {
    while (worker_.num_requests < number) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    kill_processes(SIZE_MAX);
  }

  test::ScriptedWorker worker_;
  std::promise<WorkflowResult> promises_[3];
  std::unique_ptr<WorkflowHost> host_;
};

TEST_F(KilledWorkflowZygote, Case065TheRunningWorkflowIsTriedAgainAndTheWaitingOnesDoNotNotice) {
  kill_at_request(1);
  for (int i = 0; i < 3; ++i) {
    const auto result = promises_[i].get_future().get();
    EXPECT_EQ(result.answer, "x#0") << result.error;
    EXPECT_EQ(result.usage.calls, i == 0 ? 2 : 1);  // what the lost run cost is not forgotten
  }
}

TEST_F(KilledWorkflowZygote, Case065TwoLossesAreInfrastructureForThatWorkflowAlone) {
  kill_at_request(1);
  kill_at_request(2);
  const auto lost = promises_[0].get_future().get();
  EXPECT_EQ(lost.status, WorkflowResult::Status::kInfrastructure);
  EXPECT_EQ(lost.error, "the zygote died");
  for (int i = 1; i < 3; ++i) EXPECT_EQ(promises_[i].get_future().get().answer, "x#0");
}

}  // namespace
}  // namespace weft
