#include "data/task.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "data/hidden_tests.h"
#include "tests/support/input_error.h"
#include "tests/support/support.h"

namespace weft {
namespace {

constexpr const char* kGood =
    R"({"id":"a","dataset":"jsonl","kind":"code","prompt":"double","entry_point":"f",)"
    R"("tests":{"public":[{"args":[1],"expected":2}],"val":[{"args":[2],"expected":4}],)"
    R"("hidden":[{"args":[3],"expected":6}]}})";

std::string error_of(const std::string& lines) {
  test::TempDir dir;
  std::ofstream(dir / "t.jsonl") << lines;
  return test::input_error([&] { load_tasks(dir / "t.jsonl"); });
}

TEST(Task, HidesItsHiddenTests) {
  test::TempDir dir;
  std::ofstream(dir / "t.jsonl") << kGood << "\n";
  const auto tasks = load_tasks(dir / "t.jsonl");
  ASSERT_EQ(tasks.size(), 1u);
  EXPECT_EQ(tasks[0].public_tests.size(), 1u);
  EXPECT_EQ(tasks[0].val_tests[0]["expected"], 4);
  EXPECT_EQ(load_final_tests(dir / "t.jsonl").at("a").hidden[0]["expected"], 6);
}

TEST(Task, KeepsTheSetupOfItsAnswers) {
  Json json = parse_json(kGood, "t");
  EXPECT_EQ(parse_task(json, "t").setup, "");
  json["setup"] = "import math\n";
  EXPECT_EQ(parse_task(json, "t").setup, "import math\n");
  json["setup"] = 3;
  EXPECT_THROW(parse_task(json, "t"), InputError);
}

TEST(Task, RefusesAListOfTestsWithAnotherName) {
  Json json = parse_json(kGood, "t");
  json["tests"]["official"] = json["tests"]["hidden"];
  EXPECT_NO_THROW(parse_task(json, "t"));
  json["tests"]["offical"] = json["tests"]["hidden"];
  try {
    parse_task(json, "t");
    FAIL() << "taken";
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("tests: unknown key \"offical\" (did you mean"),
              std::string::npos)
        << error.what();
  }
}

TEST(Task, RefusesUnknownFieldsAndThoseThatNobodyReads) {
  const auto error = [](const char* key, const Json& value) {
    Json json = parse_json(kGood, "t");
    json[key] = value;
    return test::input_error([&] { parse_task(json, "t:1"); });
  };
  EXPECT_EQ(error("family", "sums"), "no error");
  EXPECT_EQ(error("meta", {{"anwser", 1}}), "no error");
  EXPECT_EQ(error("checker", nullptr), "no error");
  EXPECT_EQ(error("files", Json::object()), "no error");
  EXPECT_EQ(error("anwser", "2"), "t:1: unknown key \"anwser\" (did you mean \"answer\"?)");
  EXPECT_EQ(error("checker", "def check(f, t): return True"), "no error");
  EXPECT_EQ(error("checker", 1),
            "t:1: field \"checker\": expected Python text, got an integer (1)");
  EXPECT_EQ(error("files", {{"a.txt", "1"}}), "no error");
}

TEST(Task, ACheckerOfCodeNeedsTheNameOfWhatItCalls) {
  Json json = parse_json(kGood, "t");
  json["checker"] = "def check(candidate, test): return candidate(1) == 1";
  json.erase("entry_point");
  EXPECT_EQ(test::input_error([&] { parse_task(json, "t:1"); }),
            "t:1: field \"checker\": expected an \"entry_point\" beside it, which "
            "check(candidate, test) calls");
}

TEST(Task, NamesFileLineAndFieldOfABrokenTask) {
  EXPECT_NE(
      error_of(std::string(kGood) + "\n{\"id\":\"b\"}\n").find("t.jsonl:2: field \"dataset\""),
      std::string::npos);
  EXPECT_NE(error_of("{nope\n").find("t.jsonl:1: not valid JSON"), std::string::npos);
  EXPECT_NE(
      error_of(R"({"id":"b","dataset":"x","kind":"poem","prompt":"p"})").find("expected one of"),
      std::string::npos);
  EXPECT_NE(error_of(R"({"id":"b","dataset":"x","kind":"code","prompt":"p","tests":{"val":[3]}})")
                .find("array of objects"),
            std::string::npos);
}

TEST(Task, RefusesARepeatedIdAndAnEmptyFile) {
  EXPECT_NE(error_of(std::string(kGood) + "\n" + kGood + "\n").find("was used before"),
            std::string::npos);
  EXPECT_NE(error_of("\n").find("holds no task"), std::string::npos);
}

TEST(Task, SeveralFilesAreReadInTheirOrderAndShareNoId) {
  test::TempDir dir;
  std::string other = kGood;
  other.replace(other.find("\"a\""), 3, "\"b\"");
  std::ofstream(dir / "a.jsonl") << kGood << "\n";
  std::ofstream(dir / "b.jsonl") << other << "\n";
  const std::string a = dir / "a.jsonl", b = dir / "b.jsonl";
  const auto load = [](const std::string& file) { return load_tasks(file); };
  const auto tasks = load_task_files({b, a}, load);
  ASSERT_EQ(tasks.size(), 2u);
  EXPECT_EQ(tasks[0].id, "b");
  EXPECT_EQ(tasks[1].id, "a");
  EXPECT_EQ(test::input_error([&] {
              load_task_files({a, b, a}, load);
            }),
            a + ": id \"a\" is another file's");
  EXPECT_EQ(test::input_error([&] { load_task_files({}, load); }),
            "tasks: expected a task file, got nothing");
}

TEST(Task, AQueryBecomesATaskWithAStableId) {
  EXPECT_EQ(task_of_query("q", "").id, task_of_query("q", "").id);
  EXPECT_EQ(task_of_query("q", "").kind, TaskKind::kQa);
  EXPECT_EQ(task_of_query("q", "f").kind, TaskKind::kCode);
}

}  // namespace
}  // namespace weft
