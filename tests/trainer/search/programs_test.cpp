#include "trainer/search/programs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"
#include "tests/support/scripted_model.h"
#include "tests/support/support.h"

namespace weft {
namespace {

using test::ScriptedModel;
using test::ScriptedPrompt;

// A worker that knows one task and not the other, behind the real sandbox.
std::string answer_of(const ScriptedPrompt& prompt) {
  const bool knows = prompt.user.find("double") != std::string::npos;
  return knows ? "```python\ndef f(x):\n    return 2 * x\n```"
               : "```python\ndef f(x):\n    return None\n```";
}

constexpr const char* kTasks =
    R"({"id":"t1","dataset":"made_up","kind":"code","prompt":"Write a function f(x) that returns the double of x.","entry_point":"f","tests":{"public":[{"args":[1],"expected":2}],"val":[{"args":[3],"expected":6}]}}
{"id":"t2","dataset":"made_up","kind":"code","prompt":"Write a function f(x) that returns the cube of x.","entry_point":"f","tests":{"public":[{"args":[1],"expected":1}],"val":[{"args":[3],"expected":27}]}}
)";

struct Bench {
  Bench() { write_file_atomically(dir / "tasks.jsonl", kTasks); }

  template <class Config>
  Config config(Json json) const {
    json["tasks"] = (dir / "tasks.jsonl").string();
    json["out"] = (dir / "run").string();
    return load_config<Config>(json);
  }
  Json search(Json json, bool resume = false) {
    const auto config = this->config<SampleWorkflowsConfig>(std::move(json));
    return run_sample_workflows(config, {resume, config_to_json(config)}, nullptr, worker);
  }
  std::vector<Trajectory> rows() const {
    return TrajectoryStore(dir / "run" / "store.sqlite").select();
  }

  test::TempDir dir;
  ScriptedModel worker{answer_of};
};

const Json kSmallSearch = {{"search", {{"smc", {{"particles", 3}, {"refined", 1}, {"rounds", 2}}}}},
                           {"final", {{"candidates", 2}, {"repeats", 1}}}};

TEST(SampleWorkflowsProgram, ResumesWithTheSameTasksOnlyUnlessToldOtherwise) {
  Bench bench;
  const Json first = bench.search(kSmallSearch);
  EXPECT_EQ(bench.search(kSmallSearch, /*resume=*/true), first);
  std::string edited = kTasks;
  edited.replace(edited.find("\"expected\":6"), 12, "\"expected\":7");
  write_file_atomically(bench.dir / "tasks.jsonl", edited);
  try {
    bench.search(kSmallSearch, true);
    FAIL() << "taken";
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("\"tasks\" differs"));
  }
  Json allowed = kSmallSearch;
  allowed["resume"]["allow"] = {"tasks"};
  EXPECT_EQ(bench.search(allowed, true), first);
}

TEST(SampleWorkflowsProgram, ExecutesEveryWorkflowInTheSandbox) {
  Bench bench;
  const Json report = bench.search(kSmallSearch);
  const auto rows = bench.rows();
  ASSERT_EQ(rows.size(), 16u);
  for (const auto& row : rows) {
    EXPECT_TRUE(row.valid) << row.usage.dump();
    EXPECT_EQ(row.outcome, "scored") << row.usage.dump();
    EXPECT_EQ(row.pass_rate, row.task_id == "t1" ? 1.0 : 0.0) << row.code;
    EXPECT_GT(row.complexity + row.diversity, 0);
  }
  EXPECT_EQ(report["counts"]["infra_errors"], 0);
  EXPECT_GT(report["spent"]["worker_calls"].get<int>(), 0);
  EXPECT_TRUE(fs::exists(bench.dir / "run" / "best_workflow.py"));
  EXPECT_TRUE(fs::exists(bench.dir / "run" / "report.json"));
}

TEST(SampleWorkflowsProgram, SearchesAtTaskLevelWithEveryMethod) {
  for (const char* method : {"bayesflow", "aflow", "adas", "random"}) {
    Bench bench;
    Json json = kSmallSearch;
    json["scope"] = "task_level";
    json["search"]["method"] = method;
    json["search"]["aflow"] = {{"rounds", 2}};
    json["search"]["adas"] = {{"generations", 1}};
    json["search"]["random"] = {{"workflows", 3}};
    const Json report = bench.search(json);
    for (const auto& row : bench.rows())
      EXPECT_EQ(row.pass_rate, 0.5) << method << row.usage.dump();
    EXPECT_EQ(report["final"]["candidates"][0]["n"], 2) << method;
  }
}

TEST(SampleWorkflowsProgram, TakesAFailingWorkerForNoReward) {
  Bench bench;
  ScriptedModel down([](const ScriptedPrompt&) { return std::string(); },
                     [](const ScriptedPrompt&) { return ResponseStatus::kFailed; });
  const auto config = bench.config<SampleWorkflowsConfig>(kSmallSearch);
  const ProgramArgs args{false, config_to_json(config)};
  EXPECT_THROW(run_sample_workflows(config, args, nullptr, down), Error);
  for (const auto& row : bench.rows()) EXPECT_EQ(row.outcome, "infrastructure");
  EXPECT_GT(read_json_file(bench.dir / "run" / "report.json")["counts"]["dropped"].get<int>(), 0);
  EXPECT_FALSE(fs::exists(bench.dir / "run" / "best_workflow.py"));
  const Json report = bench.search(kSmallSearch, true);
  EXPECT_EQ(report["counts"]["dropped"], 0) << "once the worker is back, the search starts anew";
  EXPECT_EQ(bench.rows().size(), 16u + report["counts"]["infra_errors"].get<size_t>());
}

TEST(SampleWorkflowsProgram, RefusesAUsedFolderWithoutResume) {
  Bench bench;
  bench.search(kSmallSearch);
  EXPECT_THROW(bench.search(kSmallSearch), InputError);
  const auto before = bench.rows().size();
  bench.search(kSmallSearch, true);
  EXPECT_EQ(bench.rows().size(), before);
}

TEST(SampleWorkflowsProgram, RefusesATaskThatCanGiveNoReward) {
  Bench bench;
  write_file_atomically(bench.dir / "tasks.jsonl",
                        R"({"id":"t3","dataset":"made_up","kind":"code","prompt":"?",)"
                        R"("entry_point":"f","tests":{"public":[{"args":[1],"expected":2}]}})");
  try {
    bench.search(kSmallSearch);
    FAIL() << "accepted";
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("tasks.jsonl: task \"t3\" has no val tests"));
  }
  EXPECT_FALSE(fs::exists(bench.dir / "run"));
}

// A worker that writes the right program, a search whose workflows test it with exec_code.
TEST(SampleWorkflowsProgram, SearchesForATaskOfAProgram) {
  Bench bench;
  write_file_atomically(bench.dir / "tasks.jsonl",
                        R"({"id":"t4","dataset":"made_up","kind":"code","prompt":"Print the double)"
                        R"( of the number read.","tests":{"public":[{"input":"1","output":"2"}],)"
                        R"("val":[{"input":"3","output":"6"}]}})");
  ScriptedModel worker("```python\nprint(2 * int(input()))\n```");
  const auto config = bench.config<SampleWorkflowsConfig>(kSmallSearch);
  run_sample_workflows(config, {false, config_to_json(config)}, nullptr, worker);
  int execs = 0;
  for (const auto& row : bench.rows()) {
    EXPECT_EQ(row.outcome, "scored") << row.usage.dump();
    EXPECT_EQ(row.pass_rate, 1.0) << row.code;
    execs += row.usage.value("execs", 0);
  }
  EXPECT_GT(execs, 0);
}

TEST(SampleWorkflowsProgram, NeedsAModelWhereOneIsToWrite) {
  Bench bench;
  EXPECT_THROW(bench.search({{"generator", {{"kind", "model"}}}}), InputError);
}

TEST(CollectTracesProgram, FeedsBackWhatThePublicTestsShowed) {
  Bench bench;
  const auto config = bench.config<CollectTracesConfig>({{"rounds", 2}});
  const Json report =
      run_collect_traces(config, {false, config_to_json(config)}, nullptr, bench.worker);
  EXPECT_EQ(report["traces"], 2);
  std::string feedback;
  for (const auto& row : bench.rows()) {
    if (row.task_id == "t2" && row.round == 1 && row.origin == "scripted/round") {
      feedback = row.usage.value("feedback", "");
    }
  }
  EXPECT_THAT(feedback, testing::HasSubstr("passed 0 %"));
  EXPECT_THAT(feedback, testing::HasSubstr("WRONG, got None"));
}

}  // namespace
}  // namespace weft
