#include "tests/sandbox/mixed_load.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <fstream>
#include <map>
#include <mutex>

#include "tests/sandbox/jail_support.h"

namespace weft::test {
namespace {

constexpr const char* kHonest[] = {
    "def f(x):\n    return 2 * x\n",
    "def f(x):\n    return 2 * x if x == 2 else 7\n",
    "from typing import List\ndef f(x):\n    return sum([x, x])\n",
    "def f(x):\n    return {}[x]\n",
    "def f(x):\n    return 2 * x +\n",
    "def g(x):\n    return x\n",
    "import json\ndef f(x):\n    return json.loads(json.dumps(2 * x))\n",
    "def f(x):\n    return {x}\n",
    "def f(x):\n    print('x' * 1000)\n    return 2 * x\n",
    "class A:\n    pass\ndef f(x):\n    return A()\n",
};

constexpr const char* kAttacks[] = {
    "case_001_exit_at_import",   "case_004_always_equal",
    "case_008_forged_frames",    "case_009_oversized_length",

    "case_011_metaclass_name",   "case_013_patched_builtins",
    "case_023_deep_nesting",     "case_026_late_reports",
    "case_031_fork_loop",        "case_032_daemon",
    "case_033_thread_bomb",      "case_034_memory_growth",
    "case_037_busy_loop",        "case_038_sleep",
    "case_041_stdout_flood",     "case_043_recursion",
    "case_044_null_read",        "case_053_io_uring",
    "case_061_replaces_channel", "case_065_imitates_failed_locks",
};

JudgeRequest honest_request(size_t index) {
  auto request = call_request(kHonest[index]);
  request.limits.wall_ms = 60000;  // the machine is busy on purpose
  request.tests = {call_test(2, 4), call_test(3, 6)};
  return request;
}

JudgeRequest attack_request(size_t index) {
  auto request = call_request(hostile_program(kAttacks[index]));
  request.limits.wall_ms = 200;
  request.limits.memory_mb = 64;
  request.limits.output_bytes = 100000;
  if (index % 7 == 3) request.limits.max_procs = 4;
  if (index % 7 == 5) request.limits.scratch_mb = 1;
  request.tests = {call_test(2, 4)};
  return request;
}

// What a program's verdicts amount to, without times.
std::string summary(const Verdict& verdict) {
  std::string text;
  for (const auto& test : verdict.tests) text += test.name() + " " + test.got + ";";
  return text;
}

int64_t resident_kb(int pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) return std::stoll(line.substr(6));
  }
  return 0;
}

int64_t resident_kb_of_all() {
  int64_t sum = 0;
  for (const int pid : descendants()) sum += resident_kb(pid);
  return sum + resident_kb(getpid());
}

class MixedLoad {
 public:
  MixedLoad() : sandbox_(sandbox_options(2)), judge_(sandbox_) {
    for (size_t i = 0; i < std::size(kHonest); ++i) {
      quiet_.push_back(summary(judge_.run(honest_request(i))));
    }
  }

  void run(size_t num_jobs) {
    for (size_t i = 0; i < num_jobs; ++i) {
      const bool is_attack = i % 3 == 2;
      const size_t kind = i / 3 * 2 + i % 3;
      const size_t index = is_attack ? i / 3 % std::size(kAttacks) : kind % std::size(kHonest);
      wait_for_room();
      judge_.submit(
          is_attack ? attack_request(index) : honest_request(index),
          [this, is_attack, index](const Verdict& verdict) { take(is_attack, index, verdict); });
    }
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return open_ == 0; });
  }

  int num_infra() const { return num_infra_; }
  int num_different() const { return num_different_; }
  int num_passed_attacks() const { return num_passed_attacks_; }
  const std::string& first_difference() const { return first_difference_; }

 private:
  void wait_for_room() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return open_ < 8; });
    ++open_;
  }

  void take(bool is_attack, size_t index, const Verdict& verdict) {
    const std::lock_guard lock(mutex_);
    num_infra_ += verdict.infra;
    if (is_attack) {
      num_passed_attacks_ += verdict.passed > 0;
    } else if (summary(verdict) != quiet_[index]) {
      if (num_different_++ == 0) {
        first_difference_ = kHonest[index] + summary(verdict) + " quiet: " + quiet_[index];
      }
    }
    --open_;
    changed_.notify_all();
  }

  Sandbox sandbox_;
  Judge judge_;
  std::vector<std::string> quiet_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int open_ = 0;
  int num_infra_ = 0, num_different_ = 0, num_passed_attacks_ = 0;
  std::string first_difference_;
};

}  // namespace

void expect_steady_mixed_load(size_t num_warm, size_t num_jobs) {
  MixedLoad load;
  load.run(num_warm);
  const auto processes = descendants();
  const int descriptors = num_open_descriptors();
  const int64_t resident = resident_kb_of_all();
  load.run(num_jobs - num_warm);
  EXPECT_EQ(load.num_infra(), 0);
  EXPECT_EQ(load.num_different(), 0) << load.first_difference();
  EXPECT_EQ(load.num_passed_attacks(), 0);
  EXPECT_EQ(descendants(), processes);
  EXPECT_EQ(num_open_descriptors(), descriptors);
  EXPECT_LT(static_cast<double>(resident_kb_of_all()), 1.1 * static_cast<double>(resident));
}

}  // namespace weft::test
