#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/file.h"
#include "base/json.h"
#include "tests/support/support.h"

namespace weft {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

Json call(int argument, int expected) { return {{"args", {argument}}, {"expected", expected}}; }

/// The real program over two tasks and a file of samples, without a model.
class EvaluateSamples : public ::testing::Test {
 protected:
  EvaluateSamples() {
    // The first prompt begins the function, the second one describes it.
    const Json double_tests = {{"public", {call(1, 2)}},
                               {"hidden", {call(2, 4)}},
                               {"official", {call(1, 2), call(2, 4), call(-3, -6)}}};
    write_tasks(
        {task("HumanEval/0", "humaneval", "def f(x):\n    \"\"\"Twice x.\"\"\"\n", double_tests),
         task("mbpp/2", "mbpp", "Write a function f that gives twice x.", double_tests)});
  }

  static Json task(const char* id, const char* dataset, const char* prompt, const Json& tests) {
    return {{"id", id},         {"dataset", dataset}, {"kind", "code"},
            {"prompt", prompt}, {"entry_point", "f"}, {"tests", tests}};
  }

  void write_tasks(const std::vector<Json>& tasks) {
    std::ofstream file(dir_ / "tasks.jsonl");
    for (const Json& task : tasks) file << dump_json(task) << "\n";
  }

  void add_sample(const std::string& id, const char* key, const std::string& text) {
    std::ofstream(dir_ / "s.jsonl", std::ios::app)
        << dump_json({{"task_id", id}, {key, text}, {"model", "m"}}) << "\n";
  }

  std::vector<std::string> command(const std::vector<std::string>& settings = {}) const {
    std::vector<std::string> words = {
        test::program("evaluate").string(),
        "--set",
        "tasks=" + (dir_ / "tasks.jsonl").string(),
        "--set",
        "out=" + (dir_ / "run").string(),
        "--set",
        "methods=[\"s=samples:" + (dir_ / "s.jsonl").string() + "\"]"};
    for (const std::string& setting : settings) {
      words.push_back("--set");
      words.push_back(setting);
    }
    return words;
  }

  test::ProgramRun evaluate(const std::vector<std::string>& settings = {}) const {
    return test::run_program(command(settings));
  }

  std::string text(const std::string& name) const { return read_file(dir_ / "run" / name); }
  int64_t num_rows() const {
    if (!std::filesystem::exists(dir_ / "run/results.jsonl")) return 0;
    const std::string rows = text("results.jsonl");
    return std::count(rows.begin(), rows.end(), '\n');
  }
  Json report() const { return parse_json(text("report.json"), "report.json"); }

  test::TempDir dir_;
};

TEST_F(EvaluateSamples, ScoresByTheOfficialTestsWithoutAModel) {
  add_sample("HumanEval/0", "completion", "    return x + x\n");
  add_sample("HumanEval/0", "completion", "    return abs(x) * 2\n");  // passes the hidden test
  add_sample("mbpp/2", "completion", "def f(x):\n    return 2 * x\n");
  add_sample("mbpp/2", "completion", "    return 2 * x\n");  // no program
  add_sample("mbpp/2", "solution", "def f(x):\n    while True: pass\n");
  const auto run = evaluate({"runner.judge_cpu_ms=200"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.err, HasSubstr("columns that are not read: model (5)"));
  const Json json = report();
  const Json& method = json["methods"][0];
  EXPECT_NEAR(method["score"].get<double>(), (1.0 / 2 + 1.0 / 3) / 2, 1e-12);
  EXPECT_NEAR(method["pass_at_k"]["1"]["score"].get<double>(), (1.0 / 2 + 1.0 / 3) / 2, 1e-12);
  EXPECT_EQ(method["pass_at_k"].size(), 1u);
  EXPECT_NEAR(method["pass_rate"].get<double>(), 3.0 / 5, 1e-12);
  EXPECT_EQ(json["scoring"][0]["tests"], 6);
  EXPECT_EQ(json["summary"]["worker"], "none");
  for (const char* name : {"report.md", "report.html"}) {
    EXPECT_THAT(text(name), HasSubstr("Score (official, 2 tasks of humaneval, mbpp)")) << name;
  }
  EXPECT_THAT(text("report.md"), HasSubstr("| method | pass@1 |"));
}

TEST_F(EvaluateSamples, AnotherRuleIsNamedInTheReport) {
  add_sample("HumanEval/0", "completion", "    return abs(x) * 2\n");
  ASSERT_EQ(evaluate({"score=hidden"}).exit_code, 0);
  EXPECT_EQ(report()["methods"][0]["score"], 1);
  EXPECT_THAT(text("report.md"), AllOf(HasSubstr("Score (hidden, 2 tasks"),
                                       HasSubstr("s holds 1 samples for 1 of 2 tasks")));
}

TEST_F(EvaluateSamples, WrongFilesAndRulesAreExit2AndLeaveNoRun) {
  add_sample("HumanEval/1", "completion", "    return x\n");
  const auto unknown = evaluate();
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_THAT(unknown.err, HasSubstr("s.jsonl:1: task_id"));
  const auto old = evaluate({"score=all_tests"});
  EXPECT_EQ(old.exit_code, 2);
  EXPECT_THAT(old.err, HasSubstr("now called hidden"));
  write_tasks({task("HumanEval/1", "humaneval", "def f(x):\n", {{"hidden", {call(1, 2)}}})});
  const auto unprepared = evaluate();
  EXPECT_EQ(unprepared.exit_code, 2);
  EXPECT_THAT(unprepared.err,
              AllOf(HasSubstr("tasks.jsonl:1"), HasSubstr("run prepare_tasks again")));
  EXPECT_FALSE(std::filesystem::exists(dir_ / "run"));
}

TEST_F(EvaluateSamples, ATestThatCannotBeJudgedIsExit2AndLeavesNoRun) {
  add_sample("mbpp/2", "completion", "def f(x): return 2 * x\n");
  Json misspelt = call(1, 2);
  misspelt["comapre"] = "exact";
  for (const auto& [test, said] :
       {std::pair{misspelt, "final test 0: unknown key \"comapre\""},
        {Json{{"code", "assert f(1) = 2"}}, "final test 0: expected \"assert f("}}) {
    write_tasks({task("mbpp/2", "mbpp", "Write f.", {{"official", {test}}})});
    const auto run = evaluate();
    EXPECT_EQ(run.exit_code, 2);
    EXPECT_THAT(run.err, AllOf(HasSubstr("task \"mbpp/2\""), HasSubstr(said)));
  }
  EXPECT_FALSE(std::filesystem::exists(dir_ / "run"));
}

// Each of these answers runs for an hour where only its limit ends it.
TEST_F(EvaluateSamples, StopsInTheMiddleOfAnswersThatDoNot) {
  for (const char* body :
       {"    while True: pass\n", "    import time\n    time.sleep(3600)\n", "    return 9**9**9\n",
        "    import signal\n    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n    while 1: pass\n",
        "    import re\n    return re.match('(a+)+$', 'a' * 60 + 'b')\n"}) {
    std::filesystem::remove_all(dir_ / "run");
    std::filesystem::remove(dir_ / "s.jsonl");
    add_sample("HumanEval/0", "completion", "    return x + x\n");
    const std::string answer = "def f(x):\n" + std::string(body);
    for (int i = 0; i < 50; ++i) add_sample("mbpp/2", "solution", answer);
    test::BackgroundProgram program(command({"runner.judge_cpu_ms=3600000"}), dir_ / "log");
    for (int i = 0; i < 1000 && num_rows() == 0; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    ASSERT_TRUE(num_rows() > 0) << read_file(dir_ / "log");
    program.signal(SIGTERM);
    EXPECT_EQ(program.wait(), 128 + SIGTERM) << body;
    EXPECT_EQ(text("results.jsonl").find("mbpp/2"), std::string::npos) << body;
  }
}

// 2e10 draws are minutes of resampling, and come when every row is there.
TEST_F(EvaluateSamples, StopsInTheMiddleOfItsIntervals) {
  std::vector<Json> tasks;
  std::ofstream samples(dir_ / "s.jsonl");
  for (int i = 0; i < 2000; ++i) {
    const std::string id = "t/" + std::to_string(i);
    tasks.push_back(
        {{"id", id}, {"dataset", "gsm8k"}, {"kind", "math"}, {"prompt", "?"}, {"answer", "42"}});
    for (const int answer : {42, 42 + i % 2}) {
      samples << dump_json({{"task_id", id}, {"solution", std::to_string(answer)}}) << "\n";
    }
  }
  samples.close();
  write_tasks(tasks);
  test::BackgroundProgram program(command({"bootstrap.resamples=10000000"}), dir_ / "log");
  for (int i = 0; i < 1000 && num_rows() < 4000; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  ASSERT_EQ(num_rows(), 4000) << read_file(dir_ / "log");
  program.signal(SIGTERM);
  EXPECT_EQ(program.wait(), 128 + SIGTERM);
  EXPECT_FALSE(std::filesystem::exists(dir_ / "run/report.json"));
}

TEST_F(EvaluateSamples, ResumeRefusesAnotherFileOrScoresOnlyWhatIsNewInIt) {
  add_sample("mbpp/2", "completion", "def f(x):\n    return 2 * x\n");
  ASSERT_EQ(evaluate().exit_code, 0);
  const std::string before = text("results.jsonl");
  add_sample("HumanEval/0", "completion", "    return x + x\n");
  std::vector<std::string> words = {test::program("evaluate").string(), "--config",
                                    (dir_ / "run/config.json").string(), "--resume"};
  const auto refused = test::run_program(words);
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, HasSubstr("\"methods.s\" differs"));
  words.insert(words.end(), {"--set", "resume.allow=[\"methods.s\"]"});
  const auto again = test::run_program(words);
  ASSERT_EQ(again.exit_code, 0) << again.err;
  const std::string after = text("results.jsonl");
  EXPECT_EQ(after.substr(0, before.size()), before);
  EXPECT_EQ(std::count(after.begin(), after.end(), '\n'), 2);
  EXPECT_EQ(report()["methods"][0]["n"], 2);
}

}  // namespace
}  // namespace weft
