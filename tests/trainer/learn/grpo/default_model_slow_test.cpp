// train_grpo on the default model: what was decoded is what is trained on, to the bit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/file.h"
#include "base/json.h"
#include "tests/support/json_lines.h"
#include "tests/support/support.h"

namespace weft {
namespace {

using Words = std::vector<std::string>;

constexpr double kPatience = 1200;  // s, of a run on busy cores

class DefaultModel : public testing::TestWithParam<const char*> {
 protected:
  Words command(const char* program, const std::string& out, Words sets) const {
    Words words = {test::program(program), "--out", dir_ / out};
    sets.push_back("model=" + model_.string());
    sets.push_back(std::string("dtype=") + GetParam());
    for (const auto& set : sets) words.insert(words.end(), {"--set", set});
    return words;
  }

  /// An adapter that changes what the model computes, as a fresh one does not.
  std::string trained_adapter() const {
    std::ofstream data(dir_ / "data.jsonl");
    for (int i = 0; i < 4; ++i) {
      data << dump_json({{"prompt", "Count to " + std::to_string(i)}, {"completion", "One."}})
           << "\n";
    }
    data.close();
    const auto sft =
        test::run_program(command("train_sft", "sft",
                                  {"data.jsonl=" + (dir_ / "data.jsonl").string(), "epochs=2",
                                   "sequences_per_step=4", "learn.schedule.lr=0.001"}),
                          "", kPatience);
    EXPECT_EQ(sft.exit_code, 0) << sft.err;
    return (dir_ / "sft" / "final").string();
  }

  const fs::path model_ = test::source_dir() / "models" / "SmolLM2-135M-Instruct";
  test::TempDir dir_;
};

// Defaults but for the size of the run. The KL to the base is the gradient where no answer is worth
// more than another, so that the weights of the second step are not those of the first.
TEST_P(DefaultModel, IsTrainedOnTheBitsThatItDecodes) {
  if (!fs::exists(model_ / "model.safetensors")) {
    GTEST_SKIP() << model_ << " is absent: run scripts/bootstrap.sh";
  }
  const std::string tasks = (test::source_dir() / "data/builtin/train.jsonl").string();
  const auto run =
      test::run_program(command("train_grpo", "grpo",
                                {"init_adapter=" + trained_adapter(), "tasks=[\"" + tasks + "\"]",
                                 "steps=3", "prompts_per_step=2", "samples_per_prompt=4",
                                 "max_completion_tokens=48", "update.loss.kl_coefficient=0.05"}),
                        "", kPatience);
  EXPECT_THAT(run.err, testing::HasSubstr("of decoding, of given ids and of training agree to the "
                                          "bit"));
  const auto steps = test::read_json_lines(dir_ / "grpo" / "metrics.jsonl");
  ASSERT_EQ(steps.size(), 3u) << run.err;
  for (const Json& step : steps) {
    EXPECT_EQ(step["mismatch_max"], 0) << step.dump();
    EXPECT_EQ(step["mismatch_k3"], 0);
    EXPECT_GT(step["grad_norm"].get<double>(), 0);
  }
  EXPECT_GT(steps[2]["kl"].get<double>(), 0);
  EXPECT_NE(read_file(dir_ / "grpo/checkpoints/step_3/adapter_model.safetensors"),
            read_file(dir_ / "sft/final/adapter_model.safetensors"));
}

INSTANTIATE_TEST_SUITE_P(Grpo, DefaultModel, testing::Values("f32", "bf16"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace weft
