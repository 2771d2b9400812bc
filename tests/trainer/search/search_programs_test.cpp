#include "trainer/search/search_programs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"
#include "tests/support/config_sizes.h"
#include "tests/support/scripted_model.h"
#include "tests/support/support.h"
#include "workflow/scripted_teacher.h"

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

TEST(SampleWorkflowsProgram, AddsAUsersOwnTermToEveryReward) {
  Bench bench;
  const fs::path file = bench.dir / "mine.py";
  write_file_atomically(file,
                        "def reward(workflow, outcome, task):\n"
                        "    return 7 if task['id'] == 't1' else -outcome['calls']\n");
  Json json = kSmallSearch;
  json["reward"] = {{"file", file.string()}, {"file_weight", 2}};
  const Json first = bench.search(json);
  size_t num_run = 0;
  for (const auto& row : bench.rows()) {
    if (row.usage.contains("cached")) continue;
    ++num_run;
    const double own = row.task_id == "t1" ? 7 : -row.usage["calls"].get<double>();
    EXPECT_EQ(row.usage["reward_file"], own) << row.usage.dump();
    EXPECT_NEAR(row.reward, row.pass_rate - 0.1 * row.complexity + 0.1 * row.diversity + 2 * own,
                1e-12);
  }
  EXPECT_GT(num_run, 4u);
  EXPECT_EQ(bench.search(json, true), first);
  write_file_atomically(file, "def reward(workflow, outcome, task):\n    return 1\n");
  EXPECT_THAT(test::input_error([&] { bench.search(json, true); }),
              testing::HasSubstr("\"reward\" differs"));
}

TEST(SampleWorkflowsProgram, GoesOnWithItsOwnScorerAlone) {
  Bench bench;
  const fs::path file = bench.dir / "mine.py";
  write_file_atomically(file, "def score(answer, task):\n    return True\n");
  Json json = kSmallSearch;
  json["scorer"] = "file:" + file.string();
  bench.search(json);
  write_file_atomically(file, "def score(answer, task):\n    return False\n");
  EXPECT_THAT(test::input_error([&] { bench.search(json, /*resume=*/true); }),
              testing::HasSubstr("\"scorer\" differs"));
}

// A run as a version left it that compared the texts of answers and named no rules.
TEST(SampleWorkflowsProgram, RefusesToGoOnUnderOtherRulesOfAnswers) {
  Bench bench;
  write_file_atomically(bench.dir / "tasks.jsonl",
                        R"({"id":"m","dataset":"gsm8k","kind":"math","prompt":"?","answer":"4"})");
  bench.search(kSmallSearch);
  const fs::path path = bench.dir / "run" / "inputs.json";
  Json inputs = read_json_file(path);
  ASSERT_TRUE(inputs["inputs"].contains("answer_rules"));
  bench.search(kSmallSearch, true);
  inputs["inputs"].erase("answer_rules");
  write_file_atomically(path, dump_json(inputs));
  const std::string refused = test::input_error([&] { bench.search(kSmallSearch, true); });
  EXPECT_THAT(refused,
              testing::HasSubstr("\"answer_rules\" differs from the run's: expected none"));
  EXPECT_THAT(refused, testing::HasSubstr("--set 'resume.allow=[\"answer_rules\"]' takes it"));
  Json allowed = kSmallSearch;
  allowed["resume"]["allow"] = {"answer_rules"};
  EXPECT_NO_THROW(bench.search(allowed, true));
}

TEST(SampleWorkflowsProgram, PaysForNothingUnderARewardThatFails) {
  Bench bench;
  const fs::path file = bench.dir / "mine.py";
  write_file_atomically(file, "def reward(workflow, outcome, task):\n    return 1 / 0\n");
  Json json = kSmallSearch;
  json["reward"] = {{"file", file.string()}};
  EXPECT_THAT(test::input_error([&] { bench.search(json); }),
              testing::HasSubstr("ERROR(ZeroDivisionError)"));
  EXPECT_TRUE(bench.worker.requests().empty());
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

// All runs of a round are under way at once; each call of them may take some 2,000 tokens.
TEST(SampleWorkflowsProgram, NeverSpendsMoreThanItsBudget) {
  for (const auto& [key, most] : {std::pair("tokens", 9000), std::pair("calls", 7)}) {
    for (const char* method : {"bayesflow", "random"}) {
      Bench bench;
      Json json = kSmallSearch;
      json["scope"] = "task_level";
      json["search"]["method"] = method;
      json["budget"] = {{key, most}};
      try {
        bench.search(json);
      } catch (const Error& error) {  // workflows at a time may leave none of them enough
        EXPECT_THAT(error.what(), testing::HasSubstr("the shared budget is spent"));
      }
      const Json report = read_json_file(bench.dir / "run" / "report.json");
      const Json& spent = report["spent"];
      const int64_t tokens =
          spent["prompt_tokens"].get<int64_t>() + spent["completion_tokens"].get<int64_t>();
      const int64_t used =
          key == std::string("tokens") ? tokens : spent["worker_calls"].get<int64_t>();
      EXPECT_LE(used, most) << method << " " << key;
      EXPECT_GT(used, 0) << method << " " << key;
      EXPECT_EQ(spent["worker_calls"], bench.worker.requests().size());
      for (const auto& row : bench.rows()) {
        EXPECT_EQ(row.pass_rate, has_reward(row) ? 0.5 : 0) << method << row.usage.dump();
      }
    }
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

TEST(SampleWorkflowsProgram, RefusesATestThatCannotBeJudged) {
  Bench bench;
  std::string tasks = kTasks;
  tasks.replace(tasks.find("\"expected\":6"), 12, "\"expceted\":6");
  write_file_atomically(bench.dir / "tasks.jsonl", tasks);
  try {
    bench.search(kSmallSearch);
    FAIL() << "accepted";
  } catch (const InputError& error) {
    EXPECT_THAT(
        error.what(),
        testing::HasSubstr("tasks.jsonl: task \"t1\": val test 0: unknown key \"expceted\""));
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

/// A generator whose every workflow is the single call of the reply; keeps what it was asked.
const char* const kWritten =
    "One call.\n```python\nclass Workflow:\n    def __init__(self, name, llm_config, dataset):\n"
    "        self.llm = create_llm_instance(llm_config)\n\n"
    "    async def __call__(self, problem, entry_point):\n        # Step 1: answer\n"
    "        code = (await self.llm.call_llm([problem], 0.0, 1, \"programmer\", \"Write f.\"))[0]\n"
    "        return code, self.llm.get_usage_summary()[\"total_cost\"]\n```";

std::vector<std::string> edit_prompts(const ScriptedModel& model) {
  std::vector<std::string> prompts;
  for (const auto& request : model.requests()) {
    const auto& text = std::get<std::vector<ChatMessage>>(request.prompt).back().content;
    if (text.find("exactly ONE") != std::string::npos) prompts.push_back(text);
  }
  return prompts;
}

// t2's worker fails f(1) == 1 of the public tests and f(3) == 27 of the val tests.
TEST(SampleWorkflowsProgram, ShowsEveryRefinerTheFailedPublicTestsAndNoOthers) {
  for (const char* method : {"bayesflow", "aflow"}) {
    for (const char* scope : {"per_query", "task_level"}) {
      Bench bench;
      Json json = kSmallSearch;
      json["scope"] = scope;
      json["generator"]["kind"] = "model";
      json["search"]["method"] = method;
      json["search"]["aflow"] = {{"rounds", 2}};
      ScriptedModel generator(kWritten);
      const auto config = bench.config<SampleWorkflowsConfig>(json);
      const Json report =
          run_sample_workflows(config, {false, config_to_json(config)}, &generator, bench.worker);
      size_t num_told = 0;
      for (const auto& prompt : edit_prompts(generator)) {
        EXPECT_EQ(prompt.find("27"), std::string::npos) << prompt;
        if (prompt.find("Task: Write a function f(x) that returns the double") == 0) continue;
        EXPECT_THAT(prompt, testing::HasSubstr("validation tests"));
        EXPECT_THAT(prompt, testing::HasSubstr("WRONG, got None"));
        ++num_told;
      }
      EXPECT_GT(num_told, 0u) << method << scope;
      EXPECT_GT(report["edits_checked"].get<int>(), 0);
      EXPECT_GT(report["counts"]["name_their_query"].get<int>(), 0) << "\"Write f.\" names f";
    }
  }
}

TEST(SampleWorkflowsProgram, WritesWhatItsNumbersAre) {
  Bench bench;
  Json json = kSmallSearch;
  json["reward"] = {{"w_complexity", 0.2}};
  const Json report = bench.search(json);
  EXPECT_EQ(report["objective"], "reward");
  EXPECT_THAT(report["reward"].get<std::string>(),
              testing::HasSubstr("1 P - 0.2 C + 0.1 D in [-0.2, 1.1]"));
}

// The grammar's edits, judged by the ASTs as a model's are.
TEST(SampleWorkflowsProgram, EveryEditOfTheScriptedTeacherIsOne) {
  Sandbox sandbox;
  PythonAnalyser analyser(sandbox);
  const ScriptedTeacher teacher;
  Rng rng(12);
  for (int i = 0; i < 120; ++i) {
    Task task;
    task.kind = i % 4 == 0 ? TaskKind::kMath : TaskKind::kCode;
    task.entry_point = i % 4 == 0 ? "" : "f";
    const Draft parent = teacher.draft(task, rng), child = teacher.refine(task, parent, rng);
    const auto extent = analyser.compare(parent.code, child.code);
    ASSERT_TRUE(extent);
    EXPECT_TRUE(is_one_edit(*extent)) << child.kind << ": " << extent->places << " places, "
                                      << extent->statements << " statements\n"
                                      << parent.code << child.code;
  }
}

TEST(SampleWorkflowsProgram, FailsWhereAModelWritesNoWorkflow) {
  Bench bench;
  ScriptedModel generator("I would rather not.");
  Json json = kSmallSearch;
  json["generator"]["kind"] = "model";
  const auto config = bench.config<SampleWorkflowsConfig>(json);
  try {
    run_sample_workflows(config, {false, config_to_json(config)}, &generator, bench.worker);
    FAIL() << "took nothing for a result";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::ContainsRegex("not one of [0-9]+ workflows is valid: "
                                                     "[0-9]+ x no ```python block"));
  }
  EXPECT_FALSE(fs::exists(bench.dir / "run" / "best_workflow.py"));
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

TEST(CollectTracesProgram, ExportsItsTracesAndAnyStoreInAnotherForm) {
  Bench bench;
  const auto collect = bench.config<CollectTracesConfig>({{"rounds", 2}});
  const Json report =
      run_collect_traces(collect, {false, config_to_json(collect)}, nullptr, bench.worker);
  EXPECT_EQ(report["export"]["traces"], 2);
  EXPECT_EQ(read_json_file(bench.dir / "run" / "report.json"), report);
  ASSERT_EQ(test::count_lines(bench.dir / "run" / "traces.jsonl"), 2);

  // A finished run goes on to another filter without a further round.
  const auto solved =
      bench.config<CollectTracesConfig>({{"rounds", 2}, {"filter", {{"solved", true}}}});
  const Json again =
      run_collect_traces(solved, {true, config_to_json(solved)}, nullptr, bench.worker);
  EXPECT_EQ(again["export"]["traces"], 1);
  EXPECT_EQ(again["export"]["dropped"]["unsolved"], 1);
  EXPECT_EQ(again["spent"], report["spent"]);

  Json json = {{"from", (bench.dir / "run" / "store.sqlite").string()},
               {"export", {{"form", "sharegpt"}}}};
  auto from = bench.config<CollectTracesConfig>(json);
  from.out = (bench.dir / "export").string();
  EXPECT_FALSE(from.needs_worker());
  const Json exported = run_export_traces(from, {false, config_to_json(from)});
  EXPECT_EQ(exported["export"]["traces"], 2);
  EXPECT_EQ(exported["from"], json["from"]);
  EXPECT_EQ(test::count_lines(bench.dir / "export" / "traces.jsonl"), 2);
  EXPECT_FALSE(fs::exists(bench.dir / "export" / "store.sqlite"));
}

// datasets is what TRL and LLaMA-Factory read files with.
TEST(CollectTracesProgram, DatasetsReadsEveryFormOfItsExports) {
  if (test::test_packages("datasets").empty()) {
    GTEST_SKIP()
        << "no .venv-test with the package datasets; scripts/bootstrap.sh --tests makes it";
  }
  Bench bench;
  const auto collect = bench.config<CollectTracesConfig>({{"rounds", 1}});
  run_collect_traces(collect, {false, config_to_json(collect)}, nullptr, bench.worker);
  const std::string store = (bench.dir / "run" / "store.sqlite").string();
  const std::pair<const char*, const char*> forms[] = {
      {"messages", "think"},          {"messages", "field"}, {"prompt_completion", "text"},
      {"prompt_completion", "field"}, {"sharegpt", "think"}, {"sharegpt", "text"}};
  std::vector<std::string> command = {
      (test::source_dir() / ".venv-test/bin/python").string(),
      (test::source_dir() / "tests/trainer/search/load_traces.py").string(), "2"};
  for (const auto& [form, reasoning] : forms) {
    auto config = bench.config<CollectTracesConfig>(
        {{"from", store}, {"export", {{"form", form}, {"reasoning", reasoning}}}});
    config.out = (bench.dir / (std::string(form) + "-" + reasoning)).string();
    run_export_traces(config, {false, config_to_json(config)});
    command.insert(command.end(), {config.out, form, reasoning});
  }
  const auto run = test::run_program(command);
  EXPECT_EQ(run.exit_code, 0) << run.out << run.err;
}

TEST(SearchPrograms, EverySizeOfTheirConfigsIsBounded) {
  test::expect_bounded_sizes<SampleWorkflowsConfig>(
      Json::object(),
      {"concurrent_searches", "final.repeats", "generator.max_tokens", "runner.max_concurrent",
       "sandbox_slots", "search.smc.particles", "search.smc.refined", "search.smc.completions",
       "search.smc.refiner_candidates", "search.random.batch", "search.evaluation.repeats"});
  test::expect_bounded_sizes<CollectTracesConfig>(
      Json::object(), {"concurrent_queries", "traces_per_task", "teacher.max_tokens"});
}

}  // namespace
}  // namespace weft
