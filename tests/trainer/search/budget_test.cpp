#include "trainer/search/budget.h"

#include <gtest/gtest.h>

namespace weft {
namespace {

using Grant = CallBudget::Grant;

BudgetOptions limits(int64_t calls, int64_t tokens, double usd = 0) {
  BudgetOptions options;
  options.calls = calls;
  options.tokens = tokens;
  options.usd = usd;
  return options;
}

TEST(Budget, SetsCallsAsideUntilTheyHaveEnded) {
  Budget budget(limits(0, 100));
  const auto calls = budget.calls();
  ASSERT_TRUE(calls);
  EXPECT_EQ(calls->reserve({60, 0}), Grant::kTaken);
  EXPECT_EQ(calls->reserve({60, 0}), Grant::kLater);
  calls->settle({60, 0}, {10, 0});
  EXPECT_EQ(calls->reserve({60, 0}), Grant::kTaken);
  calls->settle({60, 0}, {60, 0});
  EXPECT_FALSE(budget.has_refused());
  EXPECT_EQ(calls->reserve({60, 0}), Grant::kSpent);
  EXPECT_TRUE(budget.has_refused());
  EXPECT_EQ(calls->reserve({30, 0}), Grant::kTaken);
}

TEST(Budget, CountsWhatCallsTookOnce) {
  Budget budget(limits(0, 100));
  const auto calls = budget.calls();
  ASSERT_EQ(calls->reserve({50, 0}), Grant::kTaken);
  calls->settle({50, 0}, {40, 0});
  EXPECT_TRUE(budget.means_spent({.prompt_tokens = 60}));
  EXPECT_FALSE(budget.means_spent({.prompt_tokens = 59}));
  budget.add({.worker_calls = 1, .prompt_tokens = 30, .completion_tokens = 10});
  EXPECT_EQ(budget.spent().tokens(), 40);
  EXPECT_FALSE(budget.means_spent({.prompt_tokens = 59}));
  EXPECT_EQ(calls->reserve({60, 0}), Grant::kTaken);
}

TEST(Budget, LimitsCallsAndMoneyAlike) {
  Budget few(limits(2, 0));
  EXPECT_EQ(few.calls()->reserve({1 << 30, 1e9}), Grant::kTaken);
  EXPECT_EQ(few.calls()->reserve({}), Grant::kTaken);
  EXPECT_EQ(few.calls()->reserve({}), Grant::kLater);
  Budget cheap(limits(0, 0, 1.0));
  EXPECT_EQ(cheap.calls()->reserve({0, 0.75}), Grant::kTaken);
  EXPECT_EQ(cheap.calls()->reserve({0, 0.5}), Grant::kLater);
  cheap.calls()->settle({0, 0.75}, {0, 0.5});
  EXPECT_EQ(cheap.calls()->reserve({0, 0.5}), Grant::kTaken);
}

TEST(Budget, OfWorkflowsAloneAsksNothingOfCalls) {
  BudgetOptions options;
  options.workflows = 3;
  EXPECT_FALSE(Budget(options).calls());
  EXPECT_TRUE(Budget(limits(0, 1)).calls());
}

}  // namespace
}  // namespace weft
