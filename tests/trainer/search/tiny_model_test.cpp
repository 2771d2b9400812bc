// sample_workflows and collect_traces as programs on the tiny model of tests/fixtures, real engine
// and real sandbox. An untrained worker solves nothing: what is tested is the line.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <set>

#include "base/file.h"
#include "base/json.h"
#include "data/trajectory_store.h"
#include "tests/support/support.h"

namespace weft {
namespace {

using Words = std::vector<std::string>;

class SearchOnTinyModel : public testing::Test {
 protected:
  Words command(const std::string& program, Words sets = {}) const {
    Words words = {test::program(program), "--out", dir_ / "run"};
    sets.insert(sets.end(),
                {"model=" + test::fixture("tiny_llama").string(), "dtype=f32", "engine.kv_mb=16",
                 "tasks=" + (test::source_dir() / "data/builtin/train.jsonl").string(),
                 "max_tasks=2", "runner.worker.max_tokens=8", "sandbox_slots=1"});
    for (const auto& set : sets) words.insert(words.end(), {"--set", set});
    return words;
  }
  std::vector<Trajectory> rows() const {
    return TrajectoryStore(dir_ / "run" / "store.sqlite").select();
  }

  /// True when this process has stored a few workflows: its write-ahead log has grown.
  bool has_stored() const {
    std::error_code error;
    const auto size = fs::file_size(dir_ / "run" / "store.sqlite-wal", error);
    return !error && size > 40000;
  }

  test::TempDir dir_;
};

TEST_F(SearchOnTinyModel, DryRunNamesEverythingThatKeepsARunFromStarting) {
  for (const auto& [program, writer] :
       {std::pair{"sample_workflows", "generator"}, std::pair{"collect_traces", "teacher"}}) {
    const std::string of = writer;
    Words words = command(program);
    for (const std::string& set :
         {std::string("tasks=nowhere.jsonl"), std::string("model=no/model"), of + ".kind=model",
          of + "_model.kind=remote", of + "_model.remote.api_key_env=WEFT_TEST_NO_SUCH_KEY"}) {
      words.insert(words.end(), {"--set", set});
    }
    words.push_back("--dry-run");
    const auto run = test::run_program(words);
    EXPECT_EQ(run.exit_code, 2);
    for (const std::string& problem :
         {std::string("tasks: expected a file, got nowhere.jsonl"),
          std::string("model: expected a model folder, got no/model"),
          of + "_model.remote.api_key_env: expected the environment variable"}) {
      EXPECT_THAT(run.err, testing::HasSubstr(problem));
    }
    Words fine = command(program);
    fine.push_back("--dry-run");
    EXPECT_EQ(test::run_program(fine).exit_code, 0);
    EXPECT_FALSE(fs::exists(dir_ / "run"));
  }
}

TEST_F(SearchOnTinyModel, DryRunReadsTasksAndTriesAUsersFiles) {
  write_file_atomically(dir_ / "bad.jsonl", R"({"id": "a", "dataset": "d", "kind": "qa"})");
  write_file_atomically(dir_ / "tools.py", "def search(query)\n    return query\n");
  write_file_atomically(dir_ / "reward.py",
                        "def reward(workflow, outcome, task):\n    return float('nan')\n");
  const std::pair<const char*, const char*> problems[] = {{"tasks=bad.jsonl", "bad.jsonl:1: "},
                                                          {"tools.file=tools.py", "tools.file: "},
                                                          {"reward.file=reward.py", "nan"}};
  for (const auto& [set, said] : problems) {
    const std::string text = set;
    const size_t equals = text.find('=') + 1;
    Words words = command("sample_workflows", {});
    words.insert(words.end(), {"--dry-run", "--set",
                               text.substr(0, equals) + (dir_ / text.substr(equals)).string()});
    const auto run = test::run_program(words);
    EXPECT_EQ(run.exit_code, 2) << set;
    EXPECT_THAT(run.err, testing::HasSubstr(said)) << set;
  }
}

TEST_F(SearchOnTinyModel, SampleWorkflowsLeavesWhatContractsPromise) {
  const auto run = test::run_program(
      command("sample_workflows", {"search.smc.particles=2", "search.smc.refined=1",
                                   "search.smc.rounds=2", "final.repeats=1"}));
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(run.out, "");
  ASSERT_EQ(rows().size(), 12u);  // 2 queries, 2 rounds of 2 particles and 1 refinement
  for (const auto& row : rows()) {
    EXPECT_EQ(row.origin, "scripted");
    EXPECT_TRUE(row.valid);
    EXPECT_NE(row.outcome, "infrastructure") << row.usage;
  }
  const Json report = read_json_file(dir_ / "run" / "report.json");
  EXPECT_EQ(report["counts"]["workflows"], 12);
  EXPECT_GT(report["spent"]["worker_calls"].get<int>(), 0);
  EXPECT_THAT(read_file(dir_ / "run" / "best_workflow.py"), testing::HasSubstr("class Workflow"));
  EXPECT_GT(read_json_file(dir_ / "run" / "usage.json")["decoded_tokens"].get<int64_t>(), 0);
  EXPECT_FALSE(read_file(dir_ / "run" / "log.txt").empty());
}

TEST_F(SearchOnTinyModel, CollectTracesLeavesWhatContractsPromise) {
  const auto run = test::run_program(command("collect_traces", {"rounds=2"}));
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const Json report = read_json_file(dir_ / "run" / "report.json");
  EXPECT_EQ(report["traces"], 2);
  EXPECT_EQ(report["teacher"], "scripted");
  int64_t traces = 0;
  for (const auto& row : rows()) traces += row.origin == "scripted";
  EXPECT_EQ(traces, 2);
  EXPECT_EQ(rows().size(), 6u);  // and two rounds of each
  EXPECT_GT(read_json_file(dir_ / "run" / "usage.json")["decoded_tokens"].get<int64_t>(), 0);
}

TEST_F(SearchOnTinyModel, UsageCountsEveryProcessOfARun) {
  const Words sets = {"search.smc.particles=2", "search.smc.refined=1", "search.smc.rounds=2",
                      "final.repeats=1"};
  const auto decoded = [&] {
    return read_json_file(dir_ / "run" / "usage.json")["decoded_tokens"].get<int64_t>();
  };
  ASSERT_EQ(test::run_program(command("sample_workflows", sets)).exit_code, 0);
  const int64_t whole = decoded();
  fs::remove_all(dir_ / "run");

  int64_t before = 0;
  for (int i = 0; i < 2; ++i) {
    Words words = command("sample_workflows", sets);
    if (i > 0) words.push_back("--resume");
    test::BackgroundProgram program(words, dir_ / "log");
    test::wait_until([&] { return !program.running() || has_stored(); });
    program.signal(SIGTERM);
    ASSERT_EQ(program.wait(), 143) << read_file(dir_ / "log");
    EXPECT_GT(decoded(), before);
    before = decoded();
  }
  Words last = command("sample_workflows", sets);
  last.push_back("--resume");
  ASSERT_EQ(test::run_program(last).exit_code, 0);
  EXPECT_GT(decoded(), before);
  EXPECT_GE(decoded(), whole) << "what was cut short is done again, never less";
}

// One search and one workflow at a time, or all of them at once.
TEST_F(SearchOnTinyModel, TwoRunsOfOneSeedLeaveTheSameBytes) {
  std::set<std::string> stores, reports, best;
  for (const Words& pace :
       {Words{"concurrent_searches=1", "runner.max_concurrent=1", "sandbox_slots=1"},
        Words{"concurrent_searches=8", "runner.max_concurrent=32", "sandbox_slots=2"}}) {
    fs::remove_all(dir_ / "run");
    Words words = command("sample_workflows", {"search.smc.particles=3", "search.smc.refined=1",
                                               "search.smc.rounds=2", "final.repeats=1"});
    for (const auto& set : pace) words.insert(words.end(), {"--set", set});
    words.insert(words.end(), {"--set", "max_tasks=6", "--set", "dtype=bf16"});
    const auto run = test::run_program(words);
    ASSERT_EQ(run.exit_code, 0) << run.err;
    std::string content;
    for (const auto& row : rows()) {
      content += dump_json({row.id, row.parent, row.task_id, row.code, row.reward, row.outcome,
                            row.usage, row.round}) +
                 "\n";
    }
    stores.insert(content);
    reports.insert(read_file(dir_ / "run" / "report.json"));
    best.insert(read_file(dir_ / "run" / "best_workflow.py"));
  }
  EXPECT_EQ(stores.size(), 1u);
  EXPECT_EQ(reports.size(), 1u);
  EXPECT_EQ(best.size(), 1u);
}

// The tiny model's context holds no teacher's prompt.
TEST_F(SearchOnTinyModel, CollectTracesFailsWhereTheTeacherRefusesEveryQuery) {
  const auto run = test::run_program(command("collect_traces", {"teacher.kind=model"}));
  EXPECT_EQ(run.exit_code, 1) << run.err;
  EXPECT_THAT(run.err, testing::HasSubstr("not one trace was collected"));
  EXPECT_TRUE(rows().empty());
}

}  // namespace
}  // namespace weft
