// train_grpo when what is around it fails: a worker server that dies, files that cannot be written,
// weights and rewards that are no numbers, a run in which nothing is learnt.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <limits>

#include "data/trajectory_store.h"
#include "model/checkpoint/hf_model.h"
#include "model/checkpoint/safetensors.h"
#include "tests/model/remote/faulty_server.h"
#include "tests/support/locked_database.h"
#include "tests/trainer/learn/grpo/train_grpo_support.h"
#include "tests/trainer/learn/run/dated_model.h"

namespace weft {
namespace {

using namespace test;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kAnswer = "```python\ndef f(x):\n    return x + 1\n```";

class GrpoFaults : public GrpoProgram {
 protected:
  /// The worker: answers the first `alive` requests and those after `dead` more.
  std::atomic<int> alive = 1 << 30, dead = 1 << 30;
  FaultyServer server{[this](int number, const std::string&, const Json& body, const std::string&) {
    if (number < alive || number >= alive + dead) return completion_reply(body, kAnswer);
    Reply reply;
    reply.status = 503;
    return reply;
  }};

  Words remote(const std::string& out, const Words& more = {}) const {
    Words sets = {"worker.kind=remote",        "worker.remote.base_url=" + server.base_url(),
                  "worker.remote.model=any",   "worker.remote.max_retries=0",
                  "lost_rollouts.wait_s=0.01", "steps=4"};
    sets.insert(sets.end(), more.begin(), more.end());
    return command(out, dir_ / "sft" / "final", sets);
  }

  /// In what does not depend on the clock.
  void expect_same_run(const std::string& a, const std::string& b) const {
    EXPECT_EQ(read_file(dir_ / a / "final" / kAdapter), read_file(dir_ / b / "final" / kAdapter));
    for (const char* file : {"metrics.jsonl", "rollouts.jsonl"}) {
      const auto left = read_json_lines(dir_ / a / file), right = read_json_lines(dir_ / b / file);
      ASSERT_EQ(left.size(), right.size()) << file;
      for (size_t i = 0; i < left.size(); ++i) {
        for (const char* key : {"step", "reward", "reward_mean", "loss", "text", "valid"}) {
          EXPECT_EQ(left[i].value(key, Json()), right[i].value(key, Json())) << key << " of " << i;
        }
      }
    }
  }
};

TEST_F(GrpoFaults, AWorkerThatIsAwayForAWhileChangesNothing) {
  const auto straight = run(remote("straight"));
  ASSERT_EQ(straight.exit_code, 0) << straight.err;
  const int requests = server.num_requests();
  ASSERT_GT(requests, 6);
  alive = requests + requests / 2;
  dead = 4;
  const auto flaky = run(remote("flaky"));
  ASSERT_EQ(flaky.exit_code, 0) << flaky.err;
  EXPECT_THAT(flaky.err, HasSubstr("rollouts that were run are lost"));
  EXPECT_THAT(flaky.err, HasSubstr("HTTP 503"));
  EXPECT_THAT(flaky.err, HasSubstr("again in"));
  expect_same_run("straight", "flaky");
}

TEST_F(GrpoFaults, AStoreThatIsLockedCostsNoStepAndAResumeFillsIt) {
  const fs::path store = dir_ / "shared.sqlite";
  const std::string set = "trajectories=" + store.string();
  TrajectoryStore(store).count();
  {
    const LockedDatabase locked(store);
    const auto alone = run(remote("run", {set, "steps=2", "learn.schedule.decay=constant"}));
    ASSERT_EQ(alone.exit_code, 0) << alone.err;
    EXPECT_THAT(alone.err, HasSubstr("12 workflows could not be stored"));
    EXPECT_THAT(alone.err, HasSubstr("24 workflows are not in the store"));
  }
  EXPECT_EQ(read_json_file(dir_ / "run" / "summary.json")["rollouts_not_stored"], 24);
  EXPECT_EQ(TrajectoryStore(store).count(), 0);
  const auto resumed = run(remote("run", {set, "steps=3", "learn.schedule.decay=constant"}));
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_EQ(read_json_file(dir_ / "run" / "summary.json")["rollouts_not_stored"], 0);
  const auto rows = TrajectoryStore(store).select();
  ASSERT_EQ(rows.size(), 36u);
  int valid = 0;
  for (const Trajectory& row : rows) {
    EXPECT_EQ(row.origin, "model:" + (dir_ / "run").string());
    EXPECT_EQ(row.model_version, "any");
    EXPECT_THAT(row.prompt, HasSubstr(row.task_id));
    EXPECT_TRUE(row.usage.contains("calls") && row.round >= 1 && row.round <= 3);
    valid += row.valid;
    if (!row.valid) continue;
    EXPECT_THAT(row.code, HasSubstr("class Workflow"));
    EXPECT_EQ(row.num_steps, 1);
  }
  EXPECT_GT(valid, 0);
}

TEST_F(GrpoFaults, AWorkerThatStaysAwayEndsTheRunWithWhatAResumeNeeds) {
  const auto straight = run(remote("straight"));
  ASSERT_EQ(straight.exit_code, 0) << straight.err;
  const int requests = server.num_requests();
  alive = requests + requests / 2;
  const auto failed = run(remote("cut", {"lost_rollouts.max_waits=2"}));
  EXPECT_EQ(failed.exit_code, 1) << failed.err;
  EXPECT_THAT(failed.err, HasSubstr("are lost"));
  EXPECT_THAT(failed.err, HasSubstr("HTTP 503"));
  EXPECT_THAT(failed.err, HasSubstr("after 2 waits"));
  EXPECT_FALSE(fs::exists(dir_ / "cut" / "final"));
  const auto done = read_json_lines(dir_ / "cut" / "metrics.jsonl");
  EXPECT_EQ(read_file(dir_ / "cut" / "checkpoints" / "latest"),
            "step_" + std::to_string(done.size()) + "\n");
  for (const Json& step : done) EXPECT_EQ(step["infra_errors"], 0);
  alive = 1 << 30;
  const auto resumed = run(remote("cut"));
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  expect_same_run("straight", "cut");
}

TEST_F(GrpoFaults, AStopIsHeardWhileTheWorkerIsWaitedFor) {
  alive = 0;
  BackgroundProgram waiting(remote("run", {"lost_rollouts.wait_s=300", "validation.tasks=[]"}),
                            dir_ / "log");
  ASSERT_TRUE(wait_until([&] {
    return fs::exists(dir_ / "log") &&
           read_file(dir_ / "log").find("again in 300 s") != std::string::npos;
  }));
  waiting.signal(SIGTERM);
  EXPECT_EQ(waiting.wait(), 128 + SIGTERM) << read_file(dir_ / "log");
  EXPECT_EQ(read_file(dir_ / "run" / "checkpoints" / "latest"), "step_0\n");
  EXPECT_FALSE(fs::exists(dir_ / "run" / "final"));
}

TEST_F(GrpoFaults, AStepWhoseLinesCannotBeWrittenIsSavedWithThem) {
  ASSERT_EQ(run(remote("straight")).exit_code, 0);
  fs::create_directories(dir_ / "cut");
  fs::create_symlink(dir_ / "nowhere" / "rollouts", dir_ / "cut" / "rollouts.jsonl");
  const auto failed = run(remote("cut"));
  EXPECT_EQ(failed.exit_code, 1) << failed.err;
  EXPECT_THAT(failed.err, HasSubstr("cannot write"));
  EXPECT_THAT(failed.err, HasSubstr("rollouts.jsonl"));
  EXPECT_EQ(read_file(dir_ / "cut" / "checkpoints" / "latest"), "step_1\n");
  fs::remove(dir_ / "cut" / "rollouts.jsonl");
  const auto resumed = run(remote("cut"));
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  expect_same_run("straight", "cut");
}

TEST_F(GrpoFaults, WeightsThatCouldMakeARewardInfiniteAreRefusedBeforeAnythingIsDone) {
  const auto failed = run(remote("run", {"reward.w_pass=1.7e308"}));
  EXPECT_EQ(failed.exit_code, 2) << failed.err;
  EXPECT_THAT(failed.err, HasSubstr("w_pass: expected a weight from 0 to 1e+06, got 1.7e+308"));
  EXPECT_FALSE(fs::exists(dir_ / "run"));
}

TEST_F(GrpoFaults, ARunThatLearnsNothingFailsWithTheCountedReasons) {
  for (const std::string kl : {"0", "0.01"}) {  // a KL term's updates are not learning
    const Words sets = {"steps=2", "max_completion_tokens=24", "update.loss.kl_coefficient=" + kl};
    const std::string out = "kl_" + kl;
    for (int i = 0; i < 2; ++i) {  // resumed when it is done, it is still one
      const auto failed = run(command(out, fixture("tiny_llama"), sets));
      EXPECT_EQ(failed.exit_code, 1) << failed.err;
      if (i == 0) {
        EXPECT_THAT(failed.err, HasSubstr("step 2: 0 of 12 valid: "));
      }
      EXPECT_THAT(failed.err, HasSubstr("cut at max_completion_tokens"));
      EXPECT_THAT(failed.err, HasSubstr("no update in 2 steps"));
      EXPECT_THAT(failed.err, HasSubstr("0 of 24 valid: "));
      EXPECT_FALSE(fs::exists(dir_ / out / "final"));
    }
    const auto metrics = read_json_lines(dir_ / out / "metrics.jsonl");
    ASSERT_EQ(metrics.size(), 2u);
    EXPECT_EQ(metrics[1]["loss"].is_null(), kl == "0");
    EXPECT_EQ(metrics[1]["grad_norm"].is_null(), kl == "0");
    EXPECT_EQ(metrics[1]["valid_workflows"], 0);
  }
}

TEST_F(GrpoFaults, OptimizerStateThatIsNotFiniteIsNamed) {
  ASSERT_EQ(run(remote("run", {"steps=2"})).exit_code, 0);
  const fs::path file = dir_ / "run/checkpoints/step_2/trainer/optimizer.safetensors";
  std::vector<std::pair<std::string, at::Tensor>> state;
  {
    const SafetensorsReader reader(file);
    for (const auto& name : reader.names()) state.emplace_back(name, reader.tensor(name).clone());
  }
  const auto damaged = std::find_if(state.begin(), state.end(), [](const auto& entry) {
    return entry.first.starts_with("exp_avg_sq.");
  });
  ASSERT_NE(damaged, state.end());
  damaged->second.flatten()[7] = std::numeric_limits<double>::quiet_NaN();
  write_safetensors(file, state);
  const auto refused = run(remote("run"));
  EXPECT_EQ(refused.exit_code, 2) << refused.err;
  EXPECT_THAT(refused.err, HasSubstr("optimizer.safetensors"));
  EXPECT_THAT(refused.err,
              HasSubstr("\"" + damaged->first + "\" holds values that are not finite"));
}

TEST_F(GrpoFaults, LeavesWhatContractsPromiseAndResumes) {
  const auto first = run(remote("run", {"steps=2", "checkpoint.every_steps=1"}));
  ASSERT_EQ(first.exit_code, 0) << first.err;
  const auto again = run(remote("run", {"checkpoint.every_steps=1"}));
  ASSERT_EQ(again.exit_code, 0) << again.err;
  const auto metrics = read_json_lines(dir_ / "run" / "metrics.jsonl");
  ASSERT_EQ(metrics.size(), 4u);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(metrics[i]["step"], i + 1);
    EXPECT_EQ(metrics[i]["infra_errors"], 0);
    EXPECT_EQ(metrics[i]["mismatch_max"], 0);
  }
  const auto rollouts = read_json_lines(dir_ / "run" / "rollouts.jsonl");
  ASSERT_EQ(rollouts.size(), 48u);
  EXPECT_EQ(rollouts.back()["step"], 4);
  EXPECT_TRUE(rollouts[0].contains("text"));
  EXPECT_TRUE(fs::exists(dir_ / "run" / "final" / kAdapter));
  const Json usage = read_json_file(dir_ / "run" / "usage.json");
  const Json summary = read_json_file(dir_ / "run" / "summary.json");
  EXPECT_GT(usage["decoded_tokens"], summary["decoded_tokens"]);  // validation besides
  EXPECT_GT(usage["prefill_tokens"], 0);
  const Json both = read_json_file(dir_ / "run" / "before_after.json");
  for (const char* when : {"before", "after"}) {
    ASSERT_EQ(both[when]["tasks"].size(), 2u);
    EXPECT_EQ(both[when]["tasks"][0]["rewards"].size(), 2u);
    EXPECT_TRUE(both[when]["left_out"].empty());
  }
  EXPECT_EQ(both["before"]["tasks"][1]["id"], both["after"]["tasks"][1]["id"]);
}

TEST_F(GrpoFaults, TemplatesThatWriteTheDateAreNamedAsReasonsToDiffer) {
  const std::string policy = copy_with_a_date(dir_ / "sft" / "final", dir_ / "policy");
  const std::string worker = copy_with_a_date(fixture("tiny_llama"), dir_ / "worker");
  const auto dated =
      run(command("run", policy, {"worker.model=" + worker, "steps=2", "validation.tasks=[]"}));
  ASSERT_EQ(dated.exit_code, 0) << dated.err;
  const Json clock = read_json_file(dir_ / "run" / "summary.json")["clock"];
  EXPECT_EQ(clock["reasons"], (Json{"the chat template of " + policy + " writes the date",
                                    "the chat template of " + worker + " writes the date"}));
}

TEST_F(GrpoFaults, TheWorkerMayHaveRoundedWeights) {
  const auto rounded = run(command("rounded", dir_ / "sft" / "final",
                                   {"worker.dtype=int8", "steps=2", "validation.tasks=[]"}));
  ASSERT_EQ(rounded.exit_code, 0) << rounded.err;
  EXPECT_EQ(read_json_lines(dir_ / "rounded" / "metrics.jsonl").at(0)["mismatch_max"], 0);
}

}  // namespace
}  // namespace weft
