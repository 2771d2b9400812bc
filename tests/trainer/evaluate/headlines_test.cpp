#include "trainer/evaluate/headlines.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "base/error.h"

namespace weft {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

std::string class_of(const std::string& text) { return method_class(parse_method(text)); }

TEST(Headlines, MethodsHaveTheClassOfWhatTheySpend) {
  for (const char* name : {"io", "cot", "io_greedy", "cot_greedy", "a=io"})
    EXPECT_EQ(class_of(name), "single_call");
  EXPECT_EQ(class_of("cot_sc"), "repeated_calls");
  EXPECT_EQ(class_of("best_fixed=workflow:a.py"), "one_workflow");
  EXPECT_EQ(class_of("meta:dir"), "meta_agent");
  EXPECT_EQ(class_of("hybrid:store,dir"), "meta_agent");
  EXPECT_EQ(class_of("shuffled:grpo"), "other_query");
}

TEST(Headlines, TheRivalIsTheStrongestAndTheEarlierOfTwoEquals) {
  const TaskValues subject = one_each(std::vector<double>{1, 1, 1, 0});
  const std::vector<Contender> rivals = {{"weak", one_each(std::vector<double>{1, 0, 0, 0})},
                                         {"strong", one_each(std::vector<double>{1, 1, 0, 0})},
                                         {"equal", one_each(std::vector<double>{0, 0, 1, 1})}};
  const auto comparison = compare_with_strongest(subject, rivals);
  ASSERT_TRUE(comparison);
  EXPECT_EQ(comparison->strongest, 1u);
  EXPECT_DOUBLE_EQ(comparison->difference.mean, 0.25);
}

TEST(Headlines, ARivalWithoutScoresIsNoRival) {
  const TaskValues scores = one_each(std::vector<double>{0, 0});
  const TaskValues missing = one_each(std::vector<double>{kMissing, kMissing});
  EXPECT_FALSE(compare_with_strongest(scores, std::vector<Contender>{{"a", missing}}));
  EXPECT_EQ(compare_with_strongest(scores, std::vector<Contender>{{"a", missing}, {"b", scores}})
                ->strongest,
            1u);
}

class HeadlinesOfAReport : public ::testing::Test {
 protected:
  const std::vector<Method> methods_ =
      parse_methods({"io", "cot", "best_fixed=workflow:a.py", "sft=meta:sft", "grpo=meta:grpo",
                     "other_query=shuffled:grpo"});
  std::vector<std::vector<double>> scores_ = {{1, 0, 0, 0}, {1, 1, 0, 0}, {1, 1, 1, 1},
                                              {1, 1, 1, 1}, {1, 1, 1, 0}, {1, 1, 1, 0}};

  Json headlines(const std::vector<Method>& methods) const {
    Json list = Json::array();
    for (size_t i = 0; i < methods.size(); ++i) list.push_back({{"tokens_mean", 100 * (i + 1)}});
    return summarise_headlines(methods, scores_, list, {});
  }
};

TEST_F(HeadlinesOfAReport, CompareTheLastMetaAgentEvenWhereAnotherIsBetter) {
  const Json list = headlines(methods_);
  ASSERT_EQ(list.size(), 3u);
  for (const Json& headline : list) EXPECT_EQ(headline["method"], "grpo");
}

TEST_F(HeadlinesOfAReport, NameTheRivalItsClassAndTheCost) {
  const Json single = headlines(methods_)[0], fixed = headlines(methods_)[1];
  EXPECT_EQ(single["class"], "single_call");
  EXPECT_EQ(single["against"], "cot");
  EXPECT_EQ(single["among"], Json({"io", "cot"}));
  EXPECT_DOUBLE_EQ(single["tokens_ratio"].get<double>(), 2.5);
  EXPECT_EQ(single["ci_method"], "newcombe");
  EXPECT_THAT(
      single["words"].get<std::string>(),
      AllOf(HasSubstr("grpo against cot (single call of the worker, the strongest of io, cot): "
                      "+0.250, inconclusive"),
            HasSubstr("4 tasks, 2.5 times the tokens")));
  EXPECT_EQ(fixed["against"], "best_fixed");
  EXPECT_DOUBLE_EQ(fixed["diff"].get<double>(), -0.25);
  EXPECT_EQ(fixed["reading"], "inconclusive");
}

TEST_F(HeadlinesOfAReport, NeedAMetaAgent) {
  EXPECT_TRUE(headlines(parse_methods({"io", "cot"})).empty());
}

TEST_F(HeadlinesOfAReport, LeaveOutAClassWithoutData) {
  scores_[2] = {kMissing, kMissing, kMissing, kMissing};
  for (const Json& headline : headlines(methods_)) EXPECT_NE(headline["class"], "one_workflow");
}

}  // namespace
}  // namespace weft
