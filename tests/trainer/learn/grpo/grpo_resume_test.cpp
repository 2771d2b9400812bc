// train_grpo stopped, killed and resumed: to the bit what it is when left alone, with the policy's
// engine as worker.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <csignal>

#include "base/rng.h"
#include "data/trajectory_store.h"
#include "tests/trainer/learn/grpo/train_grpo_support.h"

namespace weft {
namespace {

using namespace test;

class GrpoResume : public GrpoProgram {
 protected:
  /// Content of a run's store, each of its rollouts once.
  uint64_t stored(const std::string& out) const {
    auto rows = TrajectoryStore(dir_ / out / "store.sqlite", StoreAccess::kRead).select();
    EXPECT_EQ(static_cast<int64_t>(rows.size()), count_lines(dir_ / out / "rollouts.jsonl"));
    for (Trajectory& row : rows) row.origin.clear();  // names the folder
    return content_hash(rows);
  }

  /// Everything but times.
  void expect_same_run(const std::string& a, const std::string& b) const {
    EXPECT_EQ(read_file(dir_ / a / "final" / kAdapter), read_file(dir_ / b / "final" / kAdapter));
    const auto left = read_json_lines(dir_ / a / "metrics.jsonl"),
               right = read_json_lines(dir_ / b / "metrics.jsonl");
    ASSERT_EQ(left.size(), right.size());
    for (size_t i = 0; i < left.size(); ++i) {
      for (const auto& [key, value] : left[i].items()) {
        if (key.starts_with("t_") || key == "tokens_per_s") continue;
        EXPECT_EQ(value, right[i][key]) << key << " of step " << i + 1;
      }
    }
    EXPECT_EQ(read_file(dir_ / a / "validation.jsonl"), read_file(dir_ / b / "validation.jsonl"));
    const auto rollouts = read_json_lines(dir_ / a / "rollouts.jsonl");
    const auto again = read_json_lines(dir_ / b / "rollouts.jsonl");
    ASSERT_EQ(rollouts.size(), again.size());
    for (size_t i = 0; i < rollouts.size(); ++i)
      EXPECT_EQ(rollouts[i], again[i]) << "rollout " << i;
    EXPECT_EQ(stored(a), stored(b));
    for (const char* file : {"summary.json", "before_after.json"}) {
      EXPECT_EQ(read_json_file(dir_ / a / file), read_json_file(dir_ / b / file)) << file;
    }
  }
};

TEST_F(GrpoResume, IsBitEqualToARunLeftAlone) {
  const auto straight = run(command("straight"));
  ASSERT_EQ(straight.exit_code, 0) << straight.err;
  const auto metrics = read_json_lines(dir_ / "straight" / "metrics.jsonl");
  ASSERT_EQ(metrics.size(), 6u);
  double spread = 0, calls = 0;
  for (const Json& step : metrics) {
    spread += step["reward_std"].get<double>();
    calls += step["worker_calls"].get<double>();
  }
  ASSERT_GT(spread, 0) << "rewards must differ for this test to mean anything";
  ASSERT_GT(calls, 0) << "workflows must run";

  for (const int signal : {SIGTERM, SIGINT, SIGKILL}) {
    const std::string out = "signal_" + std::to_string(signal);
    for (const int64_t steps : {1, 3, 5}) {
      BackgroundProgram program(command(out), dir_ / (out + ".log"));
      wait_until(
          [&] { return !program.running() || count_lines(dir_ / out / "metrics.jsonl") >= steps; });
      program.signal_group(signal);
      EXPECT_EQ(program.wait(), 128 + signal) << read_file(dir_ / (out + ".log"));
      if (signal == SIGKILL) continue;
      EXPECT_THAT(unfinished_files(dir_ / out), testing::IsEmpty());
    }
    const auto resumed = run(command(out));
    ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
    expect_same_run("straight", out);
  }
}

/// Four updates a batch, each after a pass for the ratios of whole responses.
class GspoResume : public GrpoResume {
 protected:
  Words gspo(const std::string& out) const {
    return command(out, dir_ / "sft" / "final",
                   {"method=gspo", "update.epochs=2", "update.loss.clip_low=0.1",
                    "update.loss.clip_high=0.1", "update.correction.token_cap=2"});
  }
  /// The same with `what` happening in that update of the run.
  Words struck(const std::string& what, int64_t update, const std::string& out) const {
    const Json shape = read_json_file(dir_ / "sft" / "final" / "config.json");
    Words words = gspo(out);
    words[0] = program("struck_train_grpo");
    const int64_t calls = update * shape["num_hidden_layers"].get<int64_t>();
    words.insert(words.begin() + 1, {what, std::to_string(calls)});
    return words;
  }
  std::vector<Json> metrics(const std::string& out) const {
    return read_json_lines(dir_ / out / "metrics.jsonl");
  }
};

TEST_F(GspoResume, AStopBetweenTheUpdatesOfABatchIsHeardAfterItsLast) {
  const auto straight = run(gspo("straight"));
  ASSERT_EQ(straight.exit_code, 0) << straight.err;
  for (size_t i = 0; i < 2; ++i) ASSERT_EQ(metrics("straight")[i]["updates"], 4);
  for (const int64_t update : {5, 6}) {  // the first of the second batch, the last of its epoch
    const std::string out = "after_" + std::to_string(update);
    const auto stopped = run(struck("stop", update, out));
    EXPECT_EQ(stopped.exit_code, 128 + SIGTERM) << stopped.err;
    ASSERT_EQ(metrics(out).size(), 2u);
    EXPECT_EQ(metrics(out)[1]["updates"], 4);
    EXPECT_EQ(read_file(dir_ / out / "checkpoints" / "latest"), "step_2\n");
    const auto resumed = run(gspo(out));
    ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
    expect_same_run("straight", out);
  }
}

TEST_F(GspoResume, ABatchThatRanOutOfMemoryCountsAsFarAsItCame) {
  const auto cut = run(struck("memory", 6, "cut"));
  EXPECT_EQ(cut.exit_code, 1) << cut.err;
  EXPECT_THAT(cut.err, testing::HasSubstr("step 2: out of memory"));
  EXPECT_THAT(cut.err, testing::HasSubstr("and with half as many"));
  ASSERT_EQ(metrics("cut").size(), 2u);
  EXPECT_EQ(metrics("cut")[0]["updates"], 4);
  EXPECT_EQ(metrics("cut")[1]["updates"], 2);
  EXPECT_EQ(metrics("cut")[1]["skipped_updates"], 1);
  EXPECT_EQ(read_file(dir_ / "cut" / "checkpoints" / "latest"), "step_2\n");
  const auto resumed = run(gspo("cut"));
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  ASSERT_EQ(metrics("cut").size(), 6u);
  EXPECT_EQ(metrics("cut")[5]["updates"], 4);
  EXPECT_EQ(metrics("cut")[5]["mismatch_max"], 0);
}

TEST_F(GspoResume, IsBitEqualAfterStopsByTheClock) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  const auto straight = run(gspo("straight"));
  ASSERT_EQ(straight.exit_code, 0) << straight.err;
  const std::chrono::duration<double> whole = Clock::now() - start;
  double updates = 0;
  for (const Json& step : metrics("straight")) {
    updates = std::max(updates, step["updates"].get<double>());
  }
  ASSERT_EQ(updates, 4) << "two epochs of two minibatches";
  Rng rng(3);
  for (int i = 0; i < 8; ++i) {
    BackgroundProgram program(gspo("stopped"), dir_ / "log");
    const auto moment = Clock::now() + whole * rng.uniform() / 2;
    wait_until([&] { return !program.running() || Clock::now() >= moment; });
    program.signal_group(i % 4 == 3 ? SIGKILL : SIGTERM);
    program.wait();
  }
  const auto resumed = run(gspo("stopped"));
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  expect_same_run("straight", "stopped");
  const auto again = run(gspo("stopped"));
  ASSERT_EQ(again.exit_code, 0) << again.err;
  expect_same_run("straight", "stopped");
}

}  // namespace
}  // namespace weft
