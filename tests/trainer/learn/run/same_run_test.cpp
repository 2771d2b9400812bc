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

/// Adds a byte to a file, and takes it away at the end.
class Edited {
 public:
  explicit Edited(const fs::path& path) : path_(path), before_(read_file(path)) {
    write_file_atomically(path, before_ + "\n");
  }
  ~Edited() { write_file_atomically(path_, before_); }

 private:
  const fs::path path_;
  const std::string before_;
};

TEST(SameRun, AGrpoRunGoesOnWithNothingElseThanItBeganWith) {
  test::TempDir dir;
  const fs::path worker = dir / "worker", tasks = dir / "t.jsonl", validation = dir / "v.jsonl";
  fs::copy(test::fixture("tiny_llama"), worker);
  fs::copy_file(test::source_dir() / "data/builtin/train.jsonl", tasks);
  fs::copy_file(test::source_dir() / "data/builtin/validation.jsonl", validation);
  const auto run = [&](const Words& more) {
    Words words = {test::program("train_grpo"), "--out", dir / "run"};
    for (const std::string& set :
         Words{"model=" + test::fixture("tiny_llama").string(), "worker.model=" + worker.string(),
               "tasks=[\"" + tasks.string() + "\"]",
               "validation.tasks=[\"" + validation.string() + "\"]", "validation.num_prompts=1",
               "validation.samples=1", "dtype=f32", "steps=1", "prompts_per_step=1",
               "samples_per_prompt=2", "max_completion_tokens=8", "engine.kv_mb=16",
               "learn.schedule.decay=cosine"}) {
      words.insert(words.end(), {"--set", set});
    }
    words.insert(words.end(), more.begin(), more.end());
    return test::run_program(words);
  };
  run({});
  ASSERT_TRUE(fs::exists(dir / "run" / "inputs.json"));
  const auto expect_refusal = [&](const std::string& name, const Words& more) {
    Words words = {"--resume"};
    words.insert(words.end(), more.begin(), more.end());
    const auto refused = run(words);
    EXPECT_EQ(refused.exit_code, 2) << refused.err;
    EXPECT_NE(refused.err.find("cannot resume, \"" + name + "\" differs"), std::string::npos)
        << refused.err;
  };
  for (const auto& [file, name] : {std::pair{tasks, "tasks"}, std::pair{validation, "validation"},
                                   std::pair{worker / "config.json", "worker"}}) {
    const Edited edited(file);
    expect_refusal(name, {});
  }
  expect_refusal("steps", {"--set", "steps=2"});
  EXPECT_NE(run({"--resume"}).exit_code, 2);
}

}  // namespace
}  // namespace weft
