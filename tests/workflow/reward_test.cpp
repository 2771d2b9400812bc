#include "workflow/reward.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "workflow/run_workflow.h"

namespace weft {
namespace {

Workflow workflow_of(int64_t nodes, int64_t distinct) {
  Workflow workflow;
  workflow.valid = true;
  workflow.facts.num_nodes = nodes;
  workflow.facts.num_distinct_nodes = distinct;
  return workflow;
}

Outcome scored(double pass_rate) {
  Outcome outcome;
  outcome.kind = Outcome::Kind::kScored;
  outcome.pass_rate = pass_rate;
  return outcome;
}

RewardOptions options_of(int64_t low, int64_t high) {
  RewardOptions options;
  options.nodes_low = low;
  options.nodes_high = high;
  return options;
}

// C = (100 - 50) / (150 - 50) = 0.5, D = 40 / 100; total = 0.75 - 0.05 + 0.04.
TEST(Reward, IsTheWeightedSumOfItsTerms) {
  const auto terms = reward(scored(0.75), workflow_of(100, 40), options_of(50, 150));
  EXPECT_DOUBLE_EQ(terms.pass, 0.75);
  EXPECT_DOUBLE_EQ(terms.complexity, 0.5);
  EXPECT_DOUBLE_EQ(terms.diversity, 0.4);
  EXPECT_DOUBLE_EQ(terms.total, 0.74);
}

TEST(Reward, HoldsComplexityInTheUnitInterval) {
  EXPECT_EQ(reward(scored(1), workflow_of(10, 10), options_of(50, 150)).complexity, 0);
  EXPECT_EQ(reward(scored(1), workflow_of(900, 10), options_of(50, 150)).complexity, 1);
}

TEST(Reward, GivesNoPassRateToAWorkflowThatFailed) {
  for (const auto kind : {Outcome::Kind::kWorkflowError, Outcome::Kind::kLimit}) {
    Outcome outcome = scored(1);
    outcome.kind = kind;
    EXPECT_EQ(reward(outcome, workflow_of(100, 40), options_of(50, 150)).pass, 0);
  }
}

TEST(Reward, IsLeastForAWorkflowThatIsNotValid) {
  Outcome outcome;
  outcome.kind = Outcome::Kind::kWorkflowError;
  const auto invalid = reward(outcome, Workflow{});
  const auto huge_and_wrong = reward(scored(0), workflow_of(100000, 1));
  EXPECT_DOUBLE_EQ(invalid.total, -0.1);
  EXPECT_LT(invalid.total, huge_and_wrong.total);
}

TEST(Reward, RefusesAnInfrastructureOutcome) {
  Outcome outcome;
  outcome.kind = Outcome::Kind::kInfrastructure;
  EXPECT_THROW(reward(outcome, workflow_of(100, 40)), std::logic_error);
}

// 0.74 as above, and 0.5 * -4.
TEST(Reward, AddsTheTermOfAFileByItsWeight) {
  RewardOptions options = options_of(50, 150);
  options.file = "mine.py";
  options.file_weight = 0.5;
  const auto terms = reward(scored(0.75), workflow_of(100, 40), options, /*own=*/-4.0);
  EXPECT_EQ(terms.file, -4.0);
  EXPECT_DOUBLE_EQ(terms.total, 0.74 - 2);
  EXPECT_EQ(reward(scored(1), workflow_of(100, 40)).file, std::nullopt);
  EXPECT_NE(options.text().find(" + 0.5 F"), std::string::npos);
}

Outcome priced(double pass_rate, int calls, int64_t tokens, double usd) {
  Outcome outcome = scored(pass_rate);
  outcome.last_usage.calls = calls;
  outcome.last_usage.prompt_tokens = tokens - tokens / 4;
  outcome.last_usage.completion_tokens = tokens / 4;
  outcome.last_usage.usd = usd;
  return outcome;
}

RewardOptions with_prices() {
  RewardOptions options = options_of(50, 150);
  options.w_calls = 0.4;
  options.w_tokens = 0.2;
  options.w_usd = 0.1;
  return options;
}

// 0.74 as above; 8 of 32 calls, 5000 of 20000 tokens and 0.05 of 0.1 dollars are a quarter, a
// quarter and a half: 0.74 - 0.4 / 4 - 0.2 / 4 - 0.1 / 2.
TEST(Reward, TakesThePriceOfCallsTokensAndMoneyOffByTheirWeights) {
  const auto terms = reward(priced(0.75, 8, 5000, 0.05), workflow_of(100, 40), with_prices());
  EXPECT_EQ(terms.calls, 0.25);
  EXPECT_EQ(terms.tokens, 0.25);
  EXPECT_EQ(terms.usd, 0.5);
  EXPECT_DOUBLE_EQ(terms.total, 0.54);
}

TEST(Reward, HasNoPriceByDefaultAndIsThenTheSameToTheBit) {
  const auto free = reward(scored(0.75), workflow_of(100, 40), options_of(50, 150));
  const auto used = reward(priced(0.75, 8, 5000, 0.05), workflow_of(100, 40), options_of(50, 150));
  EXPECT_EQ(used.total, free.total);
  EXPECT_EQ(used.total, 1.0 * 0.75 - 0.1 * 0.5 + 0.1 * 0.4);
  for (const auto& term : {used.calls, used.tokens, used.usd}) EXPECT_FALSE(term);
  RewardOptions one = options_of(50, 150);
  one.w_tokens = 0.2;
  const auto terms = reward(priced(0.75, 8, 5000, 0.05), workflow_of(100, 40), one);
  EXPECT_FALSE(terms.calls || terms.usd);
  EXPECT_EQ(terms.tokens, 0.25);
}

TEST(Reward, HoldsEachPriceAtOneAndChargesItOfAWorkflowThatIsNotValid) {
  Outcome invalid;
  invalid.kind = Outcome::Kind::kWorkflowError;
  const auto least = reward(invalid, Workflow{}, with_prices());
  EXPECT_DOUBLE_EQ(least.total, -0.1 - 0.4 - 0.2 - 0.1);
  const auto dear = reward(priced(0, 99, 1 << 30, 1e9), workflow_of(1000, 1), with_prices());
  for (const auto& terms : {least, dear}) {
    EXPECT_EQ(terms.calls, 1.0);
    EXPECT_EQ(terms.tokens, 1.0);
    EXPECT_EQ(terms.usd, 1.0);
  }
  EXPECT_LT(least.total, dear.total);
}

TEST(Reward, SaysItsFormulaAndRange) {
  EXPECT_EQ(RewardOptions{}.text(),
            "1 P - 0.1 C + 0.1 D in [-0.1, 1.1]: P share of val tests passed, C size and D "
            "distinctness of the code in [0, 1]");
  const std::string text = with_prices().text();
  EXPECT_NE(text.find("1 P - 0.1 C + 0.1 D - 0.4 K_calls - 0.2 K_tokens - 0.1 K_usd in [-0.8, "
                      "1.1]: "),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("K_tokens the worker's over 20000, at most 1"), std::string::npos) << text;
}

TEST(Reward, IsFiniteUnderTheLargestWeightsAndTerms) {
  RewardOptions options;
  options.file = "mine.py";
  options.w_pass = options.w_complexity = options.w_diversity = options.file_weight = 1e6;
  EXPECT_NO_THROW(options.validate());
  const double total = reward(scored(1), workflow_of(100, 40), options, -kMaxOwnReward).total;
  EXPECT_DOUBLE_EQ(total, -1e106);
  EXPECT_TRUE(std::isfinite(total * total));
}

TEST(Reward, NamesAWeightThatIsTooLarge) {
  for (double RewardOptions::*weight :
       {&RewardOptions::w_pass, &RewardOptions::w_complexity, &RewardOptions::w_diversity,
        &RewardOptions::w_calls, &RewardOptions::w_tokens, &RewardOptions::w_usd,
        &RewardOptions::file_weight}) {
    for (const double value : {1e10, HUGE_VAL}) {
      RewardOptions options;
      options.file = "mine.py";
      options.*weight = value;
      EXPECT_THROW(options.validate(), InputError) << value;
    }
  }
  RewardOptions options;
  options.w_diversity = 1e10;
  try {
    options.validate();
    FAIL();
  } catch (const InputError& error) {
    EXPECT_STREQ(error.what(), "w_diversity: expected a weight from 0 to 1e+06, got 1e+10");
  }
}

TEST(Reward, AWeightOfNoFileIsRefused) {
  RewardOptions options;
  options.file_weight = 2;
  EXPECT_THROW(options.validate(), InputError);
  options.file = "mine.py";
  EXPECT_NO_THROW(options.validate());
}

TEST(Reward, RefusesBadOptions) {
  EXPECT_THROW(options_of(100, 100).validate(), InputError);
  RewardOptions negative;
  negative.w_pass = -1;
  EXPECT_THROW(negative.validate(), InputError);
  RewardOptions free;
  free.usd_high = 0;
  EXPECT_THROW(free.validate(), InputError);
  RewardOptions unknown;
  unknown.file_weight = std::nan("");
  EXPECT_THROW(unknown.validate(), InputError);
  EXPECT_NO_THROW(RewardOptions{}.validate());
}

}  // namespace
}  // namespace weft
