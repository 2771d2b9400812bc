// One program a case in tests/sandbox/hostile/, named by the case of docs/sandbox.md. Its head says
// what is expected:
//   # expect: VERDICT|VERDICT   of the first failing test; HELD = the program found nothing
//   # passed: N                 tests that may pass (default 0)
//   # limits: {...}             as in a judge row
//   # compare: ...              as in a test (default exact)
//   # runs: N                   so many times on the one slot, each with that outcome (default 1)
//   # peak_mb: N                resident memory stays below
//   # driven: NAME              run by that case of another test only
// @MARKER@ stands for a file outside. twin_NNN.py uses the same means honestly and must pass.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/file.h"
#include "sandbox/judge/judge_program.h"
#include "tests/sandbox/jail_support.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

struct Attack {
  std::string code;
  std::vector<std::string> expected;
  int passed = 0;
  Json limits = Json::object();
  Json compare = "exact";
  int runs = 1;
  double peak_mb = 1e9;
  bool driven = false;
};

Attack load_attack(const std::string& name, const std::string& marker = "") {
  Attack attack;
  attack.code = test::hostile_program(name);
  for (size_t at; (at = attack.code.find("@MARKER@")) != std::string::npos;) {
    attack.code.replace(at, 8, marker);
  }
  std::istringstream lines(attack.code);
  for (std::string line; std::getline(lines, line) && line.starts_with("# ");) {
    const size_t colon = line.find(": ");
    const std::string key = line.substr(2, colon - 2), value = line.substr(colon + 2);
    if (key == "expect") {
      std::istringstream parts(value);
      for (std::string part; std::getline(parts, part, '|');) attack.expected.push_back(part);
    }
    if (key == "passed") attack.passed = std::stoi(value);
    if (key == "limits") attack.limits = parse_json(value, name);
    if (key == "compare") attack.compare = parse_json(value, name);
    if (key == "runs") attack.runs = std::stoi(value);
    if (key == "peak_mb") attack.peak_mb = std::stod(value);
    if (key == "driven") attack.driven = true;
  }
  return attack;
}

std::vector<std::string> attack_names() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(test::source_dir() / "tests/sandbox/hostile")) {
    const std::string name = entry.path().stem().string();
    if (name.starts_with("case_") && !load_attack(name).driven) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

JudgeRequest request_of(const Attack& attack) {
  auto request = test::call_request(attack.code);
  request.limits.output_bytes = 100000;
  request.limits.wall_ms = 20000;  // CPU limits are met first, on a busy machine too
  for (const auto& [key, value] : attack.limits.items()) {
    if (key == "max_procs") request.limits.max_procs = value;
    if (key == "cpu_ms") request.limits.cpu_ms = value;
    if (key == "wall_ms") request.limits.wall_ms = value;
    if (key == "memory_mb") request.limits.memory_mb = value;
    if (key == "scratch_mb") request.limits.scratch_mb = value;
  }
  request.tests = {test::call_test(2, 4), test::call_test(3, 6)};
  for (auto& test : request.tests) test["compare"] = attack.compare;
  return request;
}

void expect_held(const Attack& attack, const Verdict& verdict) {
  const std::string name = verdict.row_verdict();
  if (attack.expected[0] == "HELD") {
    EXPECT_EQ(name, "PASS") << to_json(verdict).dump();
  } else {
    EXPECT_EQ(verdict.passed, attack.passed) << to_json(verdict).dump();
    EXPECT_NE(std::find(attack.expected.begin(), attack.expected.end(), name),
              attack.expected.end())
        << to_json(verdict).dump();
  }
  EXPECT_FALSE(verdict.infra) << to_json(verdict).dump();
  EXPECT_LT(verdict.peak_mb, attack.peak_mb);
}

// Passes on the same slot, in every flavour of it.
void expect_honest_programs_pass() {
  for (const char* code :
       {"def f(x):\n    return 2 * x\n", "import re\ndef f(x):\n    return 2 * x\n"}) {
    auto honest = test::call_request(code);
    honest.tests = {test::call_test(2, 4), test::call_test(3, 6)};
    EXPECT_EQ(test::shared_judge().run(honest).row_verdict(), "PASS");
  }
}

class Hostile : public testing::TestWithParam<std::string> {};

TEST_P(Hostile, IsHeldAndLeavesTheSlotClean) {
  Judge& judge = test::shared_judge();
  const test::TempDir outside;
  const std::string marker = (outside / "marker").string();
  write_file_atomically(marker, "untouched");
  const Attack attack = load_attack(GetParam(), marker);
  ASSERT_FALSE(attack.expected.empty());
  expect_honest_programs_pass();
  const auto processes = test::descendants();
  const int descriptors = test::num_open_descriptors();

  auto request = request_of(attack);
  if (attack.expected[0] == "HELD") request.tests = {test::call_test(2, "held")};
  for (int i = 0; i < attack.runs && !HasFailure(); ++i) expect_held(attack, judge.run(request));

  expect_honest_programs_pass();
  EXPECT_EQ(test::descendants(), processes);  // the same zygotes, and nothing else
  EXPECT_EQ(test::num_open_descriptors(), descriptors);
  EXPECT_EQ(read_file(marker), "untouched");
}

TEST_P(Hostile, ItsHonestTwinPasses) {
  const Attack twin = load_attack("twin_" + GetParam().substr(5, 3));
  auto request = request_of(twin);
  request.limits.cpu_ms = std::max<int64_t>(request.limits.cpu_ms, 1000);
  const Verdict verdict = test::shared_judge().run(request);
  EXPECT_EQ(verdict.row_verdict(), "PASS") << to_json(verdict).dump();
}

class HostileBare : public testing::TestWithParam<std::string> {};

// Where it has no folder to write in, a program that finds nothing may fail, but never answers
// otherwise.
TEST_P(HostileBare, IsHeldWithoutAScratchFolder) {
  const Attack attack = load_attack(GetParam(), "/nowhere");
  auto request = request_of(attack);
  request.limits.scratch_mb = 0;
  const bool finds_nothing = attack.expected[0] == "HELD";
  if (finds_nothing) request.tests = {test::call_test(2, "held")};
  const Verdict verdict = test::shared_judge().run(request);
  EXPECT_FALSE(verdict.infra) << to_json(verdict).dump();
  if (finds_nothing) {
    EXPECT_NE(verdict.row_verdict(), "WRONG") << to_json(verdict).dump();
  } else {
    EXPECT_EQ(verdict.passed, attack.passed) << to_json(verdict).dump();
  }
  expect_honest_programs_pass();
}

std::vector<std::string> names_with_a_default_folder() {
  auto names = attack_names();
  std::erase_if(names, [](const std::string& name) {
    return load_attack(name).limits.contains("scratch_mb");
  });
  return names;
}

INSTANTIATE_TEST_SUITE_P(Program, HostileBare, testing::ValuesIn(names_with_a_default_folder()),
                         [](const auto& info) { return info.param; });

INSTANTIATE_TEST_SUITE_P(Program, Hostile, testing::ValuesIn(attack_names()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace weft
