#include "trainer/evaluate/breakdown.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "tests/support/support.h"

namespace weft {
namespace {

Task task_of(const std::string& id, const std::string& dataset, TaskKind kind) {
  Task task;
  task.id = id;
  task.dataset = dataset;
  task.kind = kind;
  return task;
}

const std::vector<Task> kTasks = {task_of("a", "gsm8k", TaskKind::kMath),
                                  task_of("b", "math", TaskKind::kMath),
                                  task_of("c", "gsm8k", TaskKind::kMath)};

TEST(Categories, HaveTheScoresOfTheirTasks) {
  const ScoreTable scores = {{1, 0, 0.5}};
  const Json list = summarise_categories(kTasks, {}, parse_methods({"io"}), scores, {});
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[0]["by"], "dataset");
  EXPECT_EQ(list[0]["name"], "gsm8k");
  EXPECT_EQ(list[0]["tasks"], 2);
  EXPECT_DOUBLE_EQ(list[0]["methods"]["io"]["score"].get<double>(), 0.75);
  EXPECT_EQ(list[1]["methods"]["io"]["score"], 0);
}

TEST(Categories, AreNoneWhereTheTasksDoNotDiffer) {
  const std::vector<Task> tasks(kTasks.begin(), kTasks.begin() + 1);
  EXPECT_TRUE(summarise_categories(tasks, {{"a", "f"}}, parse_methods({"io"}), {{1}}, {}).empty());
}

TEST(Categories, TakeFamiliesFromTaskFiles) {
  test::TempDir dir;
  std::ofstream(dir / "t.jsonl") << "{\"id\": \"a\", \"family\": \"sums\"}\n"
                                    "{\"id\": \"b\"}\n"
                                    "{\"id\": \"c\", \"family\": \"roots\"}\n";
  const TaskFamilies families = load_families({(dir / "t.jsonl").string()});
  EXPECT_EQ(families, (TaskFamilies{{"a", "sums"}, {"c", "roots"}}));
  const Json list = summarise_categories(kTasks, families, parse_methods({"io"}), {{1, 0, 0}}, {});
  EXPECT_EQ(list.back()["by"], "family");
  EXPECT_EQ(list.back()["name"], "sums");
  EXPECT_EQ(list.back()["methods"]["io"]["score"], 1);
}

Json method_of(const char* name, double score, double tokens, double usd) {
  return {{"name", name}, {"score", score}, {"tokens_mean", tokens}, {"usd_mean", usd}};
}

TEST(CostFront, HoldsWhatNoOtherBeatsInBoth) {
  const Json methods = {method_of("dear", 0.9, 900, 0), method_of("beaten", 0.4, 300, 0),
                        method_of("cheap", 0.5, 100, 0), method_of("equal", 0.5, 100, 0),
                        method_of("later", 0.5, 200, 0)};
  const Json front = cost_front(methods);
  EXPECT_EQ(front["cost"], "tokens_mean");
  EXPECT_EQ(front["methods"], Json({"cheap", "equal", "dear"}));
}

TEST(CostFront, IsOfMoneyWhereThereIsSome) {
  const Json methods = {method_of("a", 0.9, 100, 0.2),
                        method_of("b", 0.5, 900, 0.1),
                        {{"name", "samples"}, {"score", 1}, {"usd_mean", nullptr}}};
  const Json front = cost_front(methods);
  EXPECT_EQ(front["cost"], "usd_mean");
  EXPECT_EQ(front["methods"], Json({"b", "a"}));
}

}  // namespace
}  // namespace weft
