#include "base/program.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <fstream>

#include "base/error.h"
#include "base/file.h"
#include "base/run_dir.h"
#include "base/stop.h"
#include "tests/support/support.h"

namespace weft {
namespace {

struct Config {
  std::string out = "default";
  int64_t steps = 3;
  std::vector<std::string> files;
  template <class V>
  void visit(V& v) {
    v("out", out, "folder");
    v("steps", steps, "steps");
    v("files", files, "files");
  }
  void validate() const {
    if (steps < 0) throw InputError("\"steps\" must not be negative");
  }
};

int call(std::vector<std::string> arguments, const std::function<void(const Config&)>& body,
         bool resumable = false) {
  arguments.insert(arguments.begin(), "demo");
  std::vector<char*> argv;
  for (auto& argument : arguments) argv.push_back(argument.data());
  const ProgramSpec spec{"demo",
                         "a demonstration",
                         {{"--steps", "steps", "steps"}, {"--files", "files", "files"}},
                         resumable};
  return run_program<Config>(static_cast<int>(argv.size()), argv.data(), spec,
                             [&](const Config& config, const ProgramArgs&) { body(config); });
}

TEST(Program, MergesFileFlagsAndOverridesInThatOrder) {
  test::TempDir dir;
  std::ofstream(dir / "c.json") << "{\"steps\": 5, \"out\": \"file\"} // comment\n";
  Config seen;
  EXPECT_EQ(call({"--config", dir / "c.json", "--out", "7", "--set", "steps=8"},
                 [&](const Config& config) { seen = config; }),
            0);
  EXPECT_EQ(seen.steps, 8);
  EXPECT_EQ(seen.out, "7");
  EXPECT_EQ(call({"--out", "7", "--set", "out=8x"}, [&](const Config& config) { seen = config; }),
            0);
  EXPECT_EQ(seen.out, "8x");
}

TEST(Program, AFlagOfAListTakesOneOrSeveralOrJson) {
  using Files = std::vector<std::string>;
  const std::pair<Files, Files> cases[] = {{{"--files", "a"}, {"a"}},
                                           {{"--files", "a", "7", "--steps", "1"}, {"a", "7"}},
                                           {{"--files", "[\"a\",\"b\"]"}, {"a", "b"}}};
  for (const auto& [arguments, expected] : cases) {
    Config seen;
    EXPECT_EQ(call(arguments, [&seen](const Config& config) { seen = config; }), 0);
    EXPECT_EQ(seen.files, expected);
  }
}

TEST(Program, TakesItsSectionOfASharedConfigFile) {
  test::TempDir dir;
  std::ofstream(dir / "c.json")
      << R"({"common": {"out": "shared"}, "demo": {"steps": 5}, "other": {"unknown": 1}})";
  Config seen;
  EXPECT_EQ(call({"--config", dir / "c.json"}, [&](const Config& config) { seen = config; }), 0);
  EXPECT_EQ(seen.steps, 5);
  EXPECT_EQ(seen.out, "shared");
}

TEST(Program, TakesTheSectionThatItIsTold) {
  test::TempDir dir;
  std::ofstream(dir / "c.json")
      << R"({"common": {"out": "shared"}, "demo": {"steps": 5}, "again": {"steps": 9}})";
  Config seen;
  EXPECT_EQ(call({"--config", dir / "c.json", "--section", "again"},
                 [&](const Config& config) { seen = config; }),
            0);
  EXPECT_EQ(seen.steps, 9);
  EXPECT_EQ(seen.out, "shared");
  EXPECT_EQ(call({"--config", dir / "c.json", "--section", "agian"}, [](const Config&) {}), 2);
  EXPECT_EQ(call({"--section", "again"}, [](const Config&) {}), 2);
}

TEST(Program, ExitCodesFollowTheContract) {
  const auto nothing = [](const Config&) {};
  EXPECT_EQ(call({}, nothing), 0);
  EXPECT_EQ(call({"--no-such-flag"}, nothing), 2);
  EXPECT_EQ(call({"--set", "stepz=1"}, nothing), 2);
  EXPECT_EQ(call({"--steps", "-1"}, nothing), 2);
  EXPECT_EQ(call({"--config", "/nonexistent"}, nothing), 2);
  EXPECT_EQ(call({}, [](const Config&) { throw Error("no luck"); }), 1);
  EXPECT_EQ(call({}, [](const Config&) { throw InputError("bad"); }), 2);
  EXPECT_EQ(call({}, [](const Config&) { throw Interrupted(SIGTERM); }), 143);
}

TEST(Program, DryRunPrintsTheConfigAndDoesNoWork) {
  testing::internal::CaptureStdout();
  bool ran = false;
  EXPECT_EQ(call({"--dry-run", "--steps", "4"}, [&](const Config&) { ran = true; }), 0);
  const Json shown = parse_json(testing::internal::GetCapturedStdout(), "output");
  EXPECT_FALSE(ran);
  EXPECT_EQ(shown["config"]["steps"], 4);
}

TEST(Program, OnlyAResumableOneTakesResume) {
  int calls = 0;
  const auto count = [&](const Config&) { ++calls; };
  EXPECT_EQ(call({"--resume"}, count), 2);
  EXPECT_EQ(calls, 0);
  EXPECT_EQ(call({"--resume"}, count, true), 0);
  EXPECT_EQ(calls, 1);
}

TEST(Program, TheLogOfARunHoldsTheErrorThatEndedIt) {
  test::TempDir dir;
  EXPECT_EQ(call({},
                 [&](const Config&) {
                   RunDir run(dir / "r", false, Json::object());
                   write_file_atomically(run.file("metrics.jsonl"), "");
                   throw Error("no luck");
                 }),
            1);
  EXPECT_NE(read_file(dir / "r" / "log.txt").find("no luck"), std::string::npos);
}

TEST(ProgramDeathTest, ASecondSignalOfAnyKindEndsItAtOnce) {
  EXPECT_EXIT(
      {
        install_stop_handlers();
        raise(SIGINT);
        if (stop_signal() != SIGINT) _exit(1);
        raise(SIGTERM);
        _exit(2);
      },
      testing::KilledBySignal(SIGTERM), "");
}

TEST(Program, AStopSignalReachesTheLoop) {
  EXPECT_EQ(call({},
                 [](const Config&) {
                   raise(SIGINT);
                   throw_if_stopped();
                 }),
            130);
}

}  // namespace
}  // namespace weft
