#include "workflow/pool.h"

#include <gtest/gtest.h>

namespace weft {
namespace {

Trajectory trajectory(int64_t id, std::string task, std::string prompt, std::string code,
                      double reward) {
  Trajectory result;
  result.id = id;
  result.task_id = std::move(task);
  result.prompt = std::move(prompt);
  result.code = std::move(code);
  result.reward = reward;
  result.valid = true;
  result.outcome = "scored";
  return result;
}

std::vector<Trajectory> stored() {
  return {trajectory(1, "vowels", "count the vowels of a string", "A", 0.4),
          trajectory(2, "vowels", "count the vowels of a string", "B", 0.9),
          trajectory(3, "primes", "list the prime numbers below n", "A", 1.0),
          trajectory(4, "matrix", "transpose a matrix of numbers", "B", 0.3),
          trajectory(5, "vowels", "count the vowels of a string", "C", 0.9)};
}

TEST(Pool, KeepsTheBestOfEachTaskAndTheOlderOfTies) {
  const WorkflowPool pool(stored(), 0.35);
  ASSERT_EQ(pool.entries().size(), 2u);
  EXPECT_EQ(pool.entries()[0].best.id, 2);
  EXPECT_EQ(pool.entries()[1].best.id, 3);
}

TEST(Pool, RoutesAQueryToTheNearestStoredOne) {
  const WorkflowPool pool(stored());
  const auto route = pool.route("Count vowels and consonants in the string");
  ASSERT_TRUE(route);
  EXPECT_EQ(route->entry->task_id, "vowels");
  EXPECT_GT(route->similarity, 0.3);
  EXPECT_NEAR(pool.route("list the prime numbers below n")->similarity, 1.0, 1e-12);
}

TEST(Pool, RoutesNowhereWithoutASharedWord) {
  EXPECT_FALSE(WorkflowPool(stored()).route("xyzzy"));
  EXPECT_FALSE(WorkflowPool({}).route("count"));
}

TEST(Pool, IgnoresWhatNeverRan) {
  auto rows = stored();
  const char* outcomes[] = {"scored", "infrastructure", "answered", "written", "infrastructure"};
  for (size_t i = 0; i < rows.size(); ++i) rows[i].outcome = outcomes[i];
  rows[0].valid = false;
  EXPECT_TRUE(WorkflowPool(rows).entries().empty());
}

}  // namespace
}  // namespace weft
