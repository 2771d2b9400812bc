#include "base/run_dir.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "tests/support/input_error.h"
#include "tests/support/support.h"

namespace weft {
namespace {

/// A run that has left something.
void make_run(const fs::path& path, const Json& config) {
  RunDir run(path, false, config);
  write_file_atomically(run.file("metrics.jsonl"), "");
}

TEST(RunDir, WritesConfigAndLog) {
  test::TempDir dir;
  RunDir run(dir / "r", false, {{"lr", 1}});
  log::info("hello {}", 5);
  EXPECT_EQ(read_json_file(dir / "r/config.json")["lr"], 1);
  EXPECT_NE(read_file(dir / "r/log.txt").find("hello 5"), std::string::npos);
}

TEST(RunDir, AStartThatLeftNothingLeavesNoFolder) {
  test::TempDir dir;
  { RunDir run(dir / "new", false, Json::object()); }
  EXPECT_FALSE(fs::exists(dir / "new"));
  EXPECT_THROW(RunDir(dir / "new", true, Json::object()), InputError);
  EXPECT_FALSE(fs::exists(dir / "new"));
  fs::create_directory(dir / "old");
  write_file_atomically(dir / "old" / "notes.txt", "mine");
  { RunDir run(dir / "old", false, Json::object()); }
  EXPECT_TRUE(fs::exists(dir / "old" / "notes.txt"));
}

TEST(RunDir, RefusesAFolderThatAnotherRunHolds) {
  test::TempDir dir;
  RunDir first(dir / "r", false, Json::object());
  EXPECT_NE(test::input_error([&] {
              RunDir(dir / "r", true, Json::object());
            }).find("in use by another run"),
            std::string::npos);
}

TEST(RunDir, RefusesAFinishedRunWithoutResume) {
  test::TempDir dir;
  make_run(dir / "r", Json::object());
  EXPECT_NE(test::input_error([&] { RunDir(dir / "r", false, Json::object()); }).find("--resume"),
            std::string::npos);
  RunDir again(dir / "r", true, Json::object());
  EXPECT_TRUE(again.resumed());
}

TEST(RunDir, RefusesToResumeWithAnotherConfig) {
  test::TempDir dir;
  make_run(dir / "r", {{"train", {{"lr", 1}}}, {"jobs", 1}});
  const auto message = test::input_error([&] {
    RunDir(dir / "r", true, {{"train", {{"lr", 2}}}, {"jobs", 1}});
  });
  EXPECT_NE(message.find("\"train.lr\" differs"), std::string::npos) << message;
  RunDir again(dir / "r", true, {{"train", {{"lr", 1}}}, {"jobs", 2}}, {"jobs"});
}

TEST(RunDir, OneFileAndAListOfItAreTheSame) {
  test::TempDir dir;
  const Json text = {{"tasks", "a.jsonl"}}, list = {{"tasks", {"a.jsonl"}}};
  make_run(dir / "r", text);
  EXPECT_NO_THROW(RunDir(dir / "r", true, list));
  EXPECT_NO_THROW(RunDir(dir / "r", true, text));
  const Json more = {{"tasks", {"a.jsonl", "b.jsonl"}}};
  EXPECT_THROW(RunDir(dir / "r", true, more), InputError);
}

/// Config keys as they are now, by default.
const Json kDefaults = {{"engine", {{"batch", 8}, {"mixed", 0}}}, {"body", Json::object()}};

std::string resume(const fs::path& path, const Json& config,
                   const std::vector<std::string>& allow = {}) {
  try {
    RunDir(path, true, config, ResumeRules{{}, {}, allow, kDefaults});
    return "";
  } catch (const InputError& error) {
    return error.what();
  }
}

TEST(RunDir, ASettingThatTheRunsVersionLackedCountsAsItsDefault) {
  test::TempDir dir;
  Json config = kDefaults;
  config["engine"].erase("mixed");
  make_run(dir / "r", config);
  config["engine"]["mixed"] = 7;
  EXPECT_NE(resume(dir / "r", config)
                .find("\"engine.mixed\" differs from the run's config: "
                      "expected 0, got 7"),
            std::string::npos);
  EXPECT_EQ(resume(dir / "r", kDefaults), "");
  EXPECT_EQ(read_json_file(dir / "r/config.json"), kDefaults);
}

TEST(RunDir, ASettingOfTheRunThatIsNoneNowIsRefusedByName) {
  test::TempDir dir;
  Json config = kDefaults;
  config["engine"]["gone"] = 3;
  make_run(dir / "r", config);
  EXPECT_NE(resume(dir / "r", kDefaults)
                .find("\"engine.gone\" differs from the run's config: "
                      "expected 3, got none"),
            std::string::npos);
  EXPECT_EQ(read_json_file(dir / "r/config.json"), config);
  EXPECT_EQ(resume(dir / "r", kDefaults, {"engine.gone"}), "");

  config = kDefaults;
  config["body"]["top_k"] = 5;  // free keys, not of any version
  make_run(dir / "free", config);
  EXPECT_NE(resume(dir / "free", kDefaults).find("\"body.top_k\""), std::string::npos);
}

// Begins or resumes the run r of `dir`, which reads data.
void go_on(const test::TempDir& dir, bool resume) {
  RunDir run(dir / "r", resume, {{"a", 1}},
             ResumeRules{{}, RunInputs().files("data", {(dir / "data").string()}), {}});
  write_file_atomically(run.file("metrics.jsonl"), "");
}

TEST(RunDir, NamesAFileOfTheRunThatIsNotWhatItShouldBe) {
  test::TempDir dir;
  write_file_atomically(dir / "data", "one");
  go_on(dir, false);
  const std::string config = read_file(dir / "r/config.json");
  for (const auto& [file, text] :
       {std::pair{"config.json", "[]"}, std::pair{"inputs.json", "[]"},
        std::pair{"inputs.json", R"({"version":"1","inputs":[]})"},
        std::pair{"inputs.json", R"({"inputs":{}})"},
        std::pair{"inputs.json", R"({"version":"1","inputs":{"data":{}}})"}}) {
    const std::string before = read_file(dir / "r" / file);
    write_file_atomically(dir / "r" / file, text);
    EXPECT_NE(test::input_error([&] { go_on(dir, true); }), "") << text;
    EXPECT_EQ(read_file(dir / "r" / file), text);
    write_file_atomically(dir / "r" / file, before);
  }
  go_on(dir, true);
}

TEST(RunDir, AnotherVersionOfTheProgramIsSaidInTheLog) {
  test::TempDir dir;
  write_file_atomically(dir / "data", "one");
  go_on(dir, false);
  Json inputs = read_json_file(dir / "r/inputs.json");
  inputs["version"] = "0.0.9-old";
  write_file_atomically(dir / "r/inputs.json", dump_json(inputs));
  go_on(dir, true);
  EXPECT_NE(read_file(dir / "r/log.txt").find("another version of the program, 0.0.9-old"),
            std::string::npos);
}

TEST(RunDir, ARunThatLeavesNothingIsNone) {
  test::TempDir dir;
  { RunDir run(dir / "r", false, {{"data", "typo"}}); }
  make_run(dir / "r", {{"data", "right"}});
  { RunDir run(dir / "r", true, {{"data", "right"}}); }
  RunDir again(dir / "r", true, {{"data", "right"}});
  EXPECT_TRUE(again.resumed());
}

TEST(RunDir, RefusesToResumeNothing) {
  test::TempDir dir;
  EXPECT_NE(
      test::input_error([&] { RunDir(dir / "r", true, Json::object()); }).find("no run to resume"),
      std::string::npos);
}

}  // namespace
}  // namespace weft
