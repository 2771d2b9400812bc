#include "trainer/evaluate/contamination.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "base/error.h"
#include "data/trajectory_store.h"
#include "tests/support/support.h"

namespace weft {
namespace {

using ::testing::HasSubstr;

/// "w0 w1 .. w(n-1)" with this letter for w.
std::string words(const std::string& letter, int n) {
  std::string text;
  for (int i = 0; i < n; ++i) text += (i ? " " : "") + letter + std::to_string(i);
  return text;
}

Task task_of(const std::string& id, const std::string& prompt) {
  Task task;
  task.id = id;
  task.prompt = prompt;
  task.answer =
      "the gold answer, thirteen words of which would be found if anybody had looked for them";
  return task;
}

class Contamination : public ::testing::Test {
 protected:
  std::string file(const std::string& name, const std::vector<Json>& rows) const {
    std::ofstream out(dir_ / name);
    for (const Json& row : rows) out << dump_json(row) << "\n";
    return (dir_ / name).string();
  }

  test::TempDir dir_;
  const std::vector<Task> tasks_ = {task_of("long", words("a", 20)),
                                    task_of("short", "What is 6 times 7?"),
                                    task_of("other", words("b", 15))};
};

TEST_F(Contamination, FindsNgramsInEveryFormOfTrainingRow) {
  const std::string text = "before " + words("a", 20) + " after";
  const std::vector<Json> forms = {
      {{"messages", {{{"role", "user"}, {"content", text}}}}},
      {{"prompt", "Say:"}, {"completion", text}},
      {{"conversations", {{{"from", "human"}, {"value", text}}}}},
      {{"text", text}},
      {{"step", 3}, {"rollouts", {{{"response", text}, {"ids", {1, 2}}}}}}};
  for (const Json& form : forms) {
    const auto found = find_contamination(tasks_, {file("t.jsonl", {{{"text", "x"}}, form})});
    ASSERT_EQ(found.size(), 1u) << form;
    EXPECT_EQ(found[0].task, "long");
    EXPECT_EQ(found[0].ngrams, 8);
    EXPECT_DOUBLE_EQ(found[0].share, 1);
    EXPECT_EQ(found[0].line, 2);
    EXPECT_THAT(found[0].source, HasSubstr("t.jsonl"));
  }
}

TEST_F(Contamination, CountsThePartThatIsThereAndNamesTheRowWithMostOfIt) {
  const auto found = find_contamination(
      tasks_,
      {file("t.jsonl",
            {{{"text", words("a", 13)}}, {{"text", words("a", 15)}}, {{"text", words("a", 12)}}})});
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].ngrams, 3);
  EXPECT_DOUBLE_EQ(found[0].share, 3.0 / 8);
  EXPECT_EQ(found[0].line, 2);
}

TEST_F(Contamination, ReadsNoCaseAndNoPunctuation) {
  const auto found =
      find_contamination(tasks_, {file("t.jsonl", {{{"text", "Q: what IS \"6 times 7\"? 42"}}})});
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].task, "short");
  EXPECT_EQ(found[0].ngrams, 1);
}

TEST_F(Contamination, OfTwelveWordsInARowIsNone) {
  EXPECT_TRUE(find_contamination(tasks_, {file("t.jsonl", {{{"text", words("a", 12) + " x"}},
                                                           {{"text", "What is 6 times 8?"}}})})
                  .empty());
}

TEST_F(Contamination, NeverLooksForAnswers) {
  EXPECT_TRUE(
      find_contamination(tasks_, {file("t.jsonl", {{{"text", tasks_[0].answer}}})}).empty());
}

TEST_F(Contamination, OfWordsThatSeveralPromptsShareIsNotCounted) {
  const std::string form = words("form", 14);
  const std::vector<Task> tasks = {task_of("1", form + " " + words("a", 13)),
                                   task_of("2", form + " " + words("b", 13)), task_of("3", form)};
  const std::string rows = file("t.jsonl", {{{"text", form}}});
  const auto found = find_contamination(tasks, {rows});
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].task, "3");
}

TEST_F(Contamination, ReadsTrajectoryStores) {
  const auto path = dir_ / "store.sqlite";
  Trajectory row;
  row.task_id = "long";
  row.origin = "scripted";
  row.prompt = words("b", 15);
  row.code = "pass";
  const int64_t id = TrajectoryStore(path).insert(row);
  const auto found = find_contamination(tasks_, {path.string()});
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].task, "other");
  EXPECT_EQ(found[0].line, id);
}

TEST_F(Contamination, NamesTheLineThatIsNoJson) {
  std::ofstream(dir_ / "bad.jsonl") << "{\"text\": \"a\"}\n{\"text\": \n";
  try {
    find_contamination(tasks_, {(dir_ / "bad.jsonl").string()});
    FAIL();
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), HasSubstr("bad.jsonl:2"));
  }
}

TEST_F(Contamination, ScoresAreAlsoGivenWithoutTheTasks) {
  Json methods = Json::array({{{"name", "io"}}});
  add_uncontaminated_scores(methods, {{1, 0, 0}}, {"long", "short", "other"},
                            Json::array({{{"task", "long"}}}), {});
  EXPECT_EQ(methods[0]["uncontaminated"]["n"], 2);
  EXPECT_EQ(methods[0]["uncontaminated"]["score"], 0);
}

}  // namespace
}  // namespace weft
