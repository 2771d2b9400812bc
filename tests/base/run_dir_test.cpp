#include "base/run_dir.h"

#include <gtest/gtest.h>

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
