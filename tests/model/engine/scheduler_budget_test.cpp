// Prompts beside sequences that decode: how much of them a pass computes.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/model/engine/scheduler_support.h"

namespace weft {
namespace {

using namespace test;

SchedulerOptions large_options() {
  SchedulerOptions options = scheduler_options(2000);
  options.max_context = 8192;
  options.prefill_tokens = 2048;
  options.max_batch = 64;
  return options;
}

/// An engine in which so many streams decode, without an end.
void start_streams(FakeEngine& engine, int streams) {
  for (int i = 0; i < streams; ++i) engine.submit(prompt_of(20, i), 4000, 1, i);
  while (engine.pass().decoded < streams) {
  }
}

TEST(SchedulerBudget, APassBesideStreamsTakesAtMostSoManyTimesOneWithout) {
  for (const int streams : {1, 8, 63}) {
    FakeEngine engine(large_options());
    engine.costs = PassCosts({1e-4, 3e-4}, 9.3e-3, 0.8e-3);
    start_streams(engine, streams);
    const int64_t prompt = engine.submit(prompt_of(6000, 99), 5);
    double longest = 0, prefilled = 0;
    while (engine.scheduler.state(prompt, 0) == SequenceState::kWaiting) {
      const PassPlan plan = engine.pass();
      ASSERT_EQ(plan.decoded, streams);
      PassWork alone = PassCosts::pass();
      for (const PlannedSpan& span : plan.spans) {
        if (span.choice != kPrompt) alone = alone + engine.costs.decoding(1, span.start + 1);
      }
      const double times = engine.costs.seconds(plan.work) / engine.costs.seconds(alone);
      longest = std::max(longest, times);
      prefilled += static_cast<double>(plan.prefilled);
      EXPECT_NEAR(plan.prefill_share, 1 - 1 / times, 1e-6);
    }
    EXPECT_LE(longest, Scheduler::kMixedPass * 1.001);
    EXPECT_GT(longest, Scheduler::kMixedPass - 0.5);
    EXPECT_EQ(prefilled, 6000);
  }
}

TEST(SchedulerBudget, WithoutStreamsAPassTakesAllTheTokensThatItMay) {
  FakeEngine engine(large_options());
  const int64_t prompt = engine.submit(prompt_of(6000), 2);
  EXPECT_EQ(engine.pass().prefilled, 2048);
  EXPECT_EQ(engine.pass().prefilled, 2048);
  const PassPlan last = engine.pass();
  EXPECT_EQ(last.prefilled, 6000 - 2 * 2048);
  EXPECT_EQ(last.prefill_share, 1);
  engine.run();
  EXPECT_EQ(engine.ids(prompt), expected_ids(prompt_of(6000), sampling(2), 0, 8192));
}

TEST(SchedulerBudget, AFixedNumberOfTokensIsKeptTo) {
  SchedulerOptions options = large_options();
  options.mixed_tokens = 100;
  FakeEngine engine(options);
  start_streams(engine, 2);
  engine.submit(prompt_of(250, 9), 5);
  EXPECT_EQ(engine.pass().prefilled, 100);
  EXPECT_EQ(engine.pass().prefilled, 100);
  EXPECT_EQ(engine.pass().prefilled, 50);
}

// Where a token costs far more than a pass may take.
TEST(SchedulerBudget, PromptsGoOnHoweverDearTheyAre) {
  FakeEngine engine(large_options());
  start_streams(engine, 1);
  engine.costs = PassCosts({0, 100});
  const int64_t prompt = engine.submit(prompt_of(40, 9), 1);
  for (int i = 0; i < 40; ++i) {
    const PassPlan plan = engine.pass();
    EXPECT_EQ(plan.decoded, 1);
    EXPECT_GE(plan.prefilled, 1);
  }
  EXPECT_TRUE(engine.responses.contains(prompt));
}

// A prompt comes whenever the one before is computed: every pass decodes, and every prompt comes
// to its turn.
TEST(SchedulerBudget, ASteadyArrivalOfPromptsStopsNobody) {
  FakeEngine engine(large_options());
  start_streams(engine, 3);
  std::vector<int64_t> prompts;
  for (int pass = 0; pass < 300; ++pass) {
    if (pass % 4 == 0) prompts.push_back(engine.submit(prompt_of(150, pass), 3, 1, pass));
    EXPECT_GE(engine.pass().decoded, 3);
  }
  for (size_t i = 0; i + 20 < prompts.size(); ++i) {
    EXPECT_TRUE(engine.responses.contains(prompts[i])) << i << " of " << prompts.size();
  }
}

TEST(SchedulerBudget, HowWorkIsCutChangesNoId) {
  std::vector<std::vector<std::vector<int32_t>>> answers;
  for (const double product_s : {1e-3, 1.0, 1e3}) {
    FakeEngine engine(large_options());
    engine.costs = PassCosts({1e-4, 3e-4}, 1, product_s);
    std::vector<int64_t> requests;
    auto& ids = answers.emplace_back();
    for (uint64_t i = 0; i < 12; ++i) {
      requests.push_back(engine.submit(prompt_of(1 + 70 * i, i), 30, 1 + i % 3, i));
      for (int passes = 0; passes < 5; ++passes) engine.pass();
    }
    engine.run();
    for (uint64_t i = 0; i < 12; ++i) {
      for (size_t choice = 0; choice < 1 + i % 3; ++choice) {
        ids.push_back(engine.ids(requests[i], choice));
      }
    }
  }
  EXPECT_EQ(answers[0], answers[1]);
  EXPECT_EQ(answers[0], answers[2]);
}

}  // namespace
}  // namespace weft
