#include "trainer/learn/grpo/rollouts.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "base/error.h"
#include "base/stop.h"
#include "tests/support/config_sizes.h"
#include "tests/support/fake_environment.h"
#include "tests/support/scripted_model.h"
#include "trainer/learn/grpo/grpo_config.h"

namespace weft {
namespace {

/// "broken" is never scored; "flaky" not the first `failures` times; "raises" is lost for good.
class EchoRewards : public test::FakeEnvironment {
 public:
  int failures = 0;
  std::optional<double> own_term;  ///< of reward.file
  void run(RunRequest request, std::function<void(Outcome)> done) override {
    const std::string& completion = request.workflow->code;
    Outcome outcome = test::rewarded(static_cast<double>(completion.size()));
    outcome.reward->file = own_term;
    {
      const std::lock_guard lock(mutex_);
      ++num_scored[request.task->id + "/" + completion];
      if (completion == "broken" || (completion == "flaky" && failures-- > 0)) {
        outcome = test::infrastructure_error("worker: HTTP 503 (attempt 7)");
      }
    }
    if (completion == "raises") {
      outcome = test::infrastructure_error(
          "the reward: mine.py: reward(): ERROR(KeyError) 'x'; line 3, in reward");
      outcome.own_reward_failed = true;
    }
    outcome.usage.calls = 2;
    outcome.usage.prompt_tokens = static_cast<int64_t>(request.seed % 2) + 10;
    done(outcome);
  }
  size_t total() const {
    const std::lock_guard lock(mutex_);
    size_t sum = 0;
    for (const auto& [what, count] : num_scored) sum += static_cast<size_t>(count);
    return sum;
  }
  std::map<std::string, int> num_scored;

 private:
  mutable std::mutex mutex_;
};

/// Is asked for nothing but an end.
class EndlessEnvironment : public EchoRewards {
 public:
  void stop() override { stopped = true; }
  std::atomic<bool> stopped{false};
};

std::vector<Task> make_tasks(const std::vector<std::string>& names) {
  std::vector<Task> result;
  for (const auto& name : names) {
    Task task;
    task.id = name;
    task.prompt = name;
    result.push_back(task);
  }
  return result;
}

RolloutBatch collect(TextModel& model, EchoRewards& rewards, const std::vector<Task>& tasks,
                     RolloutOptions options = {}) {
  std::vector<const Task*> borrowed;
  std::vector<uint64_t> seeds;
  for (const auto& task : tasks) {
    borrowed.push_back(&task);
    seeds.push_back(100 + seeds.size());
  }
  options.samples_per_prompt = 3;
  RoundRunner rounds(rewards);
  return collect_rollouts(model, rounds, borrowed, seeds, options);
}

TEST(Rollouts, TellTheUsersOwnTermWhereThereIsOne) {
  test::ScriptedModel model([](const test::ScriptedPrompt& p) { return p.user; });
  EchoRewards rewards;
  Json row = episode_to_json(1, collect(model, rewards, make_tasks({"a"})).episodes[0]);
  EXPECT_FALSE(row.contains("reward_file"));
  rewards.own_term = -2.5;
  row = episode_to_json(1, collect(model, rewards, make_tasks({"a"})).episodes[0]);
  EXPECT_EQ(row["reward_file"], -2.5);
}

TEST(Rollouts, KeepTheOrderOfPromptsAndSamples) {
  test::ScriptedModel model(
      [](const test::ScriptedPrompt& p) { return p.user + std::string(p.choice, '!'); });
  EchoRewards rewards;
  const auto batch = collect(model, rewards, make_tasks({"aa", "b"}));
  ASSERT_EQ(batch.episodes.size(), 6u);
  const std::vector<std::string> expected = {"aa", "aa!", "aa!!", "b", "b!", "b!!"};
  for (size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(batch.episodes[i].text, expected[i]);
    EXPECT_EQ(batch.episodes[i].reward, static_cast<double>(expected[i].size()));
    EXPECT_EQ(batch.episodes[i].group, 100 + i / 3);
    EXPECT_EQ(batch.episodes[i].completion_ids.size(), batch.episodes[i].sampling_logprobs.size());
  }
  EXPECT_EQ(batch.worker_calls, 12);
  for (const auto& [what, count] : rewards.num_scored) EXPECT_EQ(count, 1) << what;
}

TEST(Rollouts, ScoreNothingBeforeTheLastIsDecodedWithoutOverlap) {
  EchoRewards rewards;
  size_t scored_while_decoding = 0;
  test::ScriptedModel model([&](const test::ScriptedPrompt& p) {
    scored_while_decoding += rewards.total();
    return p.user + std::string(p.choice, '!');
  });
  RolloutOptions options;
  options.overlap = false;
  const auto apart = collect(model, rewards, make_tasks({"aa", "b"}), options);
  EXPECT_EQ(scored_while_decoding, 0u);
  EXPECT_EQ(rewards.total(), 6u);
  EchoRewards other;
  const auto together = collect(model, other, make_tasks({"aa", "b"}));
  ASSERT_EQ(apart.episodes.size(), together.episodes.size());
  for (size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(apart.episodes[i].text, together.episodes[i].text);
    EXPECT_EQ(apart.episodes[i].reward, together.episodes[i].reward);
  }
}

TEST(Rollouts, ScoreEachOnceWhetherItsEndIsSeenInTheStreamOrNot) {
  test::ScriptedModel model(
      [](const test::ScriptedPrompt& p) { return p.user + std::string(p.choice, '!'); });
  EchoRewards rewards;
  RolloutOptions options;
  options.eos_ids = {'!'};  // the end of two in three
  const auto batch = collect(model, rewards, make_tasks({"aa", "b"}), options);
  EXPECT_EQ(rewards.total(), 6u);
  EXPECT_EQ(rewards.num_scored.size(), 6u);
  for (const Episode& episode : batch.episodes) {
    EXPECT_EQ(episode.reward, static_cast<double>(episode.text.size()));
  }
}

TEST(Rollouts, RecordLogprobsOfTheDistributionSampledFrom) {
  test::ScriptedModel model([](const test::ScriptedPrompt&) { return "x"; });
  EchoRewards rewards;
  RolloutOptions options;
  EXPECT_EQ(collect(model, rewards, make_tasks({"a"}), options).episodes[0].sampling_logprobs[0],
            -1);
  options.temperature = 0.7;
  EXPECT_EQ(collect(model, rewards, make_tasks({"a"}), options).episodes[0].sampling_logprobs[0],
            -2);
}

TEST(Rollouts, KeepInfrastructureErrorsOutOfTheRewards) {
  test::ScriptedModel model(
      [](const test::ScriptedPrompt& p) { return p.choice == 1 ? "broken" : "fine"; });
  EchoRewards rewards;
  const auto batch = collect(model, rewards, make_tasks({"a"}));
  EXPECT_FALSE(batch.episodes[0].infra_error);
  EXPECT_TRUE(batch.episodes[1].infra_error);
  EXPECT_EQ(batch.episodes[1].outcome, "infrastructure");
}

TEST(Rollouts, CountAFailedRequestAsInfrastructure) {
  test::ScriptedModel model([](const test::ScriptedPrompt&) { return "x"; },
                            [](const test::ScriptedPrompt& p) {
                              return p.user == "bad" ? ResponseStatus::kFailed
                                                     : ResponseStatus::kOk;
                            });
  EchoRewards rewards;
  const auto batch = collect(model, rewards, make_tasks({"good", "bad"}));
  for (size_t i = 0; i < 6; ++i) EXPECT_EQ(batch.episodes[i].infra_error, i >= 3);
}

RolloutBatch collect_whole(const std::string& second, EchoRewards& rewards,
                           const LostRolloutOptions& lost) {
  test::ScriptedModel model(
      [&](const test::ScriptedPrompt& p) { return p.choice == 1 ? second : "fine"; });
  const auto tasks = make_tasks({"a", "b"});
  RolloutOptions options;
  options.samples_per_prompt = 3;
  options.lost = lost;
  options.label = "step 9";
  RoundRunner rounds(rewards);
  return collect_whole_rollouts(model, rounds, {&tasks[0], &tasks[1]}, {7, 8}, options);
}

LostRolloutOptions patience(double max_share, int64_t max_waits) {
  return {max_share, max_waits, /*wait_s=*/0, /*max_wait_s=*/0};
}

TEST(Rollouts, ScoreWhatIsLostAgainAndSampleNothingAgain) {
  EchoRewards rewards;
  rewards.failures = 3;  // of the two at first, then of one
  const auto batch = collect_whole("flaky", rewards, patience(0.05, 6));
  for (const Episode& e : batch.episodes) {
    EXPECT_FALSE(e.infra_error);
    EXPECT_EQ(e.outcome, "scored");
    EXPECT_EQ(e.reward, static_cast<double>(e.text.size()));
  }
  EXPECT_EQ(rewards.num_scored["a/flaky"] + rewards.num_scored["b/flaky"], 2 + 2 + 1);
  EXPECT_EQ(rewards.num_scored["a/fine"], 2);
}

TEST(Rollouts, GiveUpWithTheCountedReasonsWhenTooManyStayLost) {
  EchoRewards rewards;
  try {
    collect_whole("broken", rewards, patience(0.3, 2));
    FAIL() << "no error";
  } catch (const InputError& error) {
    FAIL() << error.what();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(),
                 "step 9: 2 of 6 rollouts that were run are lost (2 x worker: HTTP 503), after 2 "
                 "waits; lost_rollouts.max_share is 0.3");
  }
  EXPECT_EQ(rewards.num_scored["a/broken"], 3);
}

TEST(Rollouts, TryOnceMoreAndGoOnWithoutTheFewThatStayLost) {
  EchoRewards rewards;
  const auto batch = collect_whole("broken", rewards, patience(0.4, 0));
  EXPECT_EQ(rewards.num_scored["a/broken"], 2);
  EXPECT_TRUE(batch.episodes[1].infra_error);
  EXPECT_EQ(lost_groups(batch.episodes), (std::set<uint64_t>{7, 8}));
}

TEST(Rollouts, EndAtOnceWithTheReasonWhenTooManyAreLostForGood) {
  EchoRewards rewards;
  LostRolloutOptions lost = patience(0.3, 6);
  lost.wait_s = lost.max_wait_s = 1000;
  try {
    collect_whole("raises", rewards, lost);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(),
                 "step 9: 2 of 6 rollouts are lost and would be lost again; "
                 "lost_rollouts.max_share is 0.3; the first: the reward: mine.py: reward(): "
                 "ERROR(KeyError) 'x'; line 3, in reward");
  }
  EXPECT_EQ(rewards.num_scored["a/raises"], 1);
}

TEST(Rollouts, GoOnWithoutTheFewThatAreLostForGoodAndAskNoMore) {
  EchoRewards rewards;
  const auto batch = collect_whole("raises", rewards, patience(0.4, 6));
  EXPECT_EQ(rewards.num_scored["a/raises"], 1);
  EXPECT_EQ(lost_groups(batch.episodes), (std::set<uint64_t>{7, 8}));
}

TEST(Rollouts, SayThatAPromptIsRefused) {
  test::ScriptedModel model([](const test::ScriptedPrompt&) { return "x"; },
                            [](const test::ScriptedPrompt&) { return ResponseStatus::kRefused; });
  EchoRewards rewards;
  EXPECT_THROW(collect(model, rewards, make_tasks({"a"})), InputError);
}

/// Has room for no answer until the environment has been stopped: they share an engine.
class BusyModel : public TextModel {
 public:
  explicit BusyModel(const EndlessEnvironment& environment) : environment_(environment) {}
  ~BusyModel() override {
    for (std::thread& thread : threads_) thread.join();
  }
  std::string name() const override { return "busy"; }
  void submit(TextRequest request, std::function<void(TextResponse)> done) override {
    threads_.emplace_back([this, flag = request.cancelled, done = std::move(done)] {
      while (!flag->load() || !environment_.stopped) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
      done(TextResponse::unanswered(ResponseStatus::kCancelled, "cancelled"));
    });
  }

 private:
  const EndlessEnvironment& environment_;
  std::vector<std::thread> threads_;
};

// In a process of its own: the stop flag stays set.
TEST(Rollouts, AStopEndsWhatIsScoredBeforeItWaitsForCompletions) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto stopped_rollouts = [] {
    EndlessEnvironment environment;
    BusyModel model(environment);
    install_stop_handlers();
    raise(SIGTERM);
    try {
      collect(model, environment, make_tasks({"a", "b"}));
    } catch (const Interrupted&) {
      return 0;
    }
    return 1;
  };
  EXPECT_EXIT(_exit(stopped_rollouts()), testing::ExitedWithCode(0), "");
}

TEST(GrpoConfig, EverySizeIsBounded) {
  test::expect_bounded_sizes<GrpoConfig>(
      {{"worker", {{"model", ""}}}},
      {"threads", "sandbox_slots", "max_completion_tokens", "validation.samples",
       "engine.max_batch", "learn.tokens_per_microbatch", "runner.max_concurrent",
       "worker.remote.max_concurrent"});
}

}  // namespace
}  // namespace weft
