// Two runs of one seed, config and machine are the same run: what arrives first changes nothing.
#include <gtest/gtest.h>

#include <set>

#include "base/file.h"
#include "base/json.h"
#include "base/jsonl.h"
#include "tests/support/support.h"

namespace weft {
namespace {

using Words = std::vector<std::string>;

bool tells_time(const std::string& key) {
  return key.starts_with("t_") || key == "tokens_per_s" || key == "time";
}

/// The lines of a file without the fields that tell the time.
std::string content(const fs::path& path) {
  std::string all;
  JsonlReader reader(path);
  for (JsonlLine line; reader.next(line);) {
    Json kept = Json::object();
    for (const auto& [key, value] : line.value.items()) {
      if (!tells_time(key)) kept[key] = value;
    }
    all += dump_json(kept) + "\n";
  }
  return all;
}

// Decoding and scoring overlap (exact=false), with one workflow at a time or many. The tiny model
// writes no valid workflow, so both runs may end with the same failure.
TEST(SameRun, TwoGrpoRunsOfOneSeedHaveTheSameRolloutsAndMetrics) {
  if (read_file("/proc/cpuinfo").find("avx512_bf16") == std::string::npos) {
    GTEST_SKIP() << "bf16 products are LibTorch's on this CPU";
  }
  test::TempDir dir;
  const std::string tasks = (test::source_dir() / "data/builtin/train.jsonl").string();
  std::set<int> codes;
  std::set<std::string> rollouts, metrics;
  int number = 0;
  for (const Words& pace : {Words{"runner.max_concurrent=1", "sandbox_slots=1"},
                            Words{"runner.max_concurrent=16", "sandbox_slots=2"}}) {
    const fs::path out = dir / ("run" + std::to_string(number++));
    Words words = {test::program("train_grpo"), "--out", out};
    Words sets = {"model=" + test::fixture("tiny_llama").string(),
                  "tasks=[\"" + tasks + "\"]",
                  "dtype=bf16",
                  "steps=3",
                  "prompts_per_step=4",
                  "samples_per_prompt=4",
                  "max_completion_tokens=24",
                  "engine.kv_mb=16"};
    sets.insert(sets.end(), pace.begin(), pace.end());
    for (const auto& set : sets) words.insert(words.end(), {"--set", set});
    codes.insert(test::run_program(words).exit_code);
    rollouts.insert(content(out / "rollouts.jsonl"));
    metrics.insert(content(out / "metrics.jsonl"));
  }
  EXPECT_EQ(codes.size(), 1u);
  EXPECT_EQ(rollouts.size(), 1u);
  EXPECT_EQ(metrics.size(), 1u);
  EXPECT_FALSE(rollouts.begin()->empty());
}

}  // namespace
}  // namespace weft
