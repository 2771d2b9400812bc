// train_grpo stopped, killed and resumed: to the bit what it is when left alone. The policy is the
// tiny model of tests/fixtures after it has learnt one workflow by heart, so that some of what it
// samples is valid and is executed, with the same engine as worker, and rewards differ.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>

#include "base/file.h"
#include "base/json.h"
#include "base/jsonl.h"
#include "base/rng.h"
#include "tests/support/support.h"

namespace weft {
namespace {

using Words = std::vector<std::string>;

constexpr const char* kWorkflow =
    "One call.\n```python\nclass Workflow:\n    def __init__(self, name, llm_config, dataset):\n"
    "        self.llm = create_llm_instance(llm_config)\n\n"
    "    async def __call__(self, problem, entry_point):\n        # Step 1: answer\n"
    "        a = await self.llm.call_llm([problem], 1)\n        return a[0], 0.0\n```";

constexpr const char* kSystem = "Write a Python workflow of worker calls that solves the task.";
constexpr const char* kAdapter = "adapter_model.safetensors";

std::vector<Json> lines(const fs::path& path) {
  std::vector<Json> result;
  JsonlReader reader(path);
  for (JsonlLine line; reader.next(line);) result.push_back(line.value);
  return result;
}

Words with_sets(Words words, const Words& sets) {
  for (const auto& set : sets) words.insert(words.end(), {"--set", set});
  return words;
}

/// Patient: on a busy machine the runs take minutes.
test::ProgramRun run(const Words& words) { return test::run_program(words, "", 500); }

class GrpoResume : public testing::Test {
 protected:
  void SetUp() override {
    std::string tasks;
    for (int i = 0; i < 4; ++i) {
      const std::string prompt = "add " + std::to_string(i);
      tasks += dump_json({{"id", prompt},
                          {"dataset", "made_up"},
                          {"kind", "code"},
                          {"prompt", prompt},
                          {"entry_point", "f"},
                          {"tests", {{"val", {{{"args", {1}}, {"expected", 1 + i}}}}}}}) +
               "\n";
    }
    write_file_atomically(dir_ / "tasks.jsonl", tasks);
    learn_the_workflow();
  }

  void learn_the_workflow() {
    std::string examples;
    for (int i = 0; i < 24; ++i) examples += example_line(i % 4);
    write_file_atomically(dir_ / "sft.jsonl", examples);
    const auto sft =
        run(with_sets({test::program("train_sft"), "--out", dir_ / "sft"},
                      {"model=" + test::fixture("tiny_llama").string(), "dtype=f32",
                       "learn.full_weights=true", "data.jsonl=" + (dir_ / "sft.jsonl").string(),
                       "learn.schedule.lr=0.005", "epochs=12", "sequences_per_step=6"}));
    ASSERT_EQ(sft.exit_code, 0) << sft.err;
  }

  std::string example_line(int i) const {
    const std::string query = "Kind: code\nEntry point: f\nTask: add " + std::to_string(i);
    return dump_json({{"messages",
                       {{{"role", "system"}, {"content", kSystem}},
                        {{"role", "user"}, {"content", query}},
                        {{"role", "assistant"}, {"content", kWorkflow}}}}}) +
           "\n";
  }

  Words command(const std::string& out, const fs::path& model, const Words& more = {}) const {
    Words sets = {"model=" + model.string(),
                  "tasks=[\"" + (dir_ / "tasks.jsonl").string() + "\"]",
                  "validation.tasks=[\"" + (dir_ / "tasks.jsonl").string() + "\"]",
                  "validation.num_prompts=2",
                  "validation.samples=2",
                  "validation.every_steps=2",
                  "dtype=f32",
                  "exact=true",
                  "runner.max_concurrent=1",
                  "steps=6",
                  "prompts_per_step=3",
                  "samples_per_prompt=4",
                  "max_completion_tokens=250",
                  "runner.worker.max_tokens=8",
                  "engine.kv_mb=32",
                  "sandbox_slots=2",
                  "learn.schedule.lr=0.002",
                  "learn.tokens_per_microbatch=512",
                  "update.updates_per_batch=2",
                  "update.loss.kl_coefficient=0.01",
                  "checkpoint.every_steps=4"};
    sets.insert(sets.end(), more.begin(), more.end());
    Words words = with_sets({test::program("train_grpo"), "--out", dir_ / out}, sets);
    if (fs::exists(dir_ / out / "config.json")) words.push_back("--resume");
    return words;
  }
  Words command(const std::string& out) const { return command(out, dir_ / "sft" / "final"); }

  /// Everything but times.
  void expect_same_run(const std::string& a, const std::string& b) const {
    EXPECT_EQ(read_file(dir_ / a / "final" / kAdapter), read_file(dir_ / b / "final" / kAdapter));
    const auto left = lines(dir_ / a / "metrics.jsonl"), right = lines(dir_ / b / "metrics.jsonl");
    ASSERT_EQ(left.size(), right.size());
    for (size_t i = 0; i < left.size(); ++i) {
      for (const auto& [key, value] : left[i].items()) {
        if (key.starts_with("t_") || key == "tokens_per_s") continue;
        EXPECT_EQ(value, right[i][key]) << key << " of step " << i + 1;
      }
    }
    EXPECT_EQ(read_file(dir_ / a / "validation.jsonl"), read_file(dir_ / b / "validation.jsonl"));
    const auto rollouts = lines(dir_ / a / "rollouts.jsonl");
    const auto again = lines(dir_ / b / "rollouts.jsonl");
    ASSERT_EQ(rollouts.size(), again.size());
    for (size_t i = 0; i < rollouts.size(); ++i)
      EXPECT_EQ(rollouts[i], again[i]) << "rollout " << i;
    for (const char* file : {"summary.json", "before_after.json"}) {
      EXPECT_EQ(read_json_file(dir_ / a / file), read_json_file(dir_ / b / file)) << file;
    }
  }

  test::TempDir dir_;
};

TEST_F(GrpoResume, IsBitEqualToARunLeftAlone) {
  const auto straight = run(command("straight"));
  ASSERT_EQ(straight.exit_code, 0) << straight.err;
  const auto metrics = lines(dir_ / "straight" / "metrics.jsonl");
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
      test::BackgroundProgram program(command(out), dir_ / (out + ".log"));
      test::wait_until([&] {
        return !program.running() || test::count_lines(dir_ / out / "metrics.jsonl") >= steps;
      });
      program.signal_group(signal);
      EXPECT_EQ(program.wait(), 128 + signal) << read_file(dir_ / (out + ".log"));
      if (signal == SIGKILL) continue;
      EXPECT_THAT(test::unfinished_files(dir_ / out), testing::IsEmpty());
    }
    const auto resumed = run(command(out));
    ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
    expect_same_run("straight", out);
  }
}

TEST_F(GrpoResume, IsBitEqualAfterStopsByTheClock) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  const auto straight = run(command("straight"));
  ASSERT_EQ(straight.exit_code, 0) << straight.err;
  const std::chrono::duration<double> whole = Clock::now() - start;
  Rng rng(3);
  for (int i = 0; i < 8; ++i) {
    test::BackgroundProgram program(command("stopped"), dir_ / "log");
    const auto moment = Clock::now() + whole * rng.uniform() / 2;
    test::wait_until([&] { return !program.running() || Clock::now() >= moment; });
    program.signal_group(i % 4 == 3 ? SIGKILL : SIGTERM);
    program.wait();
  }
  const auto resumed = run(command("stopped"));
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  expect_same_run("straight", "stopped");
  const auto again = run(command("stopped"));
  ASSERT_EQ(again.exit_code, 0) << again.err;
  expect_same_run("straight", "stopped");
}

}  // namespace
}  // namespace weft
