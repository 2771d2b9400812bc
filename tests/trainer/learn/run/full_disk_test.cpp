// A disk that is full when a checkpoint is saved: the run ends with one line, what was saved before
// is whole, and a resume goes on from it as if nothing had been.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "base/file.h"
#include "base/json.h"
#include "tests/support/small_disk.h"
#include "tests/support/support.h"

namespace weft {
namespace {

using Words = std::vector<std::string>;
using testing::HasSubstr;

constexpr int64_t kDiskBytes = 16 << 20;

struct Case {
  const char* name;
  bool full_weights;
  int64_t free_bytes;  ///< when the second checkpoint is due: too little
  const char* file;    ///< that does not fit
  const char* optimizer = "adamw";
};

class FullDisk : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    std::ofstream data(dir_ / "data.jsonl");
    for (int i = 0; i < 12; ++i) {
      data << dump_json({{"prompt", "add"}, {"completion", std::to_string(i)}}) << "\n";
    }
  }

  Words command(const fs::path& out, const Words& more = {}) const {
    Words words = {test::program("train_sft"), "--out", out};
    const char* full = GetParam().full_weights ? "true" : "false";
    for (const auto& set :
         {"model=" + test::fixture("tiny_llama").string(), std::string("dtype=f32"),
          "data.jsonl=" + (dir_ / "data.jsonl").string(), std::string("epochs=2"),
          std::string("sequences_per_step=3"), std::string("learn.full_weights=") + full,
          std::string("learn.optimizer=") + GetParam().optimizer}) {
      words.insert(words.end(), {"--set", set});
    }
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }

  /// The model's file of a checkpoint.
  std::string weights(const fs::path& checkpoint) const {
    return read_file(checkpoint /
                     (GetParam().full_weights ? "model.safetensors" : "adapter_model.safetensors"));
  }

  test::TempDir dir_;
};

std::vector<std::string> names_in(const fs::path& dir) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(dir)) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

/// Lines of a log that speak of an error.
int64_t num_error_lines(const std::string& log) {
  int64_t count = 0;
  for (size_t at = log.find("error "); at != std::string::npos; at = log.find("error ", at + 1)) {
    ++count;
  }
  return count;
}

TEST_P(FullDisk, EndsTheRunWithTheCheckpointBeforeWhole) {
  std::string why;
  const auto disk = test::SmallDisk::mount(dir_ / "disk", kDiskBytes, why);
  if (!disk) GTEST_SKIP() << why;
  ASSERT_EQ(test::run_program(command(dir_ / "straight")).exit_code, 0);
  const fs::path run = disk->path() / "run", checkpoints = run / "checkpoints";
  ASSERT_EQ(test::run_program(command(run, {"--set", "max_steps=4"})).exit_code, 0);
  const std::string before = weights(checkpoints / "step_4");

  disk->fill_up_to(GetParam().free_bytes);
  const auto failed = test::run_program(command(run, {"--resume"}));
  EXPECT_EQ(failed.exit_code, 1) << failed.err;
  EXPECT_EQ(num_error_lines(failed.err), 1) << failed.err;
  EXPECT_THAT(failed.err, HasSubstr("No space left on device"));
  EXPECT_THAT(failed.err, HasSubstr("step_8"));
  EXPECT_THAT(failed.err, HasSubstr(GetParam().file));
  EXPECT_EQ(names_in(checkpoints), (Words{"latest", "step_4"}));
  EXPECT_EQ(weights(checkpoints / "step_4"), before);
  EXPECT_EQ(weights(run / "final"), before);
  EXPECT_THAT(test::unfinished_files(run), testing::IsEmpty());

  disk->make_room();
  const auto resumed = test::run_program(command(run, {"--resume"}));
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_EQ(weights(run / "final"), weights(dir_ / "straight" / "final"));
  EXPECT_EQ(names_in(checkpoints), (Words{"latest", "step_4", "step_8"}));
}

TEST(FullDiskAtTheLines, EndsWithOneErrorAndAResumeLosesNothing) {
  test::TempDir dir;
  std::string why;
  const auto disk = test::SmallDisk::mount(dir / "disk", kDiskBytes, why);
  if (!disk) GTEST_SKIP() << why;
  std::string data;
  for (int i = 0; i < 12; ++i) {
    data += dump_json({{"prompt", "add"}, {"completion", std::to_string(i)}}) + "\n";
  }
  write_file_atomically(dir / "data.jsonl", data);
  const auto command = [&](const fs::path& out, const Words& more) {
    Words words = {test::program("train_sft"), "--out", out};
    for (const auto& set : {"model=" + test::fixture("tiny_llama").string(),
                            "data.jsonl=" + (dir / "data.jsonl").string(), std::string("dtype=f32"),
                            std::string("epochs=20"), std::string("sequences_per_step=3")}) {
      words.insert(words.end(), {"--set", set});
    }
    words.insert(words.end(), more.begin(), more.end());
    return words;
  };
  ASSERT_EQ(test::run_program(command(dir / "straight", {})).exit_code, 0);
  const fs::path run = disk->path() / "run";
  test::BackgroundProgram program(command(run, {}), dir / "log");
  ASSERT_TRUE(test::wait_until([&] { return test::count_lines(run / "metrics.jsonl") >= 2; }));
  disk->fill_up_to(0);
  EXPECT_EQ(program.wait(), 1) << read_file(dir / "log");
  EXPECT_EQ(num_error_lines(read_file(dir / "log")), 1) << read_file(dir / "log");
  EXPECT_THAT(read_file(dir / "log"), HasSubstr("No space left on device"));
  EXPECT_THAT(read_file(dir / "log"), HasSubstr("could not be saved either"));
  disk->make_room();
  const auto resumed = test::run_program(command(run, {"--resume"}));
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_EQ(read_file(run / "final" / "adapter_model.safetensors"),
            read_file(dir / "straight" / "final" / "adapter_model.safetensors"));
  EXPECT_EQ(test::count_lines(run / "metrics.jsonl"), 80);
}

// A run's own lines fit in what is left.
INSTANTIATE_TEST_SUITE_P(
    Checkpoints, FullDisk,
    testing::Values(Case{"AtTheAdapter", false, 16 << 10, "adapter_model"},
                    Case{"AtItsOptimizerState", false, 192 << 10, "optimizer"},
                    Case{"AtTheModel", true, 96 << 10, "model.safetensors"},
                    Case{"AtTheModelsOptimizerState", true, 512 << 10, "optimizer"},
                    Case{"AtStatesOf8Bits", true, 400 << 10, "optimizer", "adamw_8bit"},
                    Case{"AtStatesInBf16", true, 400 << 10, "optimizer", "adamw_bf16"},
                    Case{"AtMuonsStates", true, 400 << 10, "optimizer", "muon"}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace weft
