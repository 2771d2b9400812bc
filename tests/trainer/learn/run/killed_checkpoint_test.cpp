// train_sft killed while it writes a checkpoint, with each optimizer and on two threads: what was
// saved before is whole, and a resume gives the bits of a run that was left alone.
#include <gtest/gtest.h>

#include <csignal>
#include <fstream>

#include "base/file.h"
#include "base/json.h"
#include "tests/support/json_lines.h"
#include "tests/support/support.h"

namespace weft {
namespace {

using Words = std::vector<std::string>;

class KilledCheckpoint : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    std::ofstream data(dir_ / "data.jsonl");
    for (int i = 0; i < 12; ++i) {
      data << dump_json({{"prompt", "add"}, {"completion", std::to_string(i)}}) << "\n";
    }
  }

  Words command(const std::string& out) const {
    Words words = {"/usr/bin/env", "OMP_NUM_THREADS=2", test::program("train_sft"), "--out",
                   dir_ / out};
    for (const auto& set :
         {"model=" + test::fixture("tiny_llama").string(), std::string("dtype=f32"),
          "data.jsonl=" + (dir_ / "data.jsonl").string(), std::string("epochs=6"),
          std::string("sequences_per_step=3"), std::string("learn.full_weights=true"),
          std::string("learn.optimizer=") + GetParam(), std::string("checkpoint.every_steps=1")}) {
      words.insert(words.end(), {"--set", set});
    }
    if (fs::exists(dir_ / out / "config.json")) words.push_back("--resume");
    return words;
  }

  /// Kills a run as soon as it writes a checkpoint; true where that stays half written.
  bool is_killed_inside(const std::string& out) const {
    test::BackgroundProgram program(command(out), dir_ / "log");
    while (program.running() && !is_half_written(out)) {
    }
    program.signal_group(SIGKILL);
    program.wait();
    return is_half_written(out);
  }

  bool is_half_written(const std::string& out) const {
    std::error_code gone;  // a folder may go while it is read
    for (const auto& entry : fs::directory_iterator(dir_ / out / "checkpoints", gone)) {
      if (entry.path().extension() == ".tmp") return true;
    }
    return false;
  }

  test::TempDir dir_;
};

TEST_P(KilledCheckpoint, IsNoLossToARunThatGoesOn) {
  const auto straight = test::run_program(command("straight"));
  ASSERT_EQ(straight.exit_code, 0) << straight.err;
  int inside = 0;
  for (int i = 0; i < 12 && inside < 3; ++i) inside += is_killed_inside("run") ? 1 : 0;
  ASSERT_EQ(inside, 3) << "no checkpoint was caught half written";
  const auto resumed = test::run_program(command("run"));
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_EQ(read_file(dir_ / "run/final/model.safetensors"),
            read_file(dir_ / "straight/final/model.safetensors"));
  EXPECT_EQ(read_file(dir_ / "run/checkpoints/step_24/trainer/optimizer.safetensors"),
            read_file(dir_ / "straight/checkpoints/step_24/trainer/optimizer.safetensors"));
  const auto left = test::read_json_lines(dir_ / "straight/metrics.jsonl"),
             right = test::read_json_lines(dir_ / "run/metrics.jsonl");
  ASSERT_EQ(left.size(), 24u);
  ASSERT_EQ(right.size(), 24u);
  for (size_t i = 0; i < left.size(); ++i) {
    for (const char* key : {"step", "loss", "lr", "grad_norm", "tokens"}) {
      EXPECT_EQ(left[i][key], right[i][key]) << key << " of step " << i + 1;
    }
  }
  EXPECT_TRUE(test::unfinished_files(dir_ / "run").empty());
}

INSTANTIATE_TEST_SUITE_P(Optimizers, KilledCheckpoint,
                         testing::Values("adamw", "adamw_bf16", "adamw_8bit", "muon"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace weft
