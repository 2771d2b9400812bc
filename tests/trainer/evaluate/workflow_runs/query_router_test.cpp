#include "trainer/evaluate/workflow_runs/query_router.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "tests/support/input_error.h"
#include "tests/trainer/evaluate/workflow_runs/made_scores.h"
#include "trainer/evaluate/workflow_runs/headroom.h"

namespace weft {
namespace {

double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

/// Two kinds of query, told by their words among words that tell nothing.
std::vector<std::string> two_kinds(size_t num) {
  std::vector<std::string> texts;
  for (size_t q = 0; q < num; ++q) {
    texts.push_back((q % 2 ? "sum these numbers word" : "translate this sentence word") +
                    std::to_string(q % 7) + " other" + std::to_string(q % 5));
  }
  return texts;
}

/// Workflow 0 is best for one kind, 1 for the other, 2 in between on both.
RunScores planted(uint64_t seed, size_t num, double between = 0.6) {
  Rng rng(seed, 9);
  return test::drawn_scores(3, 5, num, rng, [between](size_t w, size_t q) {
    return w == 2 ? between : w == q % 2 ? 0.9 : 0.2;
  });
}

/// Router minus best fixed.
Estimate gain_of(const RunScores& scores, const QueryRouting& routing,
                 const std::vector<double>& usd) {
  BootstrapOptions bootstrap;
  bootstrap.resamples = 1000;
  return estimate_difference(one_each(routing.score),
                             one_each(estimate_headroom(scores, usd).fixed), bootstrap);
}

QueryRouterOptions few_repeats() {
  QueryRouterOptions options;
  options.repeats = 1;
  options.folds = 5;
  return options;
}

TEST(QueryRouter, FindsWhatTheTextTells) {
  const RunScores scores = planted(1, 80, 0.7);
  const auto usd = test::one_dollar_each(scores);
  const QueryRouting routing = route_queries(scores, two_kinds(80), usd, few_repeats());
  EXPECT_GT(gain_of(scores, routing, usd).ci.low, 0.1);
  EXPECT_GT(mean(routing.score), 0.83);
  EXPECT_DOUBLE_EQ(routing.cost_ratio, 1);
  EXPECT_LT(routing.abstained, 0.3);
}

// The same scores under texts that tell nothing of them: a significant loss or gain is a false
// alarm. At least 18 of 20 seeds have neither (2.5 % each expected), and the mean is near 0.
TEST(QueryRouter, AbstainsWhereTheTextTellsNothing) {
  int alarms = 0;
  double sum = 0;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const RunScores scores = planted(seed, 60);
    std::vector<std::string> texts = two_kinds(60);
    Rng(seed, 10).shuffle(texts);
    const auto usd = test::one_dollar_each(scores);
    const Estimate gain = gain_of(scores, route_queries(scores, texts, usd, few_repeats()), usd);
    alarms += gain.ci.low > 0 || gain.ci.high < 0;
    sum += gain.mean / 20;
  }
  EXPECT_LE(alarms, 2);
  EXPECT_NEAR(sum, 0, 0.02);
}

TEST(QueryRouter, TakesNoWorkflowThatIsDearerThanTheBestFixed) {
  const RunScores scores = planted(2, 80, 0.7);
  // Workflow 2 is the best fixed one (0.7 against 0.55); the others are better by kind.
  const QueryRouting dear = route_queries(scores, two_kinds(80), {3, 3, 1}, few_repeats());
  EXPECT_EQ(dear.abstained, 1);
  EXPECT_DOUBLE_EQ(dear.cost_ratio, 1);
  const QueryRouting cheap = route_queries(scores, two_kinds(80), {1, 1, 2}, few_repeats());
  EXPECT_LT(cheap.abstained, 0.3);
  EXPECT_LT(cheap.cost_ratio, 0.7);
  EXPECT_GT(mean(cheap.score), mean(dear.score) + 0.1);
}

TEST(QueryRouter, UnknownCostsBindNothingAndHaveNoRatio) {
  const RunScores scores = planted(2, 80);
  const QueryRouting found = route_queries(scores, two_kinds(80), {3, NAN, 1}, few_repeats());
  EXPECT_LT(found.abstained, 0.3);
  EXPECT_TRUE(std::isnan(found.cost_ratio));
}

// One workflow is best everywhere: abstaining is right, and the score is that of the best fixed
// one.
TEST(QueryRouter, WithoutInteractionIsTheBestFixedWorkflow) {
  RunScores scores(3, 4, 30);
  for (size_t r = 0; r < 4; ++r) {
    for (size_t q = 0; q < 30; ++q) {
      scores.at(1, r, q) = 1;
      scores.at(0, r, q) = q % 3 ? 1 : 0;
    }
  }
  const auto usd = test::one_dollar_each(scores);
  const QueryRouting found = route_queries(scores, two_kinds(30), usd, few_repeats());
  EXPECT_EQ(found.abstained, 1);
  EXPECT_NEAR(mean(found.score), 1, 1e-12);
  EXPECT_NEAR(mean(found.fixed_unseen), 1, 1e-12);
}

TEST(QueryRouter, TextsWithoutWordsDoNoHarm) {
  const RunScores scores = planted(3, 20);
  const QueryRouting found = route_queries(scores, std::vector<std::string>(20),
                                           test::one_dollar_each(scores), few_repeats());
  for (const double score : found.score) EXPECT_TRUE(score >= 0 && score <= 1);
}

TEST(QueryRouter, OptionsAreChecked) {
  const auto refused = [](const std::function<void(QueryRouterOptions&)>& change) {
    QueryRouterOptions options;
    change(options);
    return test::input_error([&] { options.validate(); });
  };
  EXPECT_NE(refused([](auto& o) { o.folds = 1; }).find("folds"), std::string::npos);
  EXPECT_NE(refused([](auto& o) { o.repeats = 0; }).find("repeats"), std::string::npos);
  EXPECT_NE(refused([](auto& o) { o.penalties = {}; }).find("penalties"), std::string::npos);
  EXPECT_NE(refused([](auto& o) { o.penalties = {1, 0}; }).find("penalties"), std::string::npos);
  EXPECT_NE(refused([](auto& o) { o.least_z = -1; }).find("least_z"), std::string::npos);
}

}  // namespace
}  // namespace weft
