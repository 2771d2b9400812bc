#include "data/reward_terms.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "data/trajectory_store.h"

namespace weft {
namespace {

RewardTerms terms_of(double pass, double complexity, double diversity, double total) {
  RewardTerms terms;
  terms.pass = pass;
  terms.complexity = complexity;
  terms.diversity = diversity;
  terms.total = total;
  return terms;
}

std::map<std::string, double> listed(const RewardTerms& terms) {
  std::map<std::string, double> fields;
  each_term(terms, [&](const std::string& field, double value) { fields[field] = value; });
  return fields;
}

TEST(RewardTerms, SumAndMeanGoOverEveryTermThatIsThere) {
  RewardTerms sum = terms_of(1, 0.5, 0.25, 2);
  sum += terms_of(0, 0.5, 0.75, 1);
  EXPECT_FALSE(sum.file);
  RewardTerms with = terms_of(1, 0, 0, 3);
  with.file = -4;
  const RewardTerms mean = (sum += with) / 2;
  EXPECT_EQ(listed(mean), (std::map<std::string, double>{{"reward_pass", 1},
                                                         {"reward_complexity", 0.5},
                                                         {"reward_diversity", 0.5},
                                                         {"reward_file", -2}}));
  EXPECT_EQ(mean.total, 3);
}

TEST(RewardTerms, AreListedByNameWhereTheyAreThere) {
  EXPECT_EQ(listed({}),
            (std::map<std::string, double>{
                {"reward_pass", 0}, {"reward_complexity", 0}, {"reward_diversity", 0}}));
  RewardTerms with;
  with.file = 0;
  with.calls = with.tokens = with.usd = 0;
  for (const char* field : {"reward_file", "reward_calls", "reward_tokens", "reward_usd"}) {
    EXPECT_TRUE(listed(with).contains(field)) << field;
  }
}

TEST(RewardTerms, AreReadFromAnObjectThatListsThem) {
  RewardTerms written = terms_of(0.5, 0.25, 0.125, 0);
  written.file = 7;
  Json json = {{"step", 1}};
  each_term(written, [&](const std::string& field, double value) { json[field] = value; });
  EXPECT_EQ(listed(read_terms(json)), listed(written));
  const Json broken = {{"reward_pass", nullptr}, {"reward_file", nullptr}};
  EXPECT_EQ(read_terms(broken).pass, 0);
  EXPECT_FALSE(read_terms(broken).file);
}

TEST(RewardTerms, GoIntoTheStoresColumnsAndWithoutOneIntoItsUsage) {
  RewardTerms terms = terms_of(0.5, 0.25, 0.125, 1.5);
  Trajectory row;
  row.usage = {{"calls", 2}};
  put_reward(row, terms);
  EXPECT_EQ(row.reward, 1.5);
  EXPECT_EQ(row.pass_rate, 0.5);
  EXPECT_EQ(row.complexity, 0.25);
  EXPECT_EQ(row.diversity, 0.125);
  EXPECT_EQ(row.usage, (Json{{"calls", 2}}));
  terms.file = -3;
  put_reward(row, terms);
  EXPECT_EQ(row.usage, (Json{{"calls", 2}, {"reward_file", -3.0}}));
  const RewardTerms back = reward_of(row);
  EXPECT_EQ(listed(back), listed(terms));
  EXPECT_EQ(back.total, 1.5);
}

}  // namespace
}  // namespace weft
