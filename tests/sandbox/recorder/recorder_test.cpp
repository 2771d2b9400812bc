#include "sandbox/recorder/recorder.h"

#include <gtest/gtest.h>

#include "tests/sandbox/jail_support.h"

namespace weft {
namespace {

Recording record(const ReferenceTask& task) {
  Limits limits;
  limits.cpu_ms = 5000;
  return Recorder(test::shared_sandbox(), limits).record(task);
}

Recording record_check(const std::string& code, const std::string& body) {
  ReferenceTask task;
  task.code = code;
  task.entry_point = "f";
  task.tests = {"def check(candidate):\n    " + body + "\n"};
  return record(task);
}

Recording record_asserts(const std::string& code, std::vector<std::string> tests,
                         const std::string& before = "") {
  ReferenceTask task;
  task.form = ReferenceTask::Form::kAsserts;
  task.code = code;
  task.tests = std::move(tests);
  task.before = before;
  return record(task);
}

Json json(const char* text) { return parse_json(text, "t"); }

Verdict judge(const std::string& code, const Recording& recording) {
  auto request = test::call_request(code, recording.entry_point);
  request.limits.cpu_ms = 2000;
  request.tests = recording.tests;
  return test::shared_judge().run(request);
}

constexpr const char* kPair = "def f(x, y=0):\n    return (x, [y])\n";

TEST(Recorder, AnAssertedEqualityBecomesArgumentsAndTheExpectedValue) {
  const auto recording = record_check(kPair, "assert candidate(1, y={2}) == (1, [{2}]), 'text'");
  ASSERT_EQ(recording.tests.size(), 1u);
  EXPECT_EQ(recording.tests[0], json(R"json({"args":[1],"kwargs":{"y":{"$set":[2]}},
                                         "expected":{"$tuple":[1,[{"$set":[2]}]]}})json"));
  EXPECT_EQ(recording.entry_point, "f");
  EXPECT_EQ(judge(kPair, recording).row_verdict(), "PASS");
}

TEST(Recorder, LoopsAndComputedArgumentsAreRecordedAsTheyRun) {
  const auto recording = record_check(
      "def f(x):\n    x.append(0)\n    return len(x)\n",
      "for n in range(3):\n        assert candidate([n] * n) == n + 1\n    assert True, 'text'");
  ASSERT_EQ(recording.tests.size(), 3u);
  EXPECT_EQ(recording.tests[2], json(R"json({"args":[[2,2]],"expected":3})json"));
  EXPECT_TRUE(recording.problems.empty());
}

TEST(Recorder, TolerancesBecomeComparers) {
  const auto recording = record_asserts(
      "import math\ndef half(x):\n    return x / 2\n",
      {"assert abs(half(3) - 1.5) < 1e-6", "assert math.isclose(half(1), 0.5, rel_tol=0.001)"});
  ASSERT_EQ(recording.tests.size(), 2u);
  EXPECT_EQ(recording.tests[0], json(R"json({"args":[3],"compare":{"abs":1e-6,"rel":0.0},
                                         "expected":1.5})json"));
  EXPECT_EQ(recording.tests[1]["compare"], json(R"json({"abs":0.0,"rel":0.001})json"));
  EXPECT_EQ(recording.entry_point, "half");
}

TEST(Recorder, WhatLooksAtTheValueIsEvaluatedBesideTheCandidateWithoutTheExpectedValue) {
  const auto recording =
      record_asserts("def f(x):\n    return tuple(x)\n",
                     {"assert set(f([2, 1])) == set([1, 2])", "assert not f([])", "assert f([1])"});
  ASSERT_EQ(recording.tests.size(), 3u);
  EXPECT_EQ(recording.tests[0],
            json(R"json({"call":"set(f([2, 1]))","expected":{"$set":[1,2]}})json"));
  EXPECT_EQ(recording.tests[1], json(R"json({"call":"bool(f([]))","expected":false})json"));
  EXPECT_EQ(judge("def f(x):\n    return x[::-1]\n", recording).row_verdict(), "PASS");
  EXPECT_EQ(judge("def f(x):\n    return x[:1]\n", recording).passed, 2);
}

TEST(Recorder, ArgumentsThatAreObjectsAreMadeBesideTheCandidate) {
  const std::string code =
      "class Node:\n    def __init__(self, n):\n        self.n = n\n"
      "def value(node):\n    return node.n\n";
  const auto recording = record_asserts(
      code, {"assert value(root) == 5", "assert value(Node(3)) == 3"}, "root = Node(5)");
  ASSERT_EQ(recording.tests.size(), 2u);
  EXPECT_EQ(recording.tests[0],
            json(R"json({"call":"value(root)","before":"root = Node(5)","expected":5})json"));
  EXPECT_EQ(judge(code, recording).row_verdict(), "PASS");
}

TEST(Recorder, CallsOutsideOfAssertsAreRecordedWithTheReferencesValue) {
  const auto recording = record_check(
      "def f(x):\n    return x ** 0.5\n",
      "root = candidate(2)\n    assert abs(root * root - 2) < 1e-4\n    candidate(16)");
  ASSERT_EQ(recording.tests.size(), 2u);
  EXPECT_EQ(recording.tests[0]["compare"], json(R"json({"abs":0.001,"rel":0.0})json"));
  EXPECT_EQ(recording.tests[1], json(R"json({"args":[16],"expected":4.0,
                                         "compare":{"abs":1e-6,"rel":1e-7}})json"));
}

TEST(Recorder, InputsAreRecordedWithTheReferencesValueHoweverMany) {
  ReferenceTask task;
  task.form = ReferenceTask::Form::kInputs;
  task.code = "def f(x, y):\n    return [x / 2, y]\n";
  task.entry_point = "f";
  for (int i = 0; i < 250; ++i) task.inputs.push_back(Json::array({i, "y"}));
  const auto recording = record(task);
  ASSERT_EQ(recording.tests.size(), 250u);
  EXPECT_EQ(recording.tests[201]["expected"], json(R"json([100.5,"y"])json"));
  EXPECT_EQ(recording.tests[201]["compare"]["abs"], 1e-6);
}

TEST(Recorder, NamesWhatCannotBeRecorded) {
  EXPECT_EQ(record_check(kPair, "assert candidate(1) == 1").problems,
            std::vector<std::string>{"the reference fails: candidate(1) == 1"});
  EXPECT_EQ(record_check("def f(x):\n    return f\n", "assert candidate(1) == f").problems.size(),
            1u);
  const auto broken = record_check("def f(x):\n    return 1 / 0\n", "assert candidate(1) == 1");
  ASSERT_EQ(broken.problems.size(), 1u);
  EXPECT_NE(broken.problems[0].find("ZeroDivisionError"), std::string::npos);
  EXPECT_TRUE(broken.tests.empty());
  EXPECT_EQ(record_asserts("def f(x): return x\n", {"assert g(1) == 1"}).tests.size(), 0u);
}

}  // namespace
}  // namespace weft
