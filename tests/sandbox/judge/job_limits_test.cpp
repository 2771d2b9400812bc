// Limits of a whole job, and what a job costs outside of it.
#include <gtest/gtest.h>

#include "base/error.h"
#include "sandbox/judge/judge.h"
#include "sandbox/judge/judge_program.h"
#include "tests/sandbox/jail_support.h"

namespace weft {
namespace {

using test::call_request;
using test::call_test;

Verdict run(const JudgeRequest& request) { return test::shared_judge().run(request); }

std::string names_of(const Verdict& verdict) {
  std::string names;
  for (const auto& test : verdict.tests) names += test.name() + " ";
  return names;
}

std::string refusal_of(const JudgeRequest& request) {
  try {
    run(request);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

TEST(JobLimits, TheDefaultIsTheTimeOfAllTestsAndAMinuteAtMost) {
  Limits limits;
  EXPECT_EQ(limits.job_wall_limit_ms(1), 8000);
  EXPECT_EQ(limits.job_wall_limit_ms(3), 24000);
  EXPECT_EQ(limits.job_wall_limit_ms(100), 60000);
  limits.wall_ms = 100;
  EXPECT_EQ(limits.job_wall_limit_ms(3), 300);
  limits.job_wall_ms = 100000;
  EXPECT_EQ(limits.job_wall_limit_ms(3), 100000);
}

TEST(JobLimits, TestsBeyondTheTimeOfTheJobAreSkipped) {
  auto request = call_request("import time\ndef f(x):\n    time.sleep(0.4)\n    return x\n");
  for (int i = 0; i < 50; ++i) request.tests.push_back(call_test(i, i));
  request.limits.job_wall_ms = 2000;
  const Verdict call = run(request);
  const auto most = static_cast<int>(5 * test::shared_sandbox().time_scale());
  EXPECT_GE(call.passed, 1);
  EXPECT_LE(call.passed, most);
  const auto& last = call.tests[static_cast<size_t>(call.passed)];
  EXPECT_EQ(last.name(), "TIME_WALL");
  EXPECT_EQ(last.detail, "job_wall_ms");
  EXPECT_EQ(call.tests.back().name(), "SKIPPED");

  request.code = "import time\ntime.sleep(0.4)\nprint(1)\n";
  request.mode = Mode::kStdio;
  for (auto& test : request.tests) test = Json{{"input", ""}, {"output", "1"}};
  const Verdict stdio = run(request);
  EXPECT_LE(stdio.passed, most);
  EXPECT_EQ(stdio.tests.back().name(), "SKIPPED");
}

TEST(JobLimits, TheTimeOfACheckerIsNotTheCandidates) {
  auto request = call_request("def f(x): return x\n");
  request.mode = Mode::kJudge;
  request.checker =
      "import time\ndef check(candidate, test):\n    time.sleep(0.5)\n    candidate(1)\n"
      "    time.sleep(0.5)\n    return True\n";
  request.limits.job_wall_ms = 1500;
  request.tests = {Json{{"n", 1}}, Json{{"n", 2}}, Json{{"n", 3}}};
  EXPECT_EQ(run(request).row_verdict(), "PASS");
}

TEST(JobLimits, RestartsShareTheTimeOfTheJob) {
  auto request = call_request("import os, time\ndef f(x):\n    time.sleep(1)\n    os._exit(0)\n");
  for (int i = 0; i < 3; ++i) request.tests.push_back(call_test(i, i));
  request.limits.job_wall_ms = 1200;
  const Verdict verdict = run(request);
  EXPECT_LT(static_cast<double>(verdict.wall_ms), 2500 * test::shared_sandbox().time_scale());
  EXPECT_EQ(verdict.passed, 0);
}

TEST(JobLimits, WhoAsksWhetherAllPassNeedsNoTestAfterAFailure) {
  auto request = call_request("def f(x):\n    return x if x != 1 else 1 / 0\n");
  request.tests = {call_test(0, 0), call_test(1, 1), call_test(2, 2)};
  EXPECT_EQ(names_of(run(request)), "PASS ERROR(ZeroDivisionError) PASS ");
  request.stop_at_first_failure = true;
  EXPECT_EQ(names_of(run(request)), "PASS ERROR(ZeroDivisionError) SKIPPED ");
  request.code = "import os\ndef f(x):\n    return x if x != 1 else os._exit(2)\n";
  EXPECT_EQ(names_of(run(request)), "PASS EXIT(2) SKIPPED ");
  request.mode = Mode::kJudge;
  request.checker = "def check(candidate, test): return test['n'] != 1\n";
  request.tests = {Json{{"n", 0}}, Json{{"n", 1}}, Json{{"n", 2}}};
  EXPECT_EQ(names_of(run(request)), "PASS WRONG SKIPPED ");
  request.mode = Mode::kStdio;
  request.code = "print(input())";
  request.tests = {Json{{"input", "1"}, {"output", "1"}}, Json{{"input", "1"}, {"output", "2"}},
                   Json{{"input", "1"}, {"output", "1"}}};
  EXPECT_EQ(names_of(run(request)), "PASS WRONG SKIPPED ");
}

TEST(JobLimits, AProgramThatExhaustsLimitsIsTriedThreeTimes) {
  auto request = call_request("while True: pass\n");
  request.mode = Mode::kStdio;
  for (int i = 0; i < 5; ++i) request.tests.push_back(Json{{"input", ""}, {"output", ""}});
  EXPECT_EQ(names_of(run(request)), "TIME_CPU TIME_CPU TIME_CPU SKIPPED SKIPPED ");
  request.code = "while True: print('x' * 1000)\n";
  EXPECT_EQ(names_of(run(request)), "OUTPUT SKIPPED SKIPPED SKIPPED SKIPPED ");
  request.code = "1 / 0\n";
  EXPECT_EQ(run(request).tests.back().name(), "ERROR(ZeroDivisionError)");
}

TEST(JobLimits, TheTestsOfATaskAreReadOnce) {
  Judge& judge = test::shared_judge();
  auto request = call_request("def f(x): return 7 * x\n");
  request.tests = {call_test(11, 77), Json{{"code", "assert f(12) == 84"}}};
  const int64_t before = judge.num_tests_prepared();
  for (const char* code : {"def f(x): return 7 * x\n", "def f(x): return x * 7\n"}) {
    request.code = code;
    EXPECT_EQ(judge.run(request).row_verdict(), "PASS");
  }
  EXPECT_EQ(judge.num_tests_prepared(), before + 2);
  request.tests[0]["expected"] = 78;  // another test is another task's
  EXPECT_EQ(judge.run(request).row_verdict(), "WRONG");
  EXPECT_EQ(judge.num_tests_prepared(), before + 4);
  request.entry_point = "g";  // of which the assert is none
  EXPECT_THROW(judge.run(request), InputError);
}

TEST(JobLimits, WhatIsTooLargeIsNamedWithItsCap) {
  auto request = call_request("def f(x): return 1\n");
  request.tests = {call_test(0, std::string(9 << 20, 'x'))};
  EXPECT_NE(
      refusal_of(request).find("test 0: expected: 9437189 bytes, a value has at most 8388608"),
      std::string::npos)
      << refusal_of(request).substr(0, 200);
  Json deep = 1;
  for (int i = 0; i < 101; ++i) deep = Json::array({deep});
  request.tests = {call_test(deep, 1)};
  EXPECT_NE(refusal_of(request).find("test 0: args: nested deeper, a value has at most 100"),
            std::string::npos)
      << refusal_of(request);
  request.tests = {call_test(0, Json{{"$int", std::string(1000001, '9')}})};
  EXPECT_NE(refusal_of(request).find("test 0: \"$int\": an integer of 1000001 digits, expected at "
                                     "most 1000000"),
            std::string::npos)
      << refusal_of(request);
  request.tests = {call_test(0, 1)};
  request.code = "#" + std::string(9 << 20, 'x');
  EXPECT_NE(refusal_of(request).find("code and setup: "), std::string::npos);
  request.code = "def f(x): return [0] * 2000000\n";
  EXPECT_EQ(run(request).tests[0].detail,
            "too large: a value has at most 1000000 items, 8388608 bytes and a depth of 100");
}

TEST(JobLimits, RowsSayByWhatTheirTimesWereScaled) {
  auto request = call_request("def f(x): return x\n");
  request.tests = {call_test(1, 1)};
  const Json row = to_json(run(request));
  EXPECT_EQ(row["time_scale"], test::shared_sandbox().time_scale());
}

TEST(JobLimits, RowsOfJudgeSetThem) {
  const auto parse = [](const std::string& limits) {
    return parse_judge_row(
        parse_json(R"({"id":1,"code":"","entry_point":"f","tests":[{}],"limits":)" + limits +
                       R"(,"stop_at_first_failure":true})",
                   "t"),
        "t");
  };
  EXPECT_EQ(parse(R"({"job_wall_ms":5000})").limits.job_wall_ms, 5000);
  EXPECT_TRUE(parse("{}").stop_at_first_failure);
  EXPECT_EQ(parse("{}").limits.scratch_limit_mb("A"), 16);
  EXPECT_EQ(parse("{}").limits.scratch_limit_mb("C"), 0);
  EXPECT_EQ(parse(R"({"scratch_mb":0})").limits.scratch_limit_mb("A"), 0);
  EXPECT_THROW(parse(R"({"scratch_mb":-1})"), InputError);
  EXPECT_THROW(parse(R"({"job_wall_ms":-5})"), InputError);
}

}  // namespace
}  // namespace weft
