#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "base/file.h"
#include "base/json.h"
#include "base/jsonl.h"
#include "tests/model/remote/faulty_server.h"
#include "tests/support/support.h"

namespace weft {
namespace {

using ::testing::HasSubstr;

/// The real program with the tiny model as worker and as meta-agent, on the first built-in tasks.
/// An untrained model solves nothing: what is checked is the line, not the score.
class EvaluateProgram : public ::testing::Test {
 protected:
  std::vector<std::string> command(std::vector<std::string> more = {}) const {
    const std::string lora = test::fixture("tiny_llama_lora").string();
    std::vector<std::string> settings = {
        "model=" + test::fixture("tiny_llama").string(),
        "dtype=f32",
        "tasks=" + (test::source_dir() / "data/builtin/test.jsonl").string(),
        "out=" + out().string(),
        "max_tasks=3",
        "samples_per_task=2",
        "meta_max_tokens=24",
        "runner.worker.max_tokens=16",
        "bootstrap.resamples=1000",
        "methods=[\"io\",\"cot\",\"m=meta:" + lora + "\",\"shuffled:m\"]"};
    settings.insert(settings.end(), more.begin(), more.end());
    std::vector<std::string> words = {test::program("evaluate").string()};
    for (const std::string& setting : settings) {
      words.push_back("--set");
      words.push_back(setting);
    }
    return words;
  }

  std::filesystem::path out() const { return dir_ / "run"; }
  std::string text(const std::string& name) const { return read_file(out() / name); }

  int64_t num_rows() const {
    if (!std::filesystem::exists(out() / "results.jsonl")) return 0;
    const std::string rows = text("results.jsonl");
    return std::count(rows.begin(), rows.end(), '\n');
  }

  test::TempDir dir_;
};

TEST_F(EvaluateProgram, LeavesReportsWithEveryMethod) {
  const auto run = test::run_program(command());
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const Json report = parse_json(text("report.json"), "report.json");
  ASSERT_EQ(report["methods"].size(), 4u);
  for (const Json& method : report["methods"]) {
    EXPECT_EQ(method["infra_errors"], 0) << method;
    EXPECT_EQ(method["n"], 3) << method;
  }
  EXPECT_GT(report["methods"][0]["tokens_mean"].get<double>(), 0);
  EXPECT_EQ(report["pairs"].size(), 6u);
  EXPECT_EQ(num_rows(), 4 * 3 * 2);
  EXPECT_THAT(text("report.html"), HasSubstr("Chart.js v3.9"));
  EXPECT_THAT(text("report.md"), HasSubstr("| shuffled_m |"));
}

TEST_F(EvaluateProgram, DryRunNamesEverythingThatKeepsARunFromStarting) {
  auto words = command(
      {"tasks=[\"nowhere.jsonl\",\"gone.jsonl\"]", "device=cuda:7", "worker.kind=remote",
       "worker.remote.api_key_env=WEFT_TEST_NO_SUCH_KEY",
       "methods=[\"io\",\"w=workflow:no.py\",\"m=meta:no_folder\",\"s=samples:no.jsonl\"]"});
  words.push_back("--dry-run");
  const auto run = test::run_program(words);
  EXPECT_EQ(run.exit_code, 2);
  for (const char* problem :
       {"tasks: expected a file, got nowhere.jsonl, which is not there",
        "tasks: expected a file, got gone.jsonl", "methods.w: expected a file, got no.py",
        "methods.m: expected a model folder, got no_folder", "methods.s: expected a file, got no.",
        "environment variable WEFT_TEST_NO_SUCH_KEY", "cuda:7"}) {
    EXPECT_THAT(run.err, HasSubstr(problem));
  }
  auto fine = command();
  fine.push_back("--dry-run");
  EXPECT_EQ(test::run_program(fine).exit_code, 0);
  EXPECT_FALSE(std::filesystem::exists(out()));
}

TEST_F(EvaluateProgram, DryRunReadsTasksAndTriesAUsersScorer) {
  write_file_atomically(
      dir_ / "twice.jsonl",
      R"({"id": "a", "dataset": "d", "kind": "qa", "prompt": "?", "answer": "1"})"
      "\n"
      R"({"id": "a", "dataset": "d", "kind": "qa", "prompt": "?", "answer": "1"})");
  write_file_atomically(
      dir_ / "one.jsonl",
      R"({"id": "a", "dataset": "d", "kind": "qa", "prompt": "?", "answer": "1"})");
  write_file_atomically(dir_ / "scorer.py", "def score(answer, task):\n    return answer\n");
  const auto dry_run = [&](const std::vector<std::string>& sets) {
    auto words = command(sets);
    words.push_back("--dry-run");
    const auto run = test::run_program(words);
    EXPECT_EQ(run.exit_code, 2) << run.err;
    return run.err;
  };
  EXPECT_THAT(dry_run({"tasks=" + (dir_ / "twice.jsonl").string()}), HasSubstr("twice.jsonl:2: "));
  EXPECT_THAT(dry_run({"tasks=" + (dir_ / "one.jsonl").string(),
                       "scorer=file:" + (dir_ / "scorer.py").string()}),
              HasSubstr("on the gold answer of task \"a\""));
}

TEST_F(EvaluateProgram, TakesTasksOfSeveralFiles) {
  const std::string builtin = (test::source_dir() / "data/builtin/").string();
  const auto run = test::run_program(
      command({"tasks=[\"" + builtin + "validation.jsonl\",\"" + builtin + "test.jsonl\"]",
               "methods=io", "samples_per_task=1", "max_tasks=2"}));
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(num_rows(), 2);
}

// tests/fixtures/old_run/evaluate: a run of a version without the setting engine.mixed_tokens, and
// with other defaults, which are given here.
TEST(EvaluateOldRun, GoesOnWithTheRowsThatItHas) {
  test::TempDir dir;
  std::filesystem::copy(test::fixture("old_run"), dir.path(),
                        std::filesystem::copy_options::recursive);
  std::filesystem::create_directory_symlink(test::fixture("tiny_llama"), dir / "tiny_llama");
  const std::string before = read_file(dir / "evaluate/results.jsonl");
  std::vector<std::string> words = {
      "/usr/bin/env", "-C", dir.path(), test::program("evaluate"), "--out", "evaluate", "--resume"};
  for (const char* set :
       {"model=tiny_llama", "tasks=tasks.jsonl", "dtype=f32", "samples_per_task=8",
        "max_in_flight=1", "runner.worker.max_tokens=16", "bootstrap.resamples=1000",
        "methods=[\"io\",\"cot\"]", "engine.kv_mb=16"}) {
    words.insert(words.end(), {"--set", set});
  }
  auto other = words;
  other.insert(other.end(), {"--set", "engine.mixed_tokens=7"});
  const auto refused = test::run_program(other);
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, HasSubstr("\"engine.mixed_tokens\" differs"));
  const auto run = test::run_program(words);
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.err, HasSubstr("another version of the program"));
  const std::string after = read_file(dir / "evaluate/results.jsonl");
  EXPECT_TRUE(after.starts_with(before));
  EXPECT_EQ(std::count(after.begin(), after.end(), '\n'), 2 * 2 * 8);
}

/// Answers everything with this status and message.
test::FaultyServer::Answer always(int status, const std::string& message) {
  return [=](int, const std::string&, const Json&, const std::string&) {
    test::Reply reply;
    reply.status = status;
    reply.body = dump_json({{"error", {{"message", message}}}});
    return reply;
  };
}

/// Settings of a worker behind this server.
std::vector<std::string> remote_worker(const test::FaultyServer& server) {
  return {"worker.kind=remote", "worker.remote.base_url=" + server.base_url(),
          "worker.remote.model=w", "worker.remote.max_retries=1",
          "worker.remote.backoff_base_s=0.01"};
}

TEST_F(EvaluateProgram, EveryCallAtHttp503IsAFailedRunWithItsReasons) {
  const test::FaultyServer server(always(503, "no capacity"));
  const auto run = test::run_program(command(remote_worker(server)));
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_THAT(run.err, HasSubstr("nothing was scored of io (6 x worker: "));
  EXPECT_THAT(run.err, HasSubstr("503"));
  const Json report = parse_json(text("report.json"), "report.json");
  EXPECT_TRUE(report["methods"][0]["score"].is_null());
  ASSERT_EQ(report["methods"][0]["reasons"].size(), 1u);
  EXPECT_EQ(report["methods"][0]["reasons"].begin().value(), 6);
}

// The workflow sees an exception and fails: a score of 0 that says nothing about io.
TEST_F(EvaluateProgram, EveryCallRefusedIsAFailedRunToo) {
  const test::FaultyServer server(always(400, "no such model"));
  auto settings = remote_worker(server);
  settings.push_back("methods=[\"io\",\"io_greedy\"]");
  const auto run = test::run_program(command(settings));
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_THAT(run.err, HasSubstr("nothing was scored of io (6 x "));
  EXPECT_THAT(run.err, HasSubstr("io_greedy (6 x "));
  EXPECT_THAT(run.err, HasSubstr("no such model"));
}

TEST_F(EvaluateProgram, ResumesWhereItWasStopped) {
  auto slow = command({"runner.worker.max_tokens=200"});
  {
    test::BackgroundProgram first(slow, dir_ / "log");
    for (int i = 0; i < 600 && num_rows() < 2; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    first.signal(SIGTERM);
    EXPECT_EQ(first.wait(), 143);
  }
  const int64_t before = num_rows();
  ASSERT_GE(before, 2);
  ASSERT_LT(before, 4 * 3 * 2);
  const std::string kept = text("results.jsonl");
  slow.push_back("--resume");
  const auto second = test::run_program(slow);
  ASSERT_EQ(second.exit_code, 0) << second.err;
  EXPECT_EQ(text("results.jsonl").substr(0, kept.size()), kept);
  EXPECT_EQ(num_rows(), 4 * 3 * 2);
}

TEST_F(EvaluateProgram, TwoRunsOfOneSeedLeaveTheSameRowsAndScores) {
  std::set<std::string> results, reports;
  for (const std::vector<std::string>& pace :
       {std::vector<std::string>{"runner.max_concurrent=1", "max_in_flight=1", "sandbox_slots=1"},
        std::vector<std::string>{"runner.max_concurrent=16", "sandbox_slots=2"}}) {
    auto settings = pace;
    settings.push_back("dtype=bf16");
    std::filesystem::remove_all(out());
    const auto run = test::run_program(command(settings));
    ASSERT_EQ(run.exit_code, 0) << run.err;
    std::string rows;
    JsonlReader reader(out() / "results.jsonl");
    for (JsonlLine line; reader.next(line);) {
      line.value.erase("wall_ms");
      rows += dump_json(line.value) + "\n";
    }
    results.insert(rows);
    Json report = parse_json(text("report.json"), "report.json");
    for (Json& method : report["methods"]) method.erase("latency_ms");
    reports.insert(
        dump_json({report["methods"], report["pairs"], report["tasks"], report["clock"]}));
    EXPECT_TRUE(report["clock"]["reasons"].empty()) << report["clock"];
  }
  EXPECT_EQ(results.size(), 1u);
  EXPECT_EQ(reports.size(), 1u);
}

TEST_F(EvaluateProgram, SaysWhyAnotherRunMayDiffer) {
  const auto model = dir_ / "dated";
  std::filesystem::copy(test::fixture("tiny_llama"), model);
  const std::string chat = read_json_file(model / "tokenizer_config.json")["chat_template"];
  std::ofstream(model / "chat_template.jinja") << "{{ strftime_now('%Y') }}" << chat;
  const auto run = test::run_program(command({"methods=[\"io\"]", "model=" + model.string()}));
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const Json reasons = parse_json(text("report.json"), "report.json")["clock"]["reasons"];
  ASSERT_EQ(reasons.size(), 1u);
  EXPECT_THAT(reasons[0].get<std::string>(), HasSubstr("writes the date"));
  EXPECT_THAT(run.err, HasSubstr("another run of the same seed may differ"));
}

TEST_F(EvaluateProgram, LeavesAPageForEachTaskWithTheCallsOfItsRuns) {
  const auto run = test::run_program(command({"methods=io", "samples_per_task=1"}));
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(test::count_lines(out() / "traces.jsonl"), 3);
  EXPECT_THAT(text("report.tex"), HasSubstr("\\bottomrule"));
  const Json report = parse_json(text("report.json"), "report.json");
  ASSERT_EQ(report["task_facts"].size(), 3u);
  for (const Json& facts : report["task_facts"]) {
    const std::string page = text(facts["page"].get<std::string>());
    EXPECT_THAT(page, HasSubstr("1. call_llm"));
    EXPECT_THAT(page, HasSubstr("<h3>Prompt</h3>"));
  }
}

TEST_F(EvaluateProgram, AMethodAddedLaterPaysOnlyForItself) {
  const std::string cache = "cache=" + (dir_ / "cache").string();
  ASSERT_EQ(test::run_program(command({"methods=io", cache})).exit_code, 0);
  const Json first = parse_json(text("report.json"), "report.json");
  EXPECT_EQ(first["cache"]["replies"], 0);
  auto more = command({"methods=[\"io\",\"cot\"]", cache});
  more.push_back("--resume");
  const auto resumed = test::run_program(more);
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_EQ(num_rows(), 2 * 3 * 2);
  auto other = command({"methods=[\"io=cot\",\"cot\"]", cache});
  other.push_back("--resume");
  EXPECT_EQ(test::run_program(other).exit_code, 2);
  EXPECT_EQ(parse_json(text("report.json"), "report.json")["cache"]["replies"], 0);
  std::filesystem::remove_all(out());
  const auto anew = test::run_program(command(
      {"methods=[\"io\",\"m=meta:" + test::fixture("tiny_llama_lora").string() + "\"]", cache}));
  ASSERT_EQ(anew.exit_code, 0) << anew.err;
  const Json second = parse_json(text("report.json"), "report.json");
  EXPECT_EQ(second["cache"]["replies"], first["cache"]["asked"]);
  EXPECT_EQ(second["methods"][0]["tokens_mean"], first["methods"][0]["tokens_mean"]);
  EXPECT_EQ(second["tasks"].size(), 3u);
}

TEST_F(EvaluateProgram, FindsItsTasksInTrainingTexts) {
  const std::string tasks = (test::source_dir() / "data/builtin/test.jsonl").string();
  const auto run = test::run_program(command({"methods=io", "contamination=" + tasks}));
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const Json report = parse_json(text("report.json"), "report.json");
  ASSERT_EQ(report["contamination"].size(), 3u);
  EXPECT_EQ(report["contamination"][0]["share"], 1);
  EXPECT_EQ(report["methods"][0]["uncontaminated"]["n"], 0);
  EXPECT_THAT(run.err, HasSubstr("3 of 3 tasks stand in the training texts"));
}

TEST_F(EvaluateProgram, SetsTwoRunsSideBySide) {
  ASSERT_EQ(test::run_program(command({"methods=io"})).exit_code, 0);
  const std::string other = (dir_ / "other").string();
  ASSERT_EQ(
      test::run_program(command({"methods=[\"io\",\"cot\"]", "seed=7", "out=" + other})).exit_code,
      0);
  const std::string evaluate = test::program("evaluate").string();
  const auto run = test::run_program(
      {evaluate, "--compare", out().string(), other, "--out", (dir_ / "c.json").string()});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("| seed | 0 | 7 |"));
  EXPECT_THAT(run.out, HasSubstr("Only in the second run: cot."));
  EXPECT_EQ(read_json_file(dir_ / "c.json")["methods"][0]["n"], 3);
  EXPECT_EQ(test::run_program({evaluate, "--compare", out().string()}).exit_code, 2);
  const auto gone = test::run_program({evaluate, "--compare", other, (dir_ / "no").string()});
  EXPECT_EQ(gone.exit_code, 2);
  EXPECT_THAT(gone.err, HasSubstr("it has no report.json"));
  const std::vector<std::string> compare = {evaluate, "--compare", out().string(), other};
  const auto beside = [&compare](std::vector<std::string> more) {
    more.insert(more.begin(), compare.begin(), compare.end());
    return test::run_program(more);
  };
  EXPECT_EQ(beside({"--dry-run"}).exit_code, 0);
  EXPECT_THAT(beside({"--resume"}).err, HasSubstr("--resume: expected without --compare"));
  EXPECT_THAT(beside({"--set", "methods=cot"}).err, HasSubstr("methods: expected none beside"));
  EXPECT_THAT(beside({"--tasks", "t.jsonl"}).err, HasSubstr("tasks: expected none beside"));
  write_file_atomically(dir_ / "other" / "report.json", R"({"tasks": 3, "methods": []})");
  const auto broken = beside({"--dry-run"});
  EXPECT_EQ(broken.exit_code, 2);
  EXPECT_THAT(broken.err, HasSubstr("report.json: field \"tasks\": expected an object"));
}

TEST_F(EvaluateProgram, ResumesWithTheSameTasksAndFilesOnly) {
  const std::string tasks = (dir_ / "tasks.jsonl").string(), workflow = (dir_ / "w.py").string();
  std::filesystem::copy_file(test::source_dir() / "data/builtin/test.jsonl", tasks);
  std::ofstream(workflow) << "class Workflow:\n"
                             "    def __init__(self, name, llm_config, dataset):\n"
                             "        self.llm = create_llm_instance(llm_config)\n\n"
                             "    async def __call__(self, problem, entry_point):\n"
                             "        # Step 1: ask\n"
                             "        texts = await self.llm.call_llm(messages=[problem])\n"
                             "        return texts[0], 0.0\n";
  const std::vector<std::string> settings = {"tasks=" + tasks,
                                             "methods=[\"io\",\"mine=workflow:" + workflow + "\"]"};
  ASSERT_EQ(test::run_program(command(settings)).exit_code, 0);
  auto again = command(settings);
  again.push_back("--resume");
  EXPECT_EQ(test::run_program(again).exit_code, 0);
  for (const auto& [file, name] :
       {std::pair{workflow, "methods.mine"}, std::pair{tasks, "tasks"}}) {
    const std::string before = read_file(file);
    std::ofstream(file, std::ios::app) << "\n";
    const auto run = test::run_program(again);
    EXPECT_EQ(run.exit_code, 2) << run.err;
    EXPECT_THAT(run.err, HasSubstr("\"" + std::string(name) + "\" differs"));
    write_file_atomically(file, before);
  }
}

TEST_F(EvaluateProgram, SecondRunInTheSameFolderIsRefused) {
  ASSERT_EQ(test::run_program(command({"methods=[\"io\"]"})).exit_code, 0);
  EXPECT_EQ(test::run_program(command({"methods=[\"io\"]"})).exit_code, 2);
}

TEST_F(EvaluateProgram, UnknownMethodIsExit2AndNamesTheForms) {
  const auto run = test::run_program(command({"methods=[\"best\"]"}));
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_THAT(run.err, HasSubstr("meta:DIR"));
}

TEST_F(EvaluateProgram, MissingCheckpointIsExit2) {
  const auto run = test::run_program(command({"methods=[\"m=meta:/nonexistent/checkpoint\"]"}));
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_THAT(run.err, HasSubstr("/nonexistent/checkpoint"));
  EXPECT_FALSE(std::filesystem::exists(out()));
}

TEST_F(EvaluateProgram, MissingCurveIsFoundBeforeTheFirstRun) {
  const auto run = test::run_program(command({"curves=[\"/nonexistent/metrics.jsonl\"]"}));
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_FALSE(std::filesystem::exists(out()));
}

}  // namespace
}  // namespace weft
