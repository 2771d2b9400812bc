/// train_grpo as a program, with a policy that has something to learn: the tiny model of
/// tests/fixtures after it has learnt one workflow by heart, so that some of what it samples is
/// valid and is executed, and rewards differ.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "tests/support/json_lines.h"
#include "tests/support/support.h"

namespace weft::test {

using Words = std::vector<std::string>;

inline constexpr const char* kWorkflow =
    "One call.\n```python\nclass Workflow:\n    def __init__(self, name, llm_config, dataset):\n"
    "        self.llm = create_llm_instance(llm_config)\n\n"
    "    async def __call__(self, problem, entry_point):\n        # Step 1: answer\n"
    "        a = await self.llm.call_llm([problem], 1)\n        return a[0], 0.0\n```";

inline constexpr const char* kSystem =
    "Write a Python workflow of worker calls that solves the task.";
inline constexpr const char* kAdapter = "adapter_model.safetensors";

inline Words with_sets(Words words, const Words& sets) {
  for (const auto& set : sets) words.insert(words.end(), {"--set", set});
  return words;
}

/// Patient: on a busy machine the runs take minutes.
inline ProgramRun run(const Words& words) { return run_program(words, "", 500); }

class GrpoProgram : public ::testing::Test {
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
        run(with_sets({program("train_sft"), "--out", dir_ / "sft"},
                      {"model=" + fixture("tiny_llama").string(), "dtype=f32",
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
    Words words = with_sets({program("train_grpo"), "--out", dir_ / out}, sets);
    if (fs::exists(dir_ / out / "config.json")) words.push_back("--resume");
    return words;
  }
  Words command(const std::string& out) const { return command(out, dir_ / "sft" / "final"); }

  TempDir dir_;
};

}  // namespace weft::test
