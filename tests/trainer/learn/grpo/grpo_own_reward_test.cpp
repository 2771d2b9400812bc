// train_grpo under a reward term of the user's own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/trainer/learn/grpo/train_grpo_support.h"

namespace weft {
namespace {

using testing::HasSubstr;
using testing::Not;

class GrpoOwnReward : public test::GrpoProgram {
 protected:
  test::ProgramRun train(const std::string& source) {
    write_file_atomically(file_, source);
    return test::run(command(
        "grpo", dir_ / "sft" / "final",
        {"steps=2", "validation.tasks=[]", "reward.file=" + file_.string(), "reward.w_pass=0",
         "reward.w_complexity=0", "reward.w_diversity=0", "reward.file_weight=0.5"}));
  }

  const fs::path file_ = dir_ / "mine.py";
};

TEST_F(GrpoOwnReward, TrainsOnItAndGoesOnWithItAlone) {
  const std::string source =
      "def reward(workflow, outcome, task):\n    return 3 if outcome['valid'] else -1\n";
  const auto done = train(source);
  ASSERT_EQ(done.exit_code, 0) << done.err;
  const auto rollouts = test::read_json_lines(dir_ / "grpo" / "rollouts.jsonl");
  ASSERT_EQ(rollouts.size(), 24u);
  double sum = 0;
  for (const Json& rollout : rollouts) {
    const double own = rollout["valid"].get<bool>() ? 3 : -1;
    EXPECT_EQ(rollout["reward_file"], own) << rollout["problem"];
    EXPECT_EQ(rollout["reward"], 0.5 * own);
    sum += own;
  }
  const auto metrics = test::read_json_lines(dir_ / "grpo" / "metrics.jsonl");
  ASSERT_EQ(metrics.size(), 2u);
  EXPECT_NEAR(metrics[0]["reward_file"].get<double>() + metrics[1]["reward_file"].get<double>(),
              sum / 12, 1e-9);
  EXPECT_EQ(metrics[0]["infra_errors"], 0);
  const auto other = train(source + "# changed\n");
  EXPECT_EQ(other.exit_code, 2) << other.err;
  EXPECT_THAT(other.err, HasSubstr("\"reward\" differs from the run's"));
}

TEST_F(GrpoOwnReward, EndsAtOnceWithTheLineWhereItRaises) {
  const auto failed = train(
      "def reward(workflow, outcome, task):\n"
      "    if task['id'] != 'add 0':\n"
      "        raise KeyError(task['id'])\n"
      "    return 1\n");
  EXPECT_EQ(failed.exit_code, 1) << failed.err;
  EXPECT_THAT(failed.err, HasSubstr("mine.py: reward(): ERROR(KeyError) add "));
  EXPECT_THAT(failed.err, HasSubstr("line 3, in reward"));
  EXPECT_THAT(failed.err, Not(HasSubstr("again in")));
}

TEST_F(GrpoOwnReward, SamplesNothingUnderOneThatFails) {
  const auto failed = train("def reward(workflow, outcome, task):\n    return outcome['speed']\n");
  EXPECT_EQ(failed.exit_code, 2) << failed.err;
  EXPECT_THAT(failed.err, HasSubstr("mine.py: reward(): ERROR(KeyError)"));
  EXPECT_THAT(failed.err, HasSubstr("line 2, in reward"));
  EXPECT_FALSE(fs::exists(dir_ / "grpo" / "rollouts.jsonl"));
}

}  // namespace
}  // namespace weft
