// One program a case in tests/sandbox/hostile/, named by the case of docs/sandbox.md. Its head says
// what is expected:
//   # expect: VERDICT|VERDICT   of the first failing test; HELD = the program found nothing
//   # passed: N                 tests that may pass (default 0)
//   # limits: {...}             as in a judge row
//   # peak_mb: N                resident memory stays below
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/file.h"
#include "sandbox/judge_program.h"
#include "tests/sandbox/jail_support.h"

namespace weft {
namespace {

namespace fs = std::filesystem;

struct Attack {
  std::string code;
  std::vector<std::string> expected;
  int passed = 0;
  Json limits = Json::object();
  double peak_mb = 1e9;
};

Attack load_attack(const std::string& name) {
  Attack attack;
  attack.code = read_file(test::source_dir() / "tests/sandbox/hostile" / (name + ".py"));
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
    if (key == "peak_mb") attack.peak_mb = std::stod(value);
  }
  return attack;
}

std::vector<std::string> attack_names() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(test::source_dir() / "tests/sandbox/hostile")) {
    if (entry.path().extension() == ".py") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

class Hostile : public testing::TestWithParam<std::string> {};

TEST_P(Hostile, IsHeldAndLeavesTheSlotClean) {
  Judge& judge = test::shared_judge();
  const Attack attack = load_attack(GetParam());
  ASSERT_FALSE(attack.expected.empty());
  const bool held = attack.expected[0] == "HELD";

  auto honest = test::call_request("def f(x):\n    return 2 * x\n");
  honest.tests = {test::call_test(2, 4), test::call_test(3, 6)};
  ASSERT_EQ(judge.run(honest).row_verdict(), "PASS");
  const auto processes = test::descendants();
  const int descriptors = test::num_open_descriptors();

  auto request = test::call_request(attack.code);
  request.limits.output_bytes = 100000;
  for (const auto& [key, value] : attack.limits.items()) {
    if (key == "max_procs") request.limits.max_procs = value;
    if (key == "cpu_ms") request.limits.cpu_ms = value;
    if (key == "wall_ms") request.limits.wall_ms = value;
    if (key == "memory_mb") request.limits.memory_mb = value;
  }
  request.tests = held ? std::vector<Json>{test::call_test(2, "held")}
                       : std::vector<Json>{test::call_test(2, 4), test::call_test(3, 6)};
  const Verdict verdict = judge.run(request);
  const std::string name = verdict.row_verdict();
  if (held) {
    EXPECT_EQ(name, "PASS") << to_json(verdict).dump();
  } else {
    EXPECT_EQ(verdict.passed, attack.passed) << to_json(verdict).dump();
    EXPECT_NE(std::find(attack.expected.begin(), attack.expected.end(), name),
              attack.expected.end())
        << to_json(verdict).dump();
  }
  EXPECT_FALSE(verdict.infra) << to_json(verdict).dump();
  EXPECT_LT(verdict.peak_mb, attack.peak_mb);

  EXPECT_EQ(judge.run(honest).row_verdict(), "PASS");
  EXPECT_EQ(test::descendants(), processes);  // the same zygote, and nothing else
  EXPECT_EQ(test::num_open_descriptors(), descriptors);
}

INSTANTIATE_TEST_SUITE_P(Program, Hostile, testing::ValuesIn(attack_names()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace weft
