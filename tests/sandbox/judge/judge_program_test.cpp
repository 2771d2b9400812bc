#include "sandbox/judge/judge_program.h"

#include <gtest/gtest.h>

#include <csignal>
#include <fstream>
#include <thread>

#include "base/error.h"
#include "base/file.h"
#include "tests/support/config_sizes.h"
#include "tests/support/json_lines.h"
#include "tests/support/support.h"

namespace weft {
namespace {

std::string row(const std::string& id, const std::string& code) {
  return Json{{"id", id},
              {"code", code},
              {"entry_point", "f"},
              {"mode", "call"},
              {"tests", {{{"args", {2}}, {"expected", 4}}}},
              {"limits", {{"cpu_ms", 300}}}}
             .dump() +
         "\n";
}

test::ProgramRun judge(std::vector<std::string> args, const std::string& input = "") {
  args.insert(args.begin(), test::program("judge").string());
  return test::run_program(args, input);
}

TEST(JudgeProgram, WritesVerdictsInInputOrder) {
  const auto run =
      judge({"--in", "-", "--out", "-", "--jobs", "2"},
            row("slow", "def f(x):\n  while True: pass") + row("good", "def f(x): return 4") +
                row("wrong", "def f(x): return 5"));
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const auto rows = test::parse_json_lines(run.out);
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0]["id"], "slow");
  EXPECT_EQ(rows[0]["verdict"], "TIME_CPU");
  EXPECT_EQ(rows[1]["verdict"], "PASS");
  EXPECT_EQ(rows[1]["integrity"], "strong");
  EXPECT_EQ(rows[2]["verdict"], "WRONG");
  EXPECT_EQ(rows[2]["tests"][0]["detail"], "got 5");
}

TEST(JudgeProgram, ReportsBadLinesWithTheirNumberAndGoesOn) {
  const auto run =
      judge({"--jobs", "1"},
            "{broken\n" + row("good", "def f(x): return 4") +
                R"({"id":"x","code":"","mode":"fast","tests":[{}]})" + "\n" +
                R"({"id":"y","code":"","entry_point":"f","tests":[{"code":"import os"}]})" + "\n");
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_EQ(test::parse_json_lines(run.out).size(), 1u);
  EXPECT_NE(run.err.find(":1"), std::string::npos) << run.err;
  EXPECT_NE(run.err.find("got \"fast\""), std::string::npos) << run.err;
  EXPECT_NE(run.err.find("assert f(literals) == literal"), std::string::npos) << run.err;
}

TEST(JudgeProgram, ResumeSkipsIdsAlreadyWritten) {
  const test::TempDir dir;
  const std::string in = (dir / "in.jsonl").string(), out = (dir / "out.jsonl").string();
  write_file_atomically(in, row("a", "def f(x): return 4") + row("b", "def f(x): return 4"));
  write_file_atomically(out, "{\"id\":\"a\",\"verdict\":\"kept\"}\n{\"id\":\"b\",\"ver");
  const auto run = judge({"--in", in, "--out", out, "--resume", "--jobs", "1"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const auto rows = test::parse_json_lines(read_file(out));
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0]["verdict"], "kept");
  EXPECT_EQ(rows[1]["verdict"], "PASS");
}

TEST(JudgeProgram, ResumeRefusesARowThatIsAnotherThanTheOneJudged) {
  const test::TempDir dir;
  const std::string in = (dir / "in.jsonl").string(), out = (dir / "out.jsonl").string();
  write_file_atomically(in, row("a", "def f(x): return 4"));
  ASSERT_EQ(judge({"--in", in, "--out", out, "--jobs", "1"}).exit_code, 0);
  const std::string judged = read_file(out);
  write_file_atomically(in, row("a", "def f(x): return 5") + row("b", "def f(x): return 4"));
  const auto run = judge({"--in", in, "--out", out, "--resume", "--jobs", "1"});
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_NE(run.err.find(":1: id \"a\": cannot resume, the row differs"), std::string::npos)
      << run.err;
  EXPECT_EQ(read_file(out), judged);
  const auto told = judge(
      {"--in", in, "--out", out, "--resume", "--jobs", "1", "--set", "resume.allow=[\"rows\"]"});
  ASSERT_EQ(told.exit_code, 0) << told.err;
  EXPECT_EQ(test::parse_json_lines(read_file(out)).size(), 2u);
}

TEST(JudgeProgram, ResumeTriesInfrastructureFailuresAgainInTheirPlace) {
  const test::TempDir dir;
  const std::string in = (dir / "in.jsonl").string(), out = (dir / "out.jsonl").string();
  std::string rows_in;
  for (const char* id : {"a", "b", "c", "d"}) rows_in += row(id, "def f(x): return 4");
  write_file_atomically(in, rows_in);
  write_file_atomically(
      out,
      "{\"id\":\"a\",\"verdict\":\"kept\"}\n{\"id\":\"b\",\"verdict\":\"INFRA\"}\n"
      "{\"id\":\"c\",\"verdict\":\"kept\"}\n");
  const auto run = judge({"--in", in, "--out", out, "--resume", "--jobs", "1"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  std::string seen;
  for (const auto& verdict : test::parse_json_lines(read_file(out))) {
    seen += verdict["id"].get<std::string>() + "=" + verdict["verdict"].get<std::string>() + " ";
  }
  EXPECT_EQ(seen, "a=kept b=PASS c=kept d=PASS ");
}

TEST(JudgeProgram, ResumeRefusesIdsThatComeTwice) {
  const test::TempDir dir;
  const std::string in = (dir / "in.jsonl").string(), out = (dir / "out.jsonl").string();
  write_file_atomically(in, row("a", "def f(x): return 4") + row("b", "def f(x): return 4") +
                                row("a", "def f(x): return 5"));
  write_file_atomically(out, "{\"id\":\"a\",\"verdict\":\"kept\"}\n");
  const auto run = judge({"--in", in, "--out", out, "--resume", "--jobs", "1"});
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_NE(run.err.find(":3: id: \"a\" is another line's"), std::string::npos) << run.err;
  EXPECT_EQ(test::parse_json_lines(read_file(out)).size(), 2u);
}

TEST(JudgeProgram, ASignalEndsItWithinSecondsAndResumeJudgesTheRest) {
  const test::TempDir dir;
  const std::string in = (dir / "in.jsonl").string(), out = (dir / "out.jsonl").string();
  Json sleeper = parse_json(row("slow", "import time\ndef f(x):\n  time.sleep(60)\n"), "row");
  sleeper["limits"] = {{"wall_ms", 60000}};
  write_file_atomically(in, row("a", "def f(x): return 4") + sleeper.dump() + "\n");
  const std::vector<std::string> command = {
      test::program("judge"), "--in", in, "--out", out, "--jobs", "2"};
  test::BackgroundProgram program(command, dir / "log");
  ASSERT_TRUE(test::wait_until(
      [&] { return read_file(dir / "log").find("candidates") != std::string::npos; }));
  std::this_thread::sleep_for(std::chrono::seconds(2));  // the first row is judged by then
  const auto start = std::chrono::steady_clock::now();
  program.signal(SIGTERM);
  EXPECT_EQ(program.wait(), 143);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
  EXPECT_EQ(test::parse_json_lines(read_file(out)).size(), 1u);
}

TEST(JudgeProgram, ReadsAPipeByItsName) {
  const auto run = judge({"--in", "/dev/stdin", "--jobs", "1"}, row("a", "def f(x): return 4"));
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(test::parse_json_lines(run.out).size(), 1u);
}

TEST(JudgeProgram, InprocNeedsTheSwitch) {
  const std::string line =
      R"({"id":"a","code":"x = 1","mode":"inproc","tests":[{"code":"assert x == 1"}]})"
      "\n";
  EXPECT_EQ(judge({"--jobs", "1"}, line).exit_code, 1);
  const auto run = judge({"--jobs", "1", "--set", "allow_inproc=true"}, line);
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(test::parse_json_lines(run.out)[0]["integrity"], "weak");
}

TEST(JudgeProgram, ParsesLimitsStrictly) {
  const Json row =
      parse_json(R"({"id":1,"code":"","entry_point":"f","tests":[{}],"limits":{"cpu":1}})", "t");
  EXPECT_THROW(parse_judge_row(row, "t"), InputError);
}

TEST(JudgeProgram, RefusesRowsWithUnknownFieldsAndTheRestGoOn) {
  const std::string good = row("good", "def f(x): return 4");
  const auto with = [&](const std::string& old_text, const std::string& new_text) {
    std::string text = good;
    return text.replace(text.find(old_text), old_text.size(), new_text);
  };
  const auto run =
      judge({"--jobs", "1"}, with("\"entry_point\"", "\"entrypoint\"") +
                                 with("\"expected\":4", "\"expected\":4,\"comapre\":\"exact\"") +
                                 with("\"cpu_ms\"", "\"cpu_m\"") +
                                 with("\"mode\"", "\"meta\":{\"x\":1},\"mode\""));
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_EQ(test::parse_json_lines(run.out).size(), 1u) << run.out;
  for (const char* said : {":1: unknown key \"entrypoint\" (did you mean \"entry_point\"?)",
                           ":2: test 0: unknown key \"comapre\" (did you mean \"compare\"?)",
                           ":3: limits: unknown key \"cpu_m\" (did you mean \"cpu_ms\"?)"}) {
    EXPECT_NE(run.err.find(said), std::string::npos) << said << "\n" << run.err;
  }
}

TEST(JudgeProgram, DryRunNamesEverythingThatKeepsItFromStarting) {
  const auto run = judge({"--dry-run", "--in", "no.jsonl", "--out", "no_folder/out"});
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_NE(run.err.find("in: expected a file, got no.jsonl"), std::string::npos) << run.err;
  EXPECT_NE(run.err.find("out: no_folder/out cannot be made"), std::string::npos) << run.err;
  EXPECT_EQ(judge({"--dry-run"}).exit_code, 0);
}

TEST(JudgeProgram, EverySizeOfItsConfigIsBounded) {
  test::expect_bounded_sizes<JudgeConfig>(Json::object(), {"threads", "jobs"});
}

}  // namespace
}  // namespace weft
