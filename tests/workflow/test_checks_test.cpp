#include "workflow/test_checks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/input_error.h"
#include "tests/workflow/jail.h"

namespace weft {
namespace {

using testing::HasSubstr;

Task task_with(const Json& test) {
  Task task;
  task.id = "a";
  task.entry_point = "f";
  task.val_tests = {test};
  return task;
}

std::string error_of(const Json& test) {
  return test::input_error([&] { require_judgeable({task_with(test)}, "t.jsonl"); });
}

TEST(TestChecks, ATestThatCannotBeJudgedIsNamedBeforeAnythingIsRun) {
  EXPECT_EQ(error_of({{"args", {1}}, {"expected", 2}, {"compare", "multiset"}}), "no error");
  EXPECT_EQ(error_of({{"input", "1"}, {"output", "2"}}), "no error");
  EXPECT_EQ(error_of({{"args", {1}}, {"expected", 2}, {"comapre", "multiset"}}),
            "t.jsonl: task \"a\": val test 0: unknown key \"comapre\" (did you mean \"compare\"?)");
  const Json wrong = parse_json(
      R"j([{"args":[1],"expected":2,"compare":"mulitset"}, {"args":[1],"expcted":2},
           {"args":1,"expected":2}, {"args":[{"$tupel":[]}],"expected":2},
           {"input":"1","ouput":"2"}, {"input":"1","output":2}, {"code":3},
           {"code":"assert f(1) == 2","expected":2},
           {"call":"f(1)","expected":1,"befor":""}, {}])j",
      "t");
  for (const Json& test : wrong) {
    EXPECT_THAT(error_of(test), HasSubstr("t.jsonl: task \"a\": val test 0")) << test;
  }
}

TEST(TestChecks, PublicTestsAreLookedAtAsWell) {
  Task task = task_with({{"args", {1}}, {"expected", 2}});
  task.public_tests = {Json{{"arg", {1}}}};
  EXPECT_THAT(test::input_error([&] { require_judgeable({task}, "t.jsonl"); }),
              HasSubstr("public test 0"));
}

TEST(TestChecks, TasksWithoutCodeHaveNoTests) {
  Task task = task_with({{"arg", 1}});
  task.kind = TaskKind::kMath;
  EXPECT_NO_THROW(require_judgeable({task}, "t.jsonl"));
}

TEST(TestChecks, PythonReadsTestsThatAreCode) {
  Judge& judge = test::jail().judge;
  const auto error = [&](const char* code) {
    return test::input_error([&] { require_judgeable(judge, {task_with(Json{{"code", code}})}); });
  };
  EXPECT_EQ(error("assert f(1) == 2"), "no error");
  EXPECT_THAT(error("assert f(1) = 2"), HasSubstr("task \"a\": val test 0: expected \"assert f("));
  EXPECT_THAT(error("assert g(1) == 2"), HasSubstr("task \"a\": val test 0: expected \"assert f("));
  EXPECT_NO_THROW(require_judgeable(judge, {task_with({{"args", {1}}, {"expected", 2}}), Task()}));
}

}  // namespace
}  // namespace weft
