#include "trainer/search/scorer.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/fake_environment.h"

namespace weft {
namespace {

Outcome priced(double reward, double tokens) {
  Outcome outcome = test::rewarded(reward);
  outcome.reward->tokens = tokens;
  outcome.usage.calls = 1;
  return outcome;
}

// Two tasks, two repeats; one run of the second task is lost.
TEST(SummarizeOutcomes, MeansGoOverTheRunsThatHaveAReward) {
  Workflow workflow;
  workflow.valid = true;
  Task first, second;
  first.id = "first";
  second.id = "second";
  const Evaluation evaluation = summarize_outcomes(
      workflow, {&first, &second},
      {{priced(1, 0.5), priced(0, 0.25)}, {priced(1, 0), test::infrastructure_error("gone")}});
  EXPECT_EQ(evaluation.outcome, "scored");
  EXPECT_DOUBLE_EQ(evaluation.reward.total, 2.0 / 3);
  EXPECT_DOUBLE_EQ(evaluation.reward.pass, 2.0 / 3);
  EXPECT_EQ(evaluation.reward.tokens, 0.25);
  EXPECT_EQ(evaluation.reward_deviation, 0.25);  // of the repeats' means 0.5 and 1
  EXPECT_EQ(evaluation.num_infra, 1);
  EXPECT_EQ(evaluation.error, "gone");
  EXPECT_EQ(evaluation.task_rewards, (std::vector<double>{1, 0}));
  EXPECT_EQ(evaluation.usage["calls"], 3);
}

TEST(SummarizeOutcomes, IsScoredBeforeItIsALimitBeforeItIsAnError) {
  const Task task;
  Outcome limit = test::rewarded(0), error = limit;
  limit.kind = OutcomeKind::kLimit;
  error.kind = OutcomeKind::kWorkflowError;
  const auto outcome_of = [&](const std::vector<std::vector<Outcome>>& repeats) {
    return summarize_outcomes(Workflow(), {&task}, repeats).outcome;
  };
  EXPECT_EQ(outcome_of({{error}, {limit}, {test::rewarded(1)}}), "scored");
  EXPECT_EQ(outcome_of({{error}, {limit}}), "limit");
  EXPECT_EQ(outcome_of({{error}, {test::infrastructure_error("gone")}}), "workflow_error");
}

TEST(SummarizeOutcomes, HasNoRewardWhereEveryRunIsLost) {
  const Task task;
  const Evaluation evaluation =
      summarize_outcomes(Workflow(), {&task}, {{test::infrastructure_error("gone")}});
  EXPECT_FALSE(evaluation.rewarded());
  EXPECT_TRUE(std::isnan(evaluation.task_rewards[0]));
}

}  // namespace
}  // namespace weft
