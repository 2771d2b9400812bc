// What train_sft and train_grpo are given wrongly: refused in one line that says what, where, what
// was expected and what was there, with nothing lost that was learnt before.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "base/file.h"
#include "base/json.h"
#include "tests/support/json_lines.h"
#include "tests/support/support.h"

namespace weft {
namespace {

using Words = std::vector<std::string>;
using testing::HasSubstr;

class BadInputs : public testing::Test {
 protected:
  void SetUp() override {
    std::ofstream data(dir_ / "data.jsonl");
    for (int i = 0; i < 12; ++i) {
      data << dump_json({{"prompt", "add"}, {"completion", std::to_string(i)}}) << "\n";
    }
    fs::copy(test::fixture("tiny_llama"), dir_ / "model");
  }

  test::ProgramRun sft(const std::string& out, const Words& sets) const {
    Words words = {test::program("train_sft"), "--out", dir_ / out};
    for (const auto& set :
         {"model=" + (dir_ / "model").string(), "data.jsonl=" + (dir_ / "data.jsonl").string(),
          std::string("dtype=f32"), std::string("epochs=2"), std::string("sequences_per_step=3")}) {
      words.insert(words.end(), {"--set", set});
    }
    for (const auto& set : sets) words.insert(words.end(), {"--set", set});
    if (fs::exists(dir_ / out / "config.json")) words.push_back("--resume");
    return test::run_program(words);
  }

  std::string adapter_of(const std::string& out) const {
    return read_file(dir_ / out / "final" / "adapter_model.safetensors");
  }

  test::TempDir dir_;
};

void expect_refused(const test::ProgramRun& run, const std::string& why) {
  EXPECT_EQ(run.exit_code, 2) << run.err;
  EXPECT_THAT(run.err, HasSubstr(why));
  EXPECT_EQ(std::count(run.err.begin(), run.err.end(), '\n'), 1) << run.err;
}

TEST_F(BadInputs, ABaseThatWasSwappedUnderAnAdapterIsRefused) {
  ASSERT_EQ(sft("first", {"max_steps=2"}).exit_code, 0);
  const std::string weights = (dir_ / "model" / "model.safetensors").string();
  std::string bytes = read_file(weights);
  bytes[bytes.size() - 2] = static_cast<char>(bytes[bytes.size() - 2] ^ 1);
  write_file_atomically(weights, bytes);
  const std::string adapter = (dir_ / "first" / "final").string();
  expect_refused(
      sft("second", {"init_adapter=" + adapter}),
      adapter + " was trained over other weights than those in " + (dir_ / "model").string());
  fs::remove(dir_ / "first" / "final" / "base.json");
  EXPECT_EQ(sft("second", {"init_adapter=" + adapter}).exit_code, 0);
}

TEST_F(BadInputs, AnOptimizerStateOfAnotherShapeIsRefusedAndTheRunGoesOnWithItsOwn) {
  ASSERT_EQ(sft("straight", {}).exit_code, 0);
  ASSERT_EQ(sft("run", {"max_steps=4"}).exit_code, 0);
  ASSERT_EQ(sft("wide", {"max_steps=4", "learn.lora.rank=8"}).exit_code, 0);
  const std::string state = "checkpoints/step_4/trainer/optimizer.safetensors";
  const std::string own = read_file(dir_ / "run" / state);
  write_file_atomically(dir_ / "run" / state, read_file(dir_ / "wide" / state));
  const auto refused = sft("run", {});
  EXPECT_EQ(refused.exit_code, 2) << refused.err;
  EXPECT_THAT(refused.err, HasSubstr((dir_ / "run" / state).string()));
  EXPECT_THAT(refused.err, HasSubstr("expected shape [16, 64], got [8, 64]"));
  write_file_atomically(dir_ / "run" / state, own);
  ASSERT_EQ(sft("run", {}).exit_code, 0);
  EXPECT_EQ(adapter_of("run"), adapter_of("straight"));
}

TEST_F(BadInputs, AnOptimizerStateOfAnotherKindIsRefusedAndTheRunGoesOnWithItsOwn) {
  ASSERT_EQ(sft("straight", {}).exit_code, 0);
  ASSERT_EQ(sft("run", {"max_steps=4"}).exit_code, 0);
  ASSERT_EQ(sft("short", {"max_steps=4", "learn.optimizer=adamw_8bit"}).exit_code, 0);
  const std::string state = "checkpoints/step_4/trainer/optimizer.safetensors";
  const std::string own = read_file(dir_ / "run" / state);
  write_file_atomically(dir_ / "run" / state, read_file(dir_ / "short" / state));
  const auto refused = sft("run", {});
  EXPECT_EQ(refused.exit_code, 2) << refused.err;
  EXPECT_THAT(refused.err, HasSubstr((dir_ / "run" / state).string()));
  EXPECT_THAT(refused.err,
              HasSubstr("of learn.optimizer = \"adamw_8bit\", this run's is \"adamw\""));
  write_file_atomically(dir_ / "run" / state, own);
  ASSERT_EQ(sft("run", {}).exit_code, 0);
  EXPECT_EQ(adapter_of("run"), adapter_of("straight"));
}

TEST_F(BadInputs, NumbersThatAreNoneInWhatAResumeReadsAreSaidOrPutAside) {
  ASSERT_EQ(sft("straight", {}).exit_code, 0);
  ASSERT_EQ(sft("run", {"max_steps=4"}).exit_code, 0);
  std::ofstream(dir_ / "run" / "metrics.jsonl", std::ios::app) << "{\"step\": 4, \"loss\": NaN}\n";
  const fs::path state = dir_ / "run/checkpoints/step_4/trainer/state.json";
  const std::string own = read_file(state), key = "\"last_loss\": ";
  const size_t value = own.find(key) + key.size();
  std::string spoilt = own;
  spoilt.replace(value, own.find_first_of(",\n", value) - value, "NaN");
  write_file_atomically(state, spoilt);
  const auto refused = sft("run", {});
  EXPECT_EQ(refused.exit_code, 2) << refused.err;
  EXPECT_THAT(refused.err, HasSubstr(state.string()));
  EXPECT_THAT(refused.err, HasSubstr("without the folder"));
  write_file_atomically(state, own);
  ASSERT_EQ(sft("run", {}).exit_code, 0);
  EXPECT_EQ(adapter_of("run"), adapter_of("straight"));
  EXPECT_EQ(test::read_json_lines(dir_ / "run" / "metrics.jsonl").size(), 8u);
  EXPECT_THAT(read_file(dir_ / "run" / "metrics.jsonl.aside"), HasSubstr("NaN"));
}

TEST_F(BadInputs, AnAdapterOfAnotherShapeThanAskedForIsRefused) {
  ASSERT_EQ(sft("first", {"max_steps=2", "learn.lora.rank=4"}).exit_code, 0);
  const std::string init = "init_adapter=" + (dir_ / "first" / "final").string();
  const std::string config = (dir_ / "first" / "final" / "adapter_config.json").string();
  const struct {
    const char* set;
    std::string expected;
  } cases[] = {
      {"learn.lora.rank=8",
       "learn.lora.rank: expected that of init_adapter, 4 in " + config + ", got 8"},
      {"learn.lora.alpha=16", "learn.lora.alpha: expected that of init_adapter, 32.0"},
      {"learn.lora.targets=[\"q_proj\"]", "learn.lora.targets: expected that of init_adapter"},
      {"learn.lora.use_dora=true", "learn.lora.use_dora: expected that of init_adapter, false"},
  };
  for (const auto& c : cases) {
    expect_refused(sft("other", {init, c.set}), c.expected);
    fs::remove_all(dir_ / "other");
  }
  EXPECT_EQ(sft("same", {init, "max_steps=2", "learn.lora.rank=4"}).exit_code, 0);
  EXPECT_EQ(sft("unsaid", {init, "max_steps=2"}).exit_code, 0);
}

TEST_F(BadInputs, APlanCountsTheAdapterThatARunBeginsWith) {
  ASSERT_EQ(sft("first", {"max_steps=2", "learn.lora.rank=4"}).exit_code, 0);
  const auto trained = [&](const char* program, const std::string& set) {
    const auto run = test::run_program({test::program(program), "--dry-run", "--set",
                                        "model=" + (dir_ / "model").string(), "--set",
                                        "plan.gpu=h200", "--set", set});
    EXPECT_EQ(run.exit_code, 0) << run.err;
    return parse_json(run.out, "plan")["memory_plan"]["trained_parameters"].get<int64_t>();
  };
  for (const char* program : {"train_sft", "train_grpo"}) {
    const int64_t own = trained(program, "init_adapter=" + (dir_ / "first" / "final").string());
    EXPECT_EQ(own, trained(program, "learn.lora.rank=4"));
    EXPECT_LT(own, trained(program, "learn.lora.rank=16"));
  }
}

TEST_F(BadInputs, AFileWithNothingToTrainIsRefused) {
  const std::string turns = R"({"messages":[{"role":"user","content":"a"},)";
  const struct {
    std::string text;
    const char* expected;
  } cases[] = {
      {"", "expected at least one example, got none"},
      {"\n\n", "expected at least one example, got none"},
      {turns + R"({"role":"assistant","content":"b","train":false}]})" + "\n",
       "expected a turn of the assistant to train, got none"},
      {R"({"prompt":"a","completion":"b","weight":0})"
       "\n",
       "expected at least one example, got none"},
      {R"({"prompt":"a","completion":""})"
       "\n",
       "expected text to train"},
  };
  for (const auto& c : cases) {
    write_file_atomically(dir_ / "data.jsonl", c.text);
    const auto run = sft("run", {});
    expect_refused(run, c.expected);
    EXPECT_THAT(run.err, HasSubstr((dir_ / "data.jsonl").string()));
    fs::remove_all(dir_ / "run");
  }
}

TEST_F(BadInputs, MistakesOfUnitAndSpellingAreNamedWithWhatIsExpected) {
  const struct {
    const char* program;
    const char* set;
    const char* expected;
  } cases[] = {
      {"train_sft", "learn.schedule.lr=3e5", "lr: expected a number in [0, 1], got 300000"},
      {"train_grpo", "learn.schedule.lr=3", "lr: expected a number in [0, 1], got 3"},
      {"train_sft", "learn.schedule.warmup_steps=0.1", "warmup_steps\": expected an integer"},
      {"train_grpo", "learn.schedule.warmup_steps=1000", "at most the run's 100 steps, got 1000"},
      {"train_sft", "learn.adamw.weight_decay=10", "weight_decay: expected a number in [0, 1)"},
      {"train_sft", "learn.adamw.beta2=99.9", "beta2: expected a number in [0, 1)"},
      {"train_grpo", "samples_per_prompt=100000000", "expected at most 1000000 rollouts a step"},
      {"train_sft", "sequences_per_step=1000000000000",
       "\"sequences_per_step\": expected at most 100000000000, got 1000000000000"},
      {"train_grpo", "engine.max_batch=1000000000", "engine: max_batch: expected at most"},
      {"train_grpo", "temperature=0", "temperature: expected a number in [0.01, 100], got 0"},
      {"train_grpo", "update.loss.clip_low=20", "clip_low: expected"},
      {"train_sft", "plan.gpu=141", "\"plan.gpu\": expected a string, got 141"},
      {"train_sft", "learn.scheduel.lr=1e-5", "learn.scheduel"},
      {"train_grpo", "update.loss.clip_hi=0.2", "clip_hi"},
  };
  for (const auto& c : cases) {
    const auto run = test::run_program(
        {test::program(c.program), "--dry-run", "--set",
         "model_shape=" + test::fixture("tiny_llama/config.json").string(), "--set", c.set});
    expect_refused(run, c.expected);
  }
}

TEST_F(BadInputs, ACardThatIsTooSmallIsRefusedWithWhatWouldFit) {
  const auto config = (test::source_dir() / "configs/flowreasoner_14b.json").string();
  const auto run = [&](const Words& sets) {
    Words words = {"/usr/bin/env", "-C",   test::source_dir(), test::program("train_sft"),
                   "--config",     config, "--dry-run"};
    for (const auto& set : sets) words.insert(words.end(), {"--set", set});
    return test::run_program(words);
  };
  expect_refused(run({"plan.gpu=rtx-4090"}), "rtx-4090");
  const auto half = run({"plan.gpu=h200", "learn.full_weights=true"});
  expect_refused(half, "--set");
  EXPECT_EQ(run({"plan.gpu=h200"}).exit_code, 0);
}

}  // namespace
}  // namespace weft
