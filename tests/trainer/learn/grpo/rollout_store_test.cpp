#include "trainer/learn/grpo/rollout_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "base/file.h"
#include "base/jsonl.h"
#include "data/episode.h"
#include "tests/support/support.h"

namespace weft {
namespace {

Episode episode(uint64_t group, const std::string& text, double reward = 0.5) {
  Episode e;
  e.task_id = "t" + std::to_string(group);
  e.group = group;
  e.prompt_ids = {1, 2};
  e.completion_ids = {3, 4, 5};
  e.text = text;
  e.reward = reward;
  e.terms.pass = 0.25;
  e.valid = true;
  e.outcome = "scored";
  e.usage = {{"calls", 2}};
  return e;
}

const std::string kText = "Because.\n```python\n# Step 1: a\nx = 1\n# Step 2: b\n```";

class RolloutStores : public testing::Test {
 protected:
  std::unique_ptr<RolloutStore> open() const {
    std::vector<Task> tasks(2);
    tasks[0].id = "t0";
    tasks[1].id = "t1";
    const RolloutStore::Source source = {"model:run", "worker",
                                         [](const Task& task) { return "query of " + task.id; }};
    return std::make_unique<RolloutStore>(path_, source, tasks);
  }
  static std::vector<Json> lines(int64_t step, const std::vector<Episode>& episodes) {
    std::vector<Json> rows;
    for (const Episode& e : episodes) rows.push_back(episode_to_json(step, e));
    return rows;
  }
  std::vector<Trajectory> stored() const {
    return TrajectoryStore(path_, StoreAccess::kRead).select();
  }

  test::TempDir dir_;
  const fs::path path_ = dir_ / "s.sqlite";
};

TEST_F(RolloutStores, HoldEachRolloutWithAllThatIsKnownOfIt) {
  open()->add(3, lines(3, {episode(1, kText)}));
  const auto rows = stored();
  ASSERT_EQ(rows.size(), 1u);
  const Trajectory& row = rows[0];
  EXPECT_EQ(row.task_id, "t1");
  EXPECT_EQ(row.origin, "model:run");
  EXPECT_EQ(row.model_version, "worker");
  EXPECT_EQ(row.prompt, "query of t1");
  EXPECT_EQ(row.reasoning, "Because.");
  EXPECT_EQ(row.code, "# Step 1: a\nx = 1\n# Step 2: b\n");
  EXPECT_EQ(row.num_steps, 2);
  EXPECT_EQ(row.round, 3);
  EXPECT_EQ(row.reward, 0.5);
  EXPECT_EQ(row.pass_rate, 0.25);
  EXPECT_EQ(row.usage["calls"], 2);
  EXPECT_EQ(row.usage["generator_completion_tokens"], 3);
}

TEST_F(RolloutStores, KeepTheUsersOwnTermOfTheReward) {
  Episode with = episode(0, kText);
  with.terms.file = -2.5;
  open()->add(1, lines(1, {with, episode(1, kText)}));
  const auto rows = stored();
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].usage["reward_file"], -2.5);
  EXPECT_FALSE(rows[1].usage.contains("reward_file"));
}

TEST_F(RolloutStores, KeepTheTextOfWhatIsNoWorkflow) {
  Episode broken = episode(0, "no block");
  broken.valid = false;
  broken.outcome = "workflow_error";
  broken.problem = "no code block";
  open()->add(1, lines(1, {broken}));
  const auto rows = stored();
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].reasoning, "no block");
  EXPECT_EQ(rows[0].code, "");
  EXPECT_EQ(rows[0].usage["error"], "no code block");
}

// Samples of a group may be alike; the same sample of a step that is done again is not another.
TEST_F(RolloutStores, HoldSamplesThatAreAlikeAndNoRolloutTwice) {
  const auto rows = lines(1, {episode(0, kText), episode(0, kText), episode(1, kText)});
  for (int i = 0; i < 2; ++i) open()->add(1, rows);
  EXPECT_EQ(stored().size(), 3u);
  open()->add(1, lines(1, {episode(0, kText), episode(0, "So " + kText)}));
  EXPECT_EQ(stored().size(), 4u);
}

TEST_F(RolloutStores, LeaveOutWhatThePolicyGaveNoCompletionOf) {
  Episode lost = episode(0, "");
  lost.completion_ids.clear();
  lost.infra_error = true;
  open()->add(1, lines(1, {lost, episode(1, kText)}));
  EXPECT_EQ(stored().size(), 1u);
}

TEST_F(RolloutStores, GiveNoRewardWhereItIsNotFinite) {
  open()->add(1, lines(1, {episode(0, kText, std::numeric_limits<double>::quiet_NaN())}));
  ASSERT_EQ(stored().size(), 1u);
  EXPECT_FALSE(has_reward(stored()[0]));
}

TEST_F(RolloutStores, TakeFromTheFileWhatIsMissing) {
  const fs::path file = dir_ / "rollouts.jsonl";
  {
    JsonlWriter writer(file);
    for (int64_t step = 1; step <= 4; ++step) {
      for (const Json& row : lines(step, {episode(0, kText), episode(1, kText)})) writer.write(row);
      if (step == 2) writer.write({{"step", 2}, {"group", 9}});
    }
  }
  const auto store = open();
  store->add(1, lines(1, {episode(0, kText), episode(1, kText)}));
  store->add_missing(file, 3);
  EXPECT_EQ(store->num_missing(), 0);
  std::map<int, int> of_round;
  for (const Trajectory& row : stored()) ++of_round[row.round];
  EXPECT_EQ(of_round, (std::map<int, int>{{1, 2}, {3, 2}}));  // step 2 cannot be read
  store->add_missing(dir_ / "nothing.jsonl", 3);
}

}  // namespace
}  // namespace weft
