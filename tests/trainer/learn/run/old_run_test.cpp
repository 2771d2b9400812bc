// Run folders of earlier versions, and folders that hold what no version of ours writes, are gone
// on with or refused by name.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "base/file.h"
#include "base/json.h"
#include "tests/support/json_lines.h"
#include "tests/support/support.h"

namespace weft {
namespace {

using testing::HasSubstr;
using Words = std::vector<std::string>;

/// tests/fixtures/old_run beside the model that its configs name; programs run in that folder.
class OldRun : public testing::Test {
 protected:
  void SetUp() override {
    fs::copy(test::fixture("old_run"), dir_.path(), fs::copy_options::recursive);
    fs::create_directory_symlink(test::fixture("tiny_llama"), dir_ / "tiny_llama");
  }

  test::ProgramRun train_sft(const std::string& out, bool resume) const {
    Words words = {"/usr/bin/env", "-C", dir_.path(), test::program("train_sft"), "--out", out};
    for (const char* set : {"model=tiny_llama", "data.jsonl=examples.jsonl", "dtype=f32",
                            "learn.schedule.lr=0.01", "epochs=20", "sequences_per_step=2",
                            "learn.lora.rank=1", "learn.lora.targets=[\"q_proj\",\"v_proj\"]",
                            "checkpoint.base_model_name=tiny_llama", "checkpoint.keep=1"}) {
      words.insert(words.end(), {"--set", set});
    }
    if (resume) words.push_back("--resume");
    return test::run_program(words);
  }

  fs::path checkpoint() const {
    std::string name = read_file(dir_ / "train_sft/checkpoints/latest");
    name.pop_back();
    return dir_ / "train_sft/checkpoints" / name;
  }

  test::TempDir dir_;
};

// The steps before were computed on another machine, so not to the bit.
TEST_F(OldRun, GoesOnAsOneOfThisVersion) {
  const auto resumed = train_sft("train_sft", true), straight = train_sft("straight", false);
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  ASSERT_EQ(straight.exit_code, 0) << straight.err;
  EXPECT_THAT(resumed.err, HasSubstr("another version of the program"));
  EXPECT_THAT(resumed.err, HasSubstr("going on from train_sft/checkpoints/step_"));
  const auto left = test::read_json_lines(dir_ / "train_sft/metrics.jsonl");
  const auto right = test::read_json_lines(dir_ / "straight/metrics.jsonl");
  ASSERT_EQ(left.size(), 60u);
  ASSERT_EQ(right.size(), 60u);
  for (size_t i = 0; i < left.size(); ++i) {
    EXPECT_NEAR(left[i]["loss"].get<double>(), right[i]["loss"].get<double>(), 1e-3) << i;
  }
}

TEST_F(OldRun, IsRefusedByTheNameOfWhatThisVersionDoesNotKnow) {
  const fs::path state = checkpoint() / "trainer/state.json";
  const auto edit = [](const fs::path& path, const std::function<void(Json&)>& change) {
    Json json = read_json_file(path);
    change(json);
    write_file_atomically(path, dump_json(json));
  };
  const auto cut = [](const fs::path& path) { fs::resize_file(path, 60); };
  const struct {
    std::function<void()> change;
    const char* message;
  } cases[] = {
      {[&] { edit(state, [](Json& json) { json.erase("tokens"); }); },
       "state.json: field \"tokens\": expected an integer, got nothing"},
      {[&] { edit(state, [](Json& json) { json["cursor"] = 3; }); },
       "state.json: field \"cursor\" is unknown to this version"},
      {[&] { write_file_atomically(state, "[]"); }, "state.json: expected an object"},
      {[&] { cut(state); }, "state.json: not valid JSON"},
      {[&] { cut(checkpoint() / "trainer/optimizer.safetensors"); }, "optimizer.safetensors: "},
      {[&] { cut(checkpoint() / "adapter_model.safetensors"); }, "adapter_model.safetensors: "},
      {[&] { edit(dir_ / "train_sft/config.json", [](Json& json) { json["learn"]["gone"] = 3; }); },
       "\"learn.gone\" differs from the run's config: expected 3, got none"},
  };
  for (const auto& c : cases) {
    fs::remove_all(dir_ / "train_sft");
    fs::copy(test::fixture("old_run") / "train_sft", dir_ / "train_sft",
             fs::copy_options::recursive);
    c.change();
    const auto refused = train_sft("train_sft", true);
    EXPECT_EQ(refused.exit_code, 2) << refused.err;
    EXPECT_THAT(refused.err, HasSubstr(c.message));
    EXPECT_TRUE(fs::exists(checkpoint()));
  }
}

}  // namespace
}  // namespace weft
