#include "trainer/search/sample_workflows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <map>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "tests/support/scripted_model.h"
#include "tests/support/support.h"
#include "tests/trainer/search/fakes.h"
#include "trainer/search/final_choice.h"
#include "trainer/search/search_report.h"

namespace weft {
namespace {

using test::FakeScorer;

struct Bench {
  Bench() {
    for (const char* id : {"square", "cube", "root", "sum"}) tasks.push_back(test::code_task(id));
    options.search.smc.particles = 3;
    options.search.smc.refined = 2;
    options.search.smc.rounds = 2;
    options.seed = 17;
  }
  Json run(int stop_after = -1) {
    scorer.runs_until_stop = stop_after;
    return run_with(scorer);
  }
  Json run_with(SearchScorer& given) {
    TrajectoryStore store(dir / "store.sqlite");
    const SearchTools tools{generator, given, store,
                            [](const Task& task) { return "Task: " + task.prompt; }, "worker"};
    return sample_workflows(options, tasks, tools, dir.path());
  }
  std::set<std::pair<std::string, std::string>> stored() const {
    std::set<std::pair<std::string, std::string>> all;
    for (const auto& row : TrajectoryStore(dir / "store.sqlite").select()) {
      all.emplace(row.task_id, row.code);
    }
    return all;
  }

  /// Every field of every row but the time of storing.
  std::string content() const {
    std::string all;
    for (const auto& r : TrajectoryStore(dir / "store.sqlite").select()) {
      all += dump_json({r.id, r.parent, r.task_id, r.round, r.kind, r.code, r.reasoning, r.reward,
                        r.outcome, r.usage, r.seed}) +
             "\n";
    }
    return all;
  }

  test::TempDir dir;
  SampleOptions options;
  std::vector<Task> tasks;
  FakeScorer scorer;
  ScriptedGenerator generator;
};

TEST(SampleWorkflows, SearchesEachQueryAndReports) {
  Bench bench;
  const Json report = bench.run();
  EXPECT_EQ(report["searches"], 4);
  EXPECT_EQ(report["counts"]["workflows"], 4 * 2 * (3 + 2));
  EXPECT_EQ(report["targets"].size(), 4u);
  EXPECT_EQ(report["curve"].size(), 2u);
  EXPECT_EQ(report["generator"], "scripted");
  EXPECT_EQ(read_json_file(bench.dir / "report.json"), report);
  std::set<std::string> tasks;
  for (const auto& [task, code] : bench.stored()) tasks.insert(task);
  EXPECT_EQ(tasks.size(), 4u);
}

TEST(SampleWorkflows, DoesNotDependOnTheNumberOfThreads) {
  Bench one, many;
  one.options.concurrent_searches = 1;
  one.run();
  many.run();
  EXPECT_EQ(one.stored(), many.stored());
}

// Rewards of two values only, so that nearly every comparison is a tie; 24 queries at once or one
// at a time, results delivered in other orders: the stores, the reports and the chosen workflow are
// equal to the byte, without a budget and where one of workflows or of calls runs out.
TEST(SampleWorkflows, TheOrderOfArrivalChangesNoByteOfStoreAndReport) {
  for (const BudgetOptions& budget :
       {BudgetOptions{}, BudgetOptions{.workflows = 37}, BudgetOptions{.calls = 60}}) {
    std::set<std::string> stores, reports, best;
    for (const uint64_t seed : {1, 2, 3}) {
      Bench bench;
      for (int i = 0; i < 20; ++i) bench.tasks.push_back(test::code_task(std::to_string(i)));
      bench.options.budget = budget;
      bench.options.final.candidates = 3;
      bench.options.concurrent_searches = seed == 1 && !budget.any() ? 1 : 24;
      test::ShuffledScorer scorer(seed);
      scorer.change = [](const Candidate& candidate, Evaluation e) {
        e.reward.total = e.reward.pass = FakeScorer::reward_of(candidate.code) < 0.5 ? 0.25 : 0.75;
        e.task_rewards.assign(e.task_rewards.size(), e.reward.total);
        return e;
      };
      reports.insert(dump_json(bench.run_with(scorer)));
      stores.insert(bench.content());
      best.insert(read_file(bench.dir / "best_workflow.py"));
    }
    EXPECT_EQ(stores.size(), 1u);
    EXPECT_EQ(reports.size(), 1u);
    EXPECT_EQ(best.size(), 1u);
  }
}

TEST(SampleWorkflows, SharesABudgetEquallyAndThenWhatIsLeftOfIt) {
  Bench bench;
  bench.options.final.candidates = 0;
  bench.options.budget.workflows = 4 * 2 * 5;  // just enough for all four
  EXPECT_EQ(bench.run()["counts"]["workflows"], 40);
  Bench few;
  few.options.final.candidates = 0;
  few.options.budget.workflows = 12;
  few.run();
  std::map<std::string, int> of_task;
  for (const auto& [task, code] : few.stored()) ++of_task[task];
  for (const auto& [task, count] : of_task) EXPECT_LE(count, 3) << task;
}

TEST(SampleWorkflows, LooksAtTheBestAgainOnFreshSeeds) {
  Bench bench;
  bench.options.final.candidates = 2;
  const Json report = bench.run();
  const auto& final = report["final"];
  ASSERT_EQ(final["candidates"].size(), 2u);
  const auto& best = final["candidates"][final["best"].get<size_t>()];
  EXPECT_EQ(best["n"], 4);
  EXPECT_EQ(best["ci_method"], "none") << "four equal rewards say nothing of their spread";
  EXPECT_TRUE(best["ci95"][0].is_null());
  const auto code = read_file(bench.dir / "best_workflow.py");
  EXPECT_EQ(FakeScorer::reward_of(code), best["reward"].get<double>());
  const auto& seeds = bench.scorer.seeds;
  for (size_t i = 0; i + 2 < seeds.size(); ++i) EXPECT_NE(seeds[i], seeds.back());
}

TEST(SampleWorkflows, ScoresOneWorkflowOnManyTasksAtTaskLevel) {
  Bench bench;
  bench.options.scope = SearchScope::kTaskLevel;
  bench.options.reward_tasks = 3;
  const Json report = bench.run();
  EXPECT_EQ(report["searches"], 1);
  for (const auto& [task, code] : bench.stored()) EXPECT_EQ(task, "set:made_up");
}

// The generator of a search for all tasks sees queries of the set, but no name that one of them
// asks for, as if every answer had to define it.
TEST(SampleWorkflows, NamesNoEntryPointOfASingleTaskAtTaskLevel) {
  Bench bench;
  bench.options.scope = SearchScope::kTaskLevel;
  for (auto& task : bench.tasks) task.entry_point = "name_of_" + task.id;
  TrajectoryStore store(bench.dir / "store.sqlite");
  const SearchTools tools{bench.generator, bench.scorer, store,
                          [](const Task& task) { return "Entry point: " + task.entry_point; },
                          "worker"};
  const auto targets = make_targets(bench.options, bench.tasks, tools);
  ASSERT_EQ(targets.size(), 1u);
  EXPECT_EQ(targets[0].task.entry_point, "entry_point");
  EXPECT_EQ(targets[0].prompt, "Entry point: entry_point");
  EXPECT_TRUE(targets[0].task.public_tests.empty());
  EXPECT_TRUE(targets[0].task.val_tests.empty());
}

TEST(SampleWorkflows, StatesItsBudgetBesideWhatItSpent) {
  Bench bench;
  bench.options.budget.workflows = 1000;
  bench.options.budget.tokens = 2000000;
  const Json report = bench.run();
  EXPECT_EQ(report["budget"]["workflows"], 1000);
  EXPECT_EQ(report["budget"]["tokens"], 2000000);
  EXPECT_EQ(report["budget"]["calls"], 0);
  EXPECT_EQ(report["spent"]["workflows"], bench.scorer.codes.size() - 3);
}

TEST(SampleWorkflows, RefusesATaskLevelSearchOverMixedKinds) {
  Bench bench;
  bench.options.scope = SearchScope::kTaskLevel;
  bench.tasks.back().kind = TaskKind::kMath;
  EXPECT_THROW(bench.run(), InputError);
}

TEST(SampleWorkflows, GoesOnWhereItWasStopped) {
  Bench whole, cut;
  whole.run();
  for (int stops = 0; stops < 4; ++stops) EXPECT_THROW(cut.run(5), Interrupted);
  const auto before = cut.stored();
  EXPECT_GE(before.size(), 15u);
  const Json report = cut.run();
  EXPECT_EQ(cut.stored(), whole.stored());
  EXPECT_EQ(cut.scorer.codes.size(), whole.scorer.codes.size());
  EXPECT_EQ(report["counts"], read_json_file(whole.dir / "report.json")["counts"]);
}

TEST(SampleWorkflows, DoesNoWorkTwice) {
  Bench bench;
  const Json first = bench.run();
  const auto runs = bench.scorer.codes.size();
  EXPECT_EQ(bench.run(), first);
  EXPECT_EQ(bench.scorer.codes.size(), runs);
}

TEST(SampleWorkflows, KeepsToItsBudgetAcrossSearches) {
  Bench bench;
  bench.options.budget.workflows = 11;
  bench.options.final.candidates = 0;
  const Json report = bench.run();
  EXPECT_EQ(bench.scorer.codes.size(), 11u);
  EXPECT_TRUE(report["budget_exhausted"].get<bool>());
}

TEST(SampleWorkflows, ThrowsWhenTheGeneratorWroteNothing) {
  Bench bench;
  test::ScriptedModel down([](const test::ScriptedPrompt&) { return std::string(); },
                           [](const test::ScriptedPrompt&) { return ResponseStatus::kFailed; });
  ModelGenerator writer(down, "model:m");
  TrajectoryStore store(bench.dir / "store.sqlite");
  const SearchTools tools{writer, bench.scorer, store, [](const Task& task) { return task.prompt; },
                          "worker"};
  EXPECT_THROW(sample_workflows(bench.options, bench.tasks, tools, bench.dir.path()), Error);
  EXPECT_TRUE(bench.stored().empty());
}

/// The one line with which a search that found nothing ends.
std::string failure_of(Bench& bench) {
  try {
    bench.run();
  } catch (const Error& error) {
    EXPECT_FALSE(std::filesystem::exists(bench.dir / "best_workflow.py"));
    EXPECT_TRUE(std::filesystem::exists(bench.dir / "report.json"));
    return error.what();
  }
  return "no failure";
}

TEST(SampleWorkflows, FailsWithCountedReasonsWhereNoWorkflowIsValid) {
  Bench bench;
  int number = 0;
  bench.scorer.change = [&](const Candidate&, Evaluation evaluation) {
    evaluation.valid = false;
    evaluation.outcome = "workflow_error";
    evaluation.error =
        ++number % 4 == 0 ? "does not parse: x (line 3) (cut at max_tokens)" : "no class Workflow";
    return evaluation;
  };
  bench.options.concurrent_searches = 1;
  const std::string line = failure_of(bench);
  EXPECT_THAT(line, testing::HasSubstr("not one of 40 workflows is valid: "));
  EXPECT_THAT(line, testing::ContainsRegex("[0-9]+ x no class Workflow"));
  EXPECT_THAT(line, testing::ContainsRegex("[0-9]+ x cut at max_tokens"));
  const Json report = read_json_file(bench.dir / "report.json");
  int64_t counted = 0;
  for (const auto& [reason, count] : report["reasons"]["invalid"].items()) {
    counted += count.get<int64_t>();
  }
  EXPECT_EQ(counted, 40);
}

TEST(SampleWorkflows, FailsWhereEveryWorkflowRaised) {
  Bench bench;
  bench.scorer.change = [](const Candidate&, Evaluation evaluation) {
    evaluation.outcome = "workflow_error";
    evaluation.error = "NameError: x";
    return evaluation;
  };
  EXPECT_THAT(failure_of(bench), testing::HasSubstr("40 x NameError: x"));
}

// The worker goes away between the searches and the final choice.
TEST(SampleWorkflows, FailsWhereNoCandidateOfTheFinalChoiceCouldBeScored) {
  Bench bench;
  size_t to_search = 40;
  bench.scorer.change = [&](const Candidate&, Evaluation evaluation) {
    if (to_search > 0) {
      --to_search;
      return evaluation;
    }
    evaluation.outcome = "infrastructure";
    evaluation.error = "HTTP 503";
    evaluation.task_rewards.assign(evaluation.task_rewards.size(), std::nan(""));
    return evaluation;
  };
  bench.options.search.evaluation.cache = false;
  bench.options.concurrent_searches = 1;
  const std::string line = failure_of(bench);
  EXPECT_THAT(line, testing::HasSubstr("of the final choice could be scored: 3 x HTTP 503"));
}

TEST(SampleWorkflows, SaysWhyTheGeneratorWroteNothing) {
  Bench bench;
  test::ScriptedModel down([](const test::ScriptedPrompt&) { return std::string(); },
                           [](const test::ScriptedPrompt&) { return ResponseStatus::kFailed; });
  ModelGenerator writer(down, "model:m");
  TrajectoryStore store(bench.dir / "store.sqlite");
  const SearchTools tools{writer, bench.scorer, store, [](const Task& task) { return task.prompt; },
                          "worker"};
  try {
    sample_workflows(bench.options, bench.tasks, tools, bench.dir.path());
    FAIL() << "took nothing for a result";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("not one workflow was written"));
    EXPECT_THAT(error.what(), testing::HasSubstr("24 x scripted failure"));
  }
}

TEST(SampleWorkflows, RunsNoCandidateOfTheFinalChoiceBeyondItsBudget) {
  Bench bench;
  bench.options.budget.calls = 2 * 40 + 3;  // a run is two calls
  bench.options.search.evaluation.cache = false;
  bench.options.concurrent_searches = 1;
  bench.options.final.candidates = 3;
  const Json report = bench.run();
  EXPECT_EQ(bench.scorer.codes.size(), 42u);
  const auto& candidates = report["final"]["candidates"];
  ASSERT_EQ(candidates.size(), 3u);
  EXPECT_TRUE(candidates[1].contains("reward"));
  EXPECT_FALSE(candidates[2].contains("reward"));
  EXPECT_LT(report["final"]["best"].get<int>(), 2);
}

TEST(SampleWorkflows, CountsEditsThatAreNotOneAndWorkflowsThatNameTheirQuery) {
  Bench bench;
  bench.scorer.extent_of = [](const std::string& before, const std::string& after) {
    if (before == after) return EditExtent{};
    return before.size() % 2 ? EditExtent{1, 1} : EditExtent{2, 2};
  };
  bench.scorer.change = [](const Candidate& candidate, Evaluation evaluation) {
    evaluation.names_query = candidate.parent > 0;
    return evaluation;
  };
  bench.options.search.evaluation.cache = false;
  const Json report = bench.run();
  int edits = 0, larger = 0;
  for (const auto& row : TrajectoryStore(bench.dir / "store.sqlite").select()) {
    if (row.parent == 0) continue;
    ++edits;
    larger += row.usage.at("edit").at("places") == 2;
  }
  EXPECT_EQ(edits, 4 * 2 * 2);
  EXPECT_EQ(report["edits_checked"], edits);
  EXPECT_EQ(report["edits_larger"], larger);
  EXPECT_EQ(report["counts"]["name_their_query"], edits);
}

TEST(OneEdit, IsOnePlaceOfAFewStatements) {
  EXPECT_TRUE(is_one_edit({1, 1}));
  EXPECT_TRUE(is_one_edit({1, 4}));
  EXPECT_FALSE(is_one_edit({1, 5}));
  EXPECT_FALSE(is_one_edit({2, 2}));
  EXPECT_FALSE(is_one_edit({0, 0}));
}

Trajectory row(const std::string& task, const std::string& kind, const std::string& code,
               double reward) {
  Trajectory row;
  row.task_id = task;
  row.kind = kind;
  row.code = code;
  row.reward = reward;
  row.valid = true;
  row.outcome = "scored";
  return row;
}

// Kind "lucky" has the best single row, kind "steady" the better mean over tasks.
TEST(Shortlist, RanksKindsByTheirMeanOverQueries) {
  const std::vector<Trajectory> rows = {
      row("a", "lucky", "l1", 1.0),       row("b", "lucky", "l2", 0.0),
      row("c", "lucky", "l3", 0.0),       row("a", "steady", "s1", 0.8),
      row("b", "steady+role", "s2", 0.9), row("c", "steady", "s3", 0.7)};
  const auto two = shortlist(rows, Objective::kReward, 2);
  ASSERT_EQ(two.size(), 2u);
  EXPECT_EQ(two[0].code, "s2");
  EXPECT_EQ(two[1].code, "l1");
}

TEST(Shortlist, LeavesOutInvalidAndRepeatedCode) {
  std::vector<Trajectory> rows = {row("a", "", "x", 0.9), row("a", "", "x", 0.9),
                                  row("a", "", "y", 0.5), row("a", "", "z", 1.0)};
  rows.back().valid = false;
  const auto few = shortlist(rows, Objective::kReward, 5);
  ASSERT_EQ(few.size(), 2u);
  EXPECT_EQ(few[0].code, "x");
  EXPECT_EQ(few[1].code, "y");
}

// Of the three searches, the second lost its whole first round; in the second round all were lost.
TEST(RewardCurve, LeavesOutSearchesThatScoredNothing) {
  const auto round = [](int number, const Json& reward, int scored, double ess) {
    return Json{{"round", number},  {"reward_mean", reward}, {"reward_best", reward},
                {"scored", scored}, {"dropped", 1},          {"ess", ess}};
  };
  const auto search = [](const Json& rounds) { return Json{{"rounds", rounds}}; };
  Json reports = {{"d", nullptr}};
  reports["a"] = search(Json::array({round(1, 0.4, 2, 3), round(2, nullptr, 0, 0)}));
  reports["b"] = search(Json::array({round(1, nullptr, 0, 0)}));
  reports["c"] = search(Json::array({round(1, 0.8, 1, 3), round(2, 0.0, 0, 0)}));
  const Json curve = reward_curve(reports);
  ASSERT_EQ(curve.size(), 2u);
  EXPECT_EQ(curve[0]["searches"], 3);
  EXPECT_NEAR(curve[0]["reward_mean"].get<double>(), 0.6, 1e-12);
  EXPECT_NEAR(curve[0]["reward_best"].get<double>(), 0.6, 1e-12);
  EXPECT_NEAR(curve[0]["ess"].get<double>(), 2, 1e-12);
  EXPECT_TRUE(curve[1]["reward_mean"].is_null());
  EXPECT_EQ(curve[1]["ess"], 0);
}

}  // namespace
}  // namespace weft
