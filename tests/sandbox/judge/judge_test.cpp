#include "sandbox/judge/judge.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <future>
#include <thread>
#include <utility>

#include "base/error.h"
#include "tests/sandbox/jail_support.h"

namespace weft {
namespace {

using test::call_request;
using test::call_test;

Verdict run(const JudgeRequest& request) { return test::shared_judge().run(request); }

std::string verdict_of(const std::string& code, Json test) {
  auto request = call_request(code);
  request.tests = {std::move(test)};
  return run(request).row_verdict();
}

TEST(Judge, PassesHonestCodeAndCountsTests) {
  auto request = call_request("def f(x):\n    return 2 * x\n");
  request.tests = {call_test(2, 4), call_test(3, 7), call_test(4, 8)};
  const Verdict verdict = run(request);
  EXPECT_EQ(verdict.passed, 2);
  EXPECT_EQ(verdict.declared, 3);
  EXPECT_EQ(verdict.row_verdict(), "WRONG");
  EXPECT_EQ(verdict.tests[1].got, "6");
  EXPECT_DOUBLE_EQ(verdict.pass_rate(), 2.0 / 3);
  EXPECT_FALSE(verdict.weak);
  EXPECT_EQ(verdict.tier, test::shared_sandbox().tier());
}

TEST(Judge, ArgumentsAndValuesKeepTheirTypes) {
  const Json value = parse_json(
      R"([{"$tuple":[1,{"$set":[2]}]},{"$int":"123456789012345678901234567890"},{"$bytes":"AP8="},"é\u0000",
          {"$float":"inf"},{"$dict":[[1,null]]},{"$complex":[1.0,2.0]},{"$frozenset":["a"]}])",
      "t");
  auto request =
      call_request("def f(x, *, key):\n    assert type(x[0]) is tuple\n    return [x, key]\n");
  request.tests = {Json{{"args", {value}}, {"kwargs", {{"key", 1}}}, {"expected", {value, 1}}}};
  EXPECT_EQ(run(request).row_verdict(), "PASS");
}

TEST(Judge, CollectionsThatAreDictsCountAsDicts) {
  EXPECT_EQ(verdict_of("from collections import Counter\ndef f(x): return Counter(x)",
                       call_test("aab", Json{{"a", 2}, {"b", 1}})),
            "PASS");
}

TEST(Judge, ReportsExceptionsWithTypeMessageAndLine) {
  auto request = call_request("def g():\n    raise ValueError('bad', 3)\ndef f(x):\n    g()\n");
  request.tests = {call_test(1, 1)};
  const Verdict verdict = run(request);
  EXPECT_EQ(verdict.row_verdict(), "ERROR(ValueError)");
  EXPECT_EQ(verdict.tests[0].error_message, "bad, 3");
  EXPECT_EQ(verdict.tests[0].traceback, (std::vector<std::string>{"line 4, in f", "line 2, in g"}));
}

TEST(Judge, NamesSyntaxErrorsAndMissingEntryPoints) {
  EXPECT_EQ(verdict_of("def f(:", call_test(1, 1)), "ERROR(SyntaxError)");
  EXPECT_EQ(verdict_of("def g(x): return x", call_test(1, 1)), "NO_ENTRY");
  EXPECT_EQ(verdict_of("raise RuntimeError('x')", call_test(1, 1)), "ERROR(RuntimeError)");
}

TEST(Judge, ASyntaxErrorHasItsLineHoweverItWasRaised) {
  const std::pair<const char*, const char*> errors[] = {
      {"x = 1\ndef f(x)\n    return 1\n", "expected ':' (line 2)"},
      {"x = 1\n\n  y = 2\n", "unexpected indent (line 3)"},
      {"def f(x): return compile('1\\n1 +', 'g', 'exec')\n", "invalid syntax (line 2)"},
      {"def f(x):\n    try: compile('1 +', 'g', 'exec')\n    except SyntaxError as e: raise e\n",
       "invalid syntax (line 1)"},
      {"def f(x): raise SyntaxError('own')\n", "own"},
      {"def f(x): raise SyntaxError('own', ('g', None, 1, 'x'))\n", "own"}};
  for (const auto& [code, said] : errors) {
    auto request = call_request(code);
    request.tests = {call_test(1, 1)};
    EXPECT_EQ(run(request).tests[0].error_message, said) << code;
  }
}

TEST(Judge, ATimeoutOrCrashFailsItsTestAndGoesOnAtTheNext) {
  auto request = call_request(
      "import os\ndef f(x):\n    if x == 1:\n        while True: pass\n    if x == 2: "
      "os._exit(1)\n    return x\n");
  request.tests = {call_test(0, 0), call_test(1, 1), call_test(2, 2), call_test(3, 3)};
  const Verdict verdict = run(request);
  EXPECT_EQ(verdict.passed, 2);
  EXPECT_EQ(verdict.tests[1].name(), "TIME_CPU");
  EXPECT_EQ(verdict.tests[2].name(), "EXIT(1)");
  EXPECT_EQ(verdict.tests[3].name(), "PASS");
}

// Both threads use up CPU time at once, hashing without the interpreter's lock.
TEST(Judge, TheCpuLimitHoldsForThreadsTogether) {
  auto request = call_request(
      "import hashlib, threading\n"
      "def burn(): hashlib.pbkdf2_hmac('sha256', b'a', b'b', 20000000)\n"
      "def f(x):\n    threading.Thread(target=burn, daemon=True).start()\n    burn()\n");
  request.limits.cpu_ms = 1000;
  request.tests = {call_test(1, 1)};
  const Verdict verdict = run(request);
  EXPECT_EQ(verdict.row_verdict(), "TIME_CPU");
  EXPECT_LT(static_cast<double>(verdict.cpu_ms), 1500 * test::shared_sandbox().time_scale());
}

TEST(Judge, StopsAfterTwoRestarts) {
  auto request = call_request("import os\ndef f(x): os._exit(0)\n");
  for (int i = 0; i < 5; ++i) request.tests.push_back(call_test(i, i));
  const Verdict verdict = run(request);
  EXPECT_EQ(verdict.tests[2].name(), "EXIT(0)");
  EXPECT_EQ(verdict.tests[3].name(), "SKIPPED");
}

TEST(Judge, ReadsAssertsOutsideOfTheCandidate) {
  auto request = call_request("def f(x, y=0):\n    return (x, y)\n");
  request.tests = {Json{{"code", "assert f(1, y=[2]) == (1, [2])"}},
                   Json{{"code", "assert (1, 0) == f(1)"}},
                   Json{{"code", "assert f(1) == (2, 0)"}}};
  const Verdict verdict = run(request);
  EXPECT_EQ(verdict.passed, 2);
  EXPECT_EQ(verdict.tests[2].name(), "WRONG");
}

TEST(Judge, RefusesCodeTestsOfAnotherForm) {
  for (const char* code : {"assert f(g(1)) == 2", "assert f(1)", "x = f(1)", "assert g(1) == 2",
                           "assert f(1) == 2; print()", "assert f(1) == 2 == 2"}) {
    auto request = call_request("def f(x): return x\n");
    request.tests = {Json{{"code", code}}};
    EXPECT_THROW(run(request), InputError) << code;
  }
}

TEST(Judge, RefusesMalformedRequests) {
  const auto refused = [](Json test, Mode mode = Mode::kCall) {
    auto request = call_request("x");
    request.mode = mode;
    request.tests = {std::move(test)};
    EXPECT_THROW(run(request), InputError);
  };
  refused(Json{{"args", 1}, {"expected", 1}});
  refused(Json{{"args", Json::array()}});
  refused(Json{{"args", Json::array()}, {"expected", 1}, {"compare", "fuzzy"}});
  refused(Json{{"input", ""}}, Mode::kStdio);
  refused(Json{{"code", "pass"}}, Mode::kInproc);
  refused(Json{{"x", 1}}, Mode::kJudge);
  auto request = call_request("x");
  request.limits.cpu_ms = 0;
  EXPECT_THROW(run(request), InputError);
}

TEST(Judge, StdioComparesOutputAndGivesEachTestAFreshProcess) {
  JudgeRequest request = call_request(
      "import sys, threading\nseen = []\ndef main():\n    n = int(input())\n    seen.append(n)\n"
      "    print(sum(seen), len(sys.stdin.read()))\nif __name__ == '__main__':\n"
      "    threading.Thread(target=main).start()\n");
  request.mode = Mode::kStdio;
  request.tests = {Json{{"input", "3\nab"}, {"output", "3 2"}},
                   Json{{"input", "4\n"}, {"output", "4\n0\n"}},
                   Json{{"input", "5\n"}, {"output", "6 0"}}, Json{{"input", "x"}, {"output", ""}}};
  const Verdict verdict = run(request);
  EXPECT_EQ(verdict.tests[0].name(), "PASS");
  EXPECT_EQ(verdict.tests[1].name(), "PASS");
  EXPECT_EQ(verdict.tests[2].name(), "WRONG");
  request.code = "n = int(input())\nexit()\n";
  request.tests = {Json{{"input", "x"}, {"output", "1"}}, Json{{"input", "1"}, {"output", "1"}}};
  const Verdict other = run(request);
  EXPECT_EQ(other.tests[0].name(), "ERROR(ValueError)");
  EXPECT_EQ(other.tests[1].name(), "WRONG");
}

TEST(Judge, ACheckerInItsOwnSlotDecides) {
  JudgeRequest request = call_request("def f(n):\n    return [1, n - 1] if n != 9 else 1 / 0\n");
  request.mode = Mode::kJudge;
  request.checker =
      "def check(candidate, test):\n    parts = candidate(test['n'])\n    return sum(parts) == "
      "test['n']\n";
  request.tests = {Json{{"n", 5}}, Json{{"n", 9}}, Json{{"n", 7}}};
  const Verdict verdict = run(request);
  EXPECT_EQ(verdict.passed, 2);
  EXPECT_EQ(verdict.tests[1].name(), "ERROR(ZeroDivisionError)");
  request.code = "def f(n):\n    while n == 5: pass\n    return [n + 1]\n";
  const Verdict bad = run(request);
  EXPECT_EQ(bad.tests[0].name(), "TIME_CPU");
  EXPECT_EQ(bad.tests[1].name(), "WRONG");
  EXPECT_EQ(bad.passed, 0);
}

TEST(Judge, TheLimitsAreThoseOfATestAndNotOfEachCallOfTheChecker) {
  JudgeRequest request = call_request(
      "import time\ndef f(busy_s):\n    end = time.process_time() + busy_s\n"
      "    while time.process_time() < end: pass\n    return 0\n");
  request.mode = Mode::kJudge;
  request.checker =
      "import time\ndef check(candidate, test):\n    for _ in range(test['calls']):\n"
      "        candidate(test['busy_s'])\n        time.sleep(test['pause_s'])\n    return True\n";
  const auto test = [](int calls, double busy_s, double pause_s) {
    return Json{{"calls", calls}, {"busy_s", busy_s}, {"pause_s", pause_s}};
  };
  request.tests = {test(100, 0.1, 0), test(2, 0.05, 0)};  // 10 s; the limit is 0.2 s, scaled
  const Verdict busy = run(request);
  EXPECT_EQ(busy.tests[0].name(), "TIME_CPU");
  EXPECT_EQ(busy.tests[1].name(), "PASS");
  request.limits.wall_ms = 500;
  request.tests = {test(3, 0, 8 * 0.5)};  // while the checker works, the candidate has no limit
  EXPECT_EQ(run(request).row_verdict(), "PASS");
}

TEST(Judge, TheWaitForASlotIsNoTimeOfTheJob) {
  auto request = call_request("import time\ndef f(x):\n    time.sleep(1)\n    return x\n");
  request.tests = {call_test(1, 1)};
  std::promise<Verdict> first;
  Judge& judge = test::shared_judge();
  judge.submit(request, [&first](Verdict v) { first.set_value(std::move(v)); });
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  request.code = "def f(x): return x\n";
  EXPECT_LT(judge.run(request).wall_ms, 500);
  EXPECT_EQ(first.get_future().get().passed, 1);
}

TEST(Judge, ACancelledRequestEndsWithItsTestsSkipped) {
  auto request = call_request("import time\ndef f(x):\n    time.sleep(x)\n    return x\n");
  request.limits.wall_ms = 20000;
  request.tests = {call_test(0, 0), call_test(10, 10), call_test(0, 0)};
  auto cancelled = std::make_shared<std::atomic<bool>>(false);
  request.cancelled = cancelled;
  std::promise<Verdict> running, waiting;
  Judge& judge = test::shared_judge();
  judge.submit(request, [&running](Verdict v) { running.set_value(std::move(v)); });
  judge.submit(request, [&waiting](Verdict v) { waiting.set_value(std::move(v)); });
  std::this_thread::sleep_for(std::chrono::milliseconds(1000));
  *cancelled = true;
  auto done = waiting.get_future();
  ASSERT_EQ(done.wait_for(std::chrono::seconds(4)), std::future_status::ready);
  const Verdict first = running.get_future().get(), second = done.get();
  EXPECT_EQ(first.passed, 1);
  EXPECT_EQ(first.row_verdict(), "SKIPPED");
  EXPECT_EQ(first.tests[2].name(), "SKIPPED");
  EXPECT_EQ(second.passed, 0);
  EXPECT_EQ(second.row_verdict(), "SKIPPED");
  EXPECT_FALSE(first.infra || second.infra);
}

TEST(Judge, ACheckersFaultIsNoVerdictOnTheAnswer) {
  JudgeRequest request = call_request("def f(n): return n\n");
  request.mode = Mode::kJudge;
  request.tests = {Json{{"n", 5}}, Json{{"n", 6}}};
  const std::pair<std::string, std::string> faults[] = {
      {"def check(c, t):\n    return c(t['n']) == 5 or t['m']\n", "ERROR(KeyError) m; line 2"},
      {"import nowhere\ndef check(c, t): return True\n", "ERROR(ModuleNotFoundError)"},
      {"def check(:", "ERROR(SyntaxError)"},
      {"x = 1", "it defines no function check"},
      {"import os\ndef check(c, t): os._exit(0)\n", "EXIT(0)"},
      {"def check(c, t): return 0.5\n", "check() gave 0.5, expected True or False"},
      {"def check(c, t): return 1\n", "check() gave 1, expected"},
      {"def check(c, t): c(t['n'])\n", "check() gave None, expected"},
      {"def check(c, t): return object()\n", "UNSERIALISABLE"},
      {"def check(c, t): return c(c) == 5\n", "ERROR(TypeError)"}};
  for (const auto& [checker, message] : faults) {
    request.checker = checker;
    const Verdict verdict = run(request);
    EXPECT_TRUE(verdict.infra) << checker;
    for (const TestResult& test : verdict.tests) {
      EXPECT_EQ(test.name(), "INFRA") << checker;
      EXPECT_NE(test.detail.find("the checker: "), std::string::npos) << test.detail;
      EXPECT_NE(test.detail.find(message), std::string::npos) << test.detail;
    }
  }
}

TEST(Judge, ACheckerSaysNoByFalseOrByAnAssertion) {
  JudgeRequest request = call_request("def f(n): return n if n != 9 else 1 / 0\n");
  request.mode = Mode::kJudge;
  request.tests = {Json{{"n", 5}}, Json{{"n", 6}}, Json{{"n", 9}}};
  for (const char* checker : {"def check(c, t):\n    return c(t['n']) == 5\n",
                              "def check(c, t):\n    assert c(t['n']) == 5\n    return True\n"}) {
    request.checker = checker;
    const Verdict verdict = run(request);
    EXPECT_FALSE(verdict.infra);
    EXPECT_EQ(verdict.tests[0].name(), "PASS");
    EXPECT_EQ(verdict.tests[1].name(), "WRONG");
    EXPECT_EQ(verdict.tests[2].name(), "ERROR(ZeroDivisionError)");
  }
}

TEST(Judge, OnlyWhatACandidateRaisesMayBeExpectedOfIt) {
  JudgeRequest request = call_request("");
  request.mode = Mode::kJudge;
  request.checker =
      "def check(candidate, test):\n    try:\n        candidate(-1)\n"
      "    except Exception:\n        return True\n    return False\n";
  request.tests = {Json{{"n", 1}}, Json{{"n", 2}}};
  const std::pair<const char*, const char*> ends[] = {
      {"raise ValueError", "PASS"},
      {"import os; os._exit(0)", "EXIT(0)"},
      {"import sys; sys.exit(0)", "ERROR(SystemExit)"},
      {"raise KeyboardInterrupt", "ERROR(KeyboardInterrupt)"},
      {"return object()", "UNSERIALISABLE"},
      {"return bytearray(1 << 33)", "MEMORY"},
      {"while True: pass", "TIME_CPU"}};
  for (const auto& [body, name] : ends) {
    request.code = std::string("def f(n):\n    ") + body + "\n";
    const Verdict verdict = run(request);
    EXPECT_FALSE(verdict.infra) << body;
    EXPECT_EQ(verdict.tests[0].name(), name) << body;
    EXPECT_EQ(verdict.tests[1].name(), name) << body;
  }
}

TEST(Judge, InprocIsWeakAndNeedsPermission) {
  auto options = test::sandbox_options();
  options.allow_inproc = true;
  Sandbox sandbox(options);
  Judge judge(sandbox);
  JudgeRequest request = call_request("def f(x): return x\n");
  request.mode = Mode::kInproc;
  request.tests = {Json{{"code", "assert f(1) == 1"}}, Json{{"code", "assert f(1) == 2"}}};
  const Verdict verdict = judge.run(request);
  EXPECT_TRUE(verdict.weak);
  EXPECT_EQ(verdict.passed, 1);
  EXPECT_EQ(verdict.tests[1].name(), "ERROR(AssertionError)");
  EXPECT_EQ(to_json(verdict)["integrity"], "weak");
}

TEST(Judge, TierBHoldsTheSameLocksWithoutUserNamespaces) {
  if (geteuid() != 0) GTEST_SKIP() << "tier B needs root";
  auto options = test::sandbox_options();
  options.max_tier = "B";
  Sandbox sandbox(options);
  EXPECT_EQ(sandbox.tier(), "B");
  Judge judge(sandbox);
  auto request = call_request("def f(x): return x\n");
  request.tests = {call_test(1, 1)};
  EXPECT_EQ(judge.run(request).row_verdict(), "PASS");
}

TEST(Judge, SubmitRunsOnTwoSlotsAndSaysWhatIsMalformed) {
  Sandbox sandbox(test::sandbox_options(2));
  Judge judge(sandbox);
  std::vector<std::promise<Verdict>> promises(20);
  for (size_t i = 0; i < promises.size(); ++i) {
    auto request = call_request("def f(x): return x\n");
    request.tests = {i == 7 ? Json{{"args", 1}} : call_test(1, i % 2)};
    judge.submit(request, [&promises, i](Verdict v) { promises[i].set_value(std::move(v)); });
  }
  for (size_t i = 0; i < promises.size(); ++i) {
    const Verdict verdict = promises[i].get_future().get();
    EXPECT_EQ(verdict.infra, i == 7);
    EXPECT_EQ(verdict.refusal.substr(0, 20), i == 7 ? "test 0: field \"args\"" : "");
    EXPECT_EQ(verdict.passed, i % 2 && i != 7);
  }
}

TEST(Judge, RebuildsASlotWhoseZygoteWasKilled) {
  Sandbox sandbox(test::sandbox_options());
  Judge judge(sandbox);
  auto request = call_request("def f(x): return x\n");
  request.tests = {call_test(1, 1)};
  ASSERT_EQ(judge.run(request).row_verdict(), "PASS");
  const auto shared = test::descendants();
  for (const int pid : shared) kill(pid, SIGKILL);
  const Verdict verdict = judge.run(request);
  EXPECT_EQ(verdict.row_verdict(), "PASS");
  EXPECT_FALSE(verdict.infra);
}

TEST(Sandbox, RefusesUnknownTiersAndMissingZygotes) {
  auto options = test::sandbox_options();
  options.min_tier = "D";
  EXPECT_THROW(Sandbox{options}, InputError);
  options = test::sandbox_options();
  options.zygote_path = "/nonexistent/zygote";
  EXPECT_THROW(Sandbox{options}, Error);
  options = test::sandbox_options(0);
  EXPECT_THROW(Sandbox{options}, InputError);
}

}  // namespace
}  // namespace weft
