#include "data/task_tests.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <functional>

#include "data/hidden_tests.h"
#include "tests/support/input_error.h"
#include "tests/support/support.h"

namespace weft {
namespace {

using testing::AllOf;
using testing::HasSubstr;

const Json kCall = {{"args", {2}}, {"expected", 4}};
const Json kStdio = {{"input", "2\n"}, {"output", "4\n"}};

/// A task file whose second line has these tests, and the message of what reads it.
std::string error_of(const std::string& entry_point, const Json& tests,
                     const std::function<void(const std::filesystem::path&)>& read) {
  const auto line = [](const char* id, const std::string& entry, const Json& lists) {
    return Json{{"id", id},       {"dataset", "jsonl"},   {"kind", "code"},
                {"prompt", "2x"}, {"entry_point", entry}, {"tests", lists}};
  };
  test::TempDir dir;
  std::ofstream(dir / "t.jsonl") << dump_json(
                                        line("good", "f", {{"val", {kCall}}, {"hidden", {kCall}}}))
                                 << "\n"
                                 << dump_json(line("other", entry_point, tests)) << "\n";
  return test::input_error([&] { read(dir / "t.jsonl"); });
}

std::string error_of_rewards(const std::string& entry_point, const Json& tests) {
  return error_of(entry_point, tests, [](const auto& path) { load_tasks_with_rewards(path); });
}

std::string error_of_scores(const std::string& entry_point, const Json& tests) {
  return error_of(entry_point, tests, [](const auto& path) { load_final_tests(path); });
}

TEST(TaskTests, ACodeTaskWithoutValTestsGivesNoReward) {
  const Json only_others = {{"public", {kCall}}, {"hidden", {kCall}}};
  EXPECT_THAT(error_of_rewards("f", only_others),
              AllOf(HasSubstr("t.jsonl: task \"other\" has no val tests"), HasSubstr("add some")));
}

TEST(TaskTests, TestsThatCallAFunctionNeedItsName) {
  const Json calls = {{"val", {kCall}}, {"hidden", {kCall}}};
  EXPECT_EQ(error_of_rewards("f", calls), "no error");
  EXPECT_THAT(error_of_rewards("", calls),
              AllOf(HasSubstr("t.jsonl: task \"other\" has val tests that call a function"),
                    HasSubstr("no \"entry_point\""), HasSubstr("name the function")));
}

TEST(TaskTests, TestsThatRunAProgramNeedNoName) {
  const Json programs = {{"val", {kStdio}}, {"hidden", {kStdio}}};
  EXPECT_EQ(error_of_rewards("", programs), "no error");
}

TEST(TaskTests, AListOfTwoFormsIsRefused) {
  const Json mixed = {kCall, kStdio};
  const auto of_one_form =
      HasSubstr("expected tests of one form, got test 1 without \"input\" and");
  EXPECT_THAT(error_of_rewards("f", {{"val", mixed}}),
              AllOf(HasSubstr("t.jsonl:2: tests: field \"val\""), of_one_form));
  EXPECT_THAT(error_of_rewards("f", {{"public", mixed}, {"val", {kCall}}}),
              AllOf(HasSubstr("field \"public\""), of_one_form));
  EXPECT_THAT(error_of_scores("f", {{"hidden", mixed}}),
              AllOf(HasSubstr("t.jsonl:2: tests: field \"hidden\""), of_one_form));
  EXPECT_THAT(error_of_scores("f", {{"official", mixed}}),
              AllOf(HasSubstr("t.jsonl:2: tests: field \"official\""), of_one_form));
  EXPECT_EQ(error_of_rewards("f", {{"public", {kStdio}}, {"val", {kCall}}}), "no error");
}

TEST(TaskTests, AListThatIsNoArrayOfObjectsIsRefused) {
  for (const char* split : {"hidden", "official"}) {
    EXPECT_THAT(error_of_scores("f", {{"val", {kCall}}, {split, 3}}),
                HasSubstr(std::string("t.jsonl:2: tests: field \"") + split + "\""));
    EXPECT_THAT(error_of_scores("f", {{"val", {kCall}}, {split, {"assert f(2) == 4"}}}),
                HasSubstr("an array of objects"));
  }
}

TEST(TaskTests, FinalTestsAreReadByTask) {
  test::TempDir dir;
  const Json task = {{"id", "a"},     {"dataset", "humaneval"}, {"kind", "code"},
                     {"prompt", "p"}, {"entry_point", "f"},     {"tests", {{"official", {kCall}}}}};
  std::ofstream(dir / "t.jsonl") << dump_json(task) << "\n";
  const auto tests = load_final_tests(dir / "t.jsonl");
  ASSERT_EQ(tests.size(), 1u);
  EXPECT_EQ(tests.at("a").official, std::vector<Json>{kCall});
  EXPECT_TRUE(tests.at("a").hidden.empty());
}

TEST(TaskTests, NamedBenchmarksAreKnown) {
  EXPECT_TRUE(is_named_benchmark("mbpp_plus"));
  EXPECT_TRUE(is_named_benchmark("gpqa"));
  EXPECT_FALSE(is_named_benchmark("builtin"));
  EXPECT_FALSE(is_named_benchmark("jsonl"));
}

TEST(TaskTests, OtherKindsNeedNoTests) {
  Task task;
  task.kind = TaskKind::kMath;
  EXPECT_NO_THROW(require_scorable(task, {}, "val", "file"));
}

}  // namespace
}  // namespace weft
