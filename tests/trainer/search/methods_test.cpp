#include "trainer/search/methods.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "tests/trainer/search/search_bench.h"
#include "workflow/baselines.h"

namespace weft {
namespace {

using test::bayesflow;
using test::FakeScorer;
using test::of_kind;
using test::SearchBench;

using Sample = std::tuple<int, std::string, std::string, double>;

std::vector<Sample> samples(const std::vector<Trajectory>& rows) {
  std::vector<Sample> all;
  for (const auto& row : rows) all.emplace_back(row.round, row.code, row.kind, row.reward);
  return all;
}

TEST(BayesflowSearch, StoresEveryWorkflowOfEveryRound) {
  SearchBench bench(bayesflow(4, 3, 3));
  const Json report = bench.run();
  const auto rows = bench.rows();
  ASSERT_EQ(rows.size(), 3u * (4 + 3));
  int refined = 0;
  for (const auto& row : rows) {
    EXPECT_EQ(row.task_id, "square");
    EXPECT_EQ(row.origin, "scripted");
    EXPECT_EQ(row.prompt, "the prompt");
    EXPECT_EQ(row.model_version, "worker");
    EXPECT_TRUE(row.valid);
    EXPECT_FALSE(row.reasoning.empty());
    refined += row.parent > 0;
  }
  EXPECT_EQ(refined, 9);
  EXPECT_EQ(report["rounds"].size(), 3u);
  EXPECT_GT(report["rounds"][0]["ess"].get<double>(), 1);
  EXPECT_LE(report["rounds"][0]["ess"].get<double>(), 7);
}

TEST(BayesflowSearch, AnswersWithTheBestOfTheGlobalPool) {
  SearchBench bench(bayesflow(5, 2, 3));
  const Json report = bench.run();
  double best = 0;
  for (const auto& row : bench.rows()) best = std::max(best, row.reward);
  EXPECT_EQ(report["best_reward"].get<double>(), best);
}

TEST(BayesflowSearch, CompletionsOpenWithAResampledPrefix) {
  SearchBench bench(bayesflow(3, 0, 2));
  bench.run();
  std::vector<std::string> first, second;
  for (const auto& row : bench.rows()) {
    (row.round == 1 ? first : second).push_back(split_steps(row.code).front());
  }
  for (const auto& step : second) EXPECT_THAT(first, testing::Contains(step));
}

/// Fails when it is asked for more of a prefix that is whole.
class WatchfulGenerator : public ScriptedGenerator {
 public:
  explicit WatchfulGenerator(const SearchScorer& scorer) : scorer_(scorer) {}

  std::vector<NextStep> extend(const Task& task, const std::vector<StepPrefix>& prefixes,
                               uint64_t seed) override {
    for (const auto& prefix : prefixes) EXPECT_FALSE(scorer_.is_whole(join_steps(prefix)));
    return ScriptedGenerator::extend(task, prefixes, seed);
  }
  std::vector<Candidate> complete(const Task& task, const std::vector<StepPrefix>& prefixes,
                                  uint64_t seed) override {
    for (const auto& prefix : prefixes) EXPECT_FALSE(scorer_.is_whole(join_steps(prefix)));
    return ScriptedGenerator::complete(task, prefixes, seed);
  }
  Candidate finish(const Task& task, const StepPrefix& whole, uint64_t seed) override {
    ++num_finished;
    Candidate candidate = ScriptedGenerator::finish(task, whole, seed);
    EXPECT_EQ(candidate.code, join_steps(whole));
    EXPECT_FALSE(candidate.reasoning.empty());
    return candidate;
  }

  int num_finished = 0;

 private:
  const SearchScorer& scorer_;
};

TEST(BayesflowSearch, AddsNothingToAWholePrefix) {
  SearchBench bench(bayesflow(4, 3, 4));
  WatchfulGenerator watchful(bench.scorer);
  bench.generator = &watchful;
  bench.run();
  EXPECT_GT(watchful.num_finished, 0);
}

TEST(BayesflowSearch, RunsIdenticalCodeOnce) {
  SearchBench bench(bayesflow(6, 4, 4));
  bench.run();
  const auto& codes = bench.scorer.codes;
  EXPECT_EQ(std::set<std::string>(codes.begin(), codes.end()).size(), codes.size());
  int cached = 0;
  for (const auto& row : bench.rows()) cached += row.usage.value("cached", false);
  EXPECT_EQ(static_cast<size_t>(cached) + codes.size(), bench.rows().size());
}

TEST(Search, IsTheSameForTheSameSeed) {
  SearchBench a(bayesflow(4, 3, 3)), b(bayesflow(4, 3, 3));
  a.run();
  b.run();
  EXPECT_EQ(samples(a.rows()), samples(b.rows()));
}

class ResumeTest : public testing::TestWithParam<SearchMethodKind> {};

// Stopped after every possible number of runs and resumed, a search leaves what an uninterrupted
// one leaves, and runs no workflow twice.
TEST_P(ResumeTest, LosesNothingAndRepeatsNothing) {
  SearchOptions options = of_kind(GetParam());
  options.smc = bayesflow(3, 2, 2).smc;
  options.aflow.rounds = options.adas.generations = 6;
  options.random.workflows = 7;
  options.random.batch = 3;
  SearchBench whole(options);
  const Json expected = whole.run();
  const auto num_runs = static_cast<int>(whole.scorer.codes.size());
  for (int stop = 1; stop < num_runs; ++stop) {
    SearchBench cut(options);
    EXPECT_THROW(cut.run(stop), Interrupted);
    EXPECT_EQ(cut.rows().size() >= static_cast<size_t>(stop), true) << stop;
    const Json resumed = cut.run();
    EXPECT_EQ(samples(cut.rows()), samples(whole.rows())) << stop;
    EXPECT_EQ(cut.scorer.codes.size(), whole.scorer.codes.size()) << stop;
    EXPECT_EQ(resumed["rounds"], expected["rounds"]) << stop;
  }
  EXPECT_EQ(whole.run(), expected) << "a finished search gives its report without work";
  EXPECT_EQ(static_cast<int>(whole.scorer.codes.size()), num_runs);
}

INSTANTIATE_TEST_SUITE_P(Methods, ResumeTest,
                         testing::Values(SearchMethodKind::kBayesflow, SearchMethodKind::kAflow,
                                         SearchMethodKind::kAdas, SearchMethodKind::kRandom),
                         [](const auto& info) {
                           for (const auto& [value, name] : enum_table(SearchMethodKind{})) {
                             if (value == info.param) return std::string(name);
                           }
                           return std::string();
                         });

TEST(Search, NeverRunsMoreWorkflowsThanItsBudget) {
  for (const auto& [kind, name] : enum_table(SearchMethodKind{})) {
    SearchBench bench(of_kind(kind));
    bench.budget.workflows = 9;
    const Json report = bench.run();
    EXPECT_LE(bench.scorer.codes.size(), 9u) << name;
    EXPECT_FALSE(report["complete"].get<bool>()) << name;
  }
}

TEST(Search, StopsAtItsTokenBudget) {
  SearchBench bench(bayesflow(2, 10, 5));
  bench.budget.tokens = 200;  // 40 a run
  bench.run();
  EXPECT_EQ(bench.scorer.codes.size(), 5u);
}

TEST(Search, GoesOnWithALargerBudget) {
  SearchBench bench(bayesflow(4, 3, 3)), whole(bayesflow(4, 3, 3));
  bench.budget.workflows = 9;
  bench.run();
  bench.budget.workflows = 0;
  EXPECT_TRUE(bench.run()["complete"].get<bool>());
  whole.run();
  const auto codes = [](const SearchBench& b) {
    std::multiset<std::pair<int64_t, std::string>> found;
    for (const auto& row : b.rows()) found.emplace(row.round, row.code);
    return found;
  };
  EXPECT_EQ(codes(bench), codes(whole));
}

TEST(Search, DropsWhatCouldNotBeScored) {
  SearchBench bench(bayesflow(6, 0, 1));
  bench.scorer.change = [](const Candidate& candidate, Evaluation evaluation) {
    if (FakeScorer::reward_of(candidate.code) < 0.5) {
      evaluation.outcome = "infrastructure";
      evaluation.reward.total = evaluation.reward.pass = 0;
    }
    return evaluation;
  };
  const Json report = bench.run();
  const auto& round = report["rounds"][0];
  EXPECT_EQ(round["scored"].get<int>() + round["dropped"].get<int>(), 6);
  EXPECT_GT(round["dropped"].get<int>(), 0);
  EXPECT_GE(round["reward_mean"].get<double>(), 0.5);
  EXPECT_EQ(report["dropped"], round["dropped"]);
}

TEST(Search, ARoundWithoutAScoredWorkflowHasNoReward) {
  SearchBench bench(bayesflow(3, 0, 1));
  bench.scorer.change = [](const Candidate&, Evaluation evaluation) {
    evaluation.outcome = "infrastructure";
    evaluation.reward.total = evaluation.reward.pass = 0;
    return evaluation;
  };
  const Json round = bench.run()["rounds"][0];
  EXPECT_EQ(round["dropped"], 3);
  EXPECT_TRUE(round["reward_mean"].is_null()) << round;
  EXPECT_TRUE(round["reward_best"].is_null()) << round;
}

TEST(AflowSearch, StartsFromTheSingleCallAndBuildsATree) {
  auto options = of_kind(SearchMethodKind::kAflow);
  options.aflow.rounds = 12;
  options.aflow.check_convergence = false;
  SearchBench bench(options);
  bench.run();
  const auto rows = bench.rows();
  ASSERT_EQ(rows.size(), 13u);
  EXPECT_EQ(rows[0].code, io_workflow(TaskKind::kCode));
  EXPECT_EQ(rows[0].parent, 0);
  std::set<std::pair<int64_t, std::string>> children;
  for (size_t i = 1; i < rows.size(); ++i) {
    EXPECT_GT(rows[i].parent, 0);
    EXPECT_LT(rows[i].parent, rows[i].id);
    EXPECT_TRUE(children.emplace(rows[i].parent, rows[i].code).second);
  }
}

TEST(AflowSearch, StopsWhenTheBestNoLongerChange) {
  auto options = of_kind(SearchMethodKind::kAflow);
  options.aflow.rounds = 50;
  SearchBench bench(options);
  bench.scorer.change = [](const Candidate&, Evaluation evaluation) {
    evaluation.reward.total = 0.5;
    return evaluation;
  };
  bench.run();
  EXPECT_EQ(bench.rows().size(), 8u);  // three rounds for a top three, five without change
}

TEST(AdasSearch, OpensWithTheBaselines) {
  auto options = of_kind(SearchMethodKind::kAdas);
  options.adas.generations = 2;
  SearchBench bench(options);
  bench.run();
  std::vector<std::string> kinds;
  for (const auto& row : bench.rows()) kinds.push_back(row.kind);
  ASSERT_EQ(kinds.size(), 5u);
  kinds.resize(3);
  EXPECT_THAT(kinds, testing::ElementsAre("io", "cot", "cot_sc"));
}

/// Writes a workflow that fails until it has been corrected `needed` times.
class FailingGenerator : public ScriptedGenerator {
 public:
  explicit FailingGenerator(int needed) : needed_(needed) {}
  bool can_correct() const override { return true; }
  std::vector<Candidate> draft(const Task&, int64_t count, const std::string&, uint64_t) override {
    Candidate candidate;
    candidate.code = "attempt 0";
    return std::vector<Candidate>(static_cast<size_t>(count), candidate);
  }
  std::vector<Candidate> correct(const Task&, const std::vector<FailedCandidate>& failed,
                                 uint64_t) override {
    std::vector<Candidate> corrected;
    for (const auto& correction : failed) {
      errors.push_back(correction.error);
      Candidate candidate;
      candidate.code =
          ++corrections >= needed_ ? "mended" : "attempt " + std::to_string(corrections);
      corrected.push_back(candidate);
    }
    return corrected;
  }
  int corrections = 0;
  std::vector<std::string> errors;

 private:
  int needed_;
};

Evaluation fail_unless_mended(const Candidate& candidate, Evaluation evaluation) {
  if (candidate.code == "mended") return evaluation;
  evaluation.outcome = "workflow_error";
  evaluation.error = "NameError: x";
  evaluation.reward.total = 0;
  return evaluation;
}

TEST(SelfCorrection, GivesTheErrorBackUntilTheWorkflowRuns) {
  FailingGenerator generator(2);
  auto options = of_kind(SearchMethodKind::kRandom);
  options.random.workflows = 1;
  SearchBench bench(options);
  bench.generator = &generator;
  bench.scorer.change = fail_unless_mended;
  const Json report = bench.run();
  EXPECT_EQ(generator.errors, (std::vector<std::string>{"NameError: x", "NameError: x"}));
  EXPECT_EQ(report["best_reward"].get<double>(), FakeScorer::reward_of("mended"));
  const auto rows = bench.rows();
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[1].parent, rows[0].id);
  EXPECT_EQ(rows[2].parent, rows[1].id);
}

TEST(SelfCorrection, EndsAfterThreeAttemptsWithScoreZero) {
  FailingGenerator generator(99);
  auto options = of_kind(SearchMethodKind::kRandom);
  options.random.workflows = 1;
  SearchBench bench(options);
  bench.generator = &generator;
  bench.scorer.change = fail_unless_mended;
  const Json report = bench.run();
  EXPECT_EQ(generator.corrections, 3);
  EXPECT_EQ(report["rounds"][0]["reward_best"].get<double>(), 0);
}

/// The scripted teacher, which bills 3 tokens for a step and always makes the same edit.
class BillingGenerator : public ScriptedGenerator {
 public:
  std::vector<NextStep> extend(const Task& task, const std::vector<StepPrefix>& prefixes,
                               uint64_t seed) override {
    auto steps = ScriptedGenerator::extend(task, prefixes, seed);
    for (auto& step : steps) {
      step.usage.completion_tokens = 3;
      step.calls = 1;
    }
    return steps;
  }
  Candidate refine(const Task&, const Candidate& parent, const Feedback&, uint64_t) override {
    Candidate edited = parent;
    edited.code += "# edited\n";
    edited.usage.prompt_tokens = 10;
    edited.calls = 1;
    return edited;
  }
};

TEST(RunSearch, CountsTheStepsOfASearchThatWasFinishedBefore) {
  SearchBench bench(bayesflow(4, 0, 2));
  BillingGenerator billing;
  bench.generator = &billing;
  const auto spent = [&bench] {
    TrajectoryStore store(bench.dir / "store.sqlite");
    Budget spending(bench.budget, spent_in(store.select()));
    Evaluator evaluator(bench.target(), *bench.generator, bench.scorer, store, spending);
    run_search(bench.options, evaluator, store);
    return spending.spent().to_json();
  };
  const Json first = spent();
  EXPECT_EQ(first["generator_calls"], 2 * 4);
  EXPECT_EQ(spent(), first);
}

// Round 2 edits the template, round 3 makes the same edit of it four times over.
TEST(AflowSearch, BillsTheEditsItThrewAway) {
  SearchOptions options = of_kind(SearchMethodKind::kAflow);
  options.aflow.rounds = 2;
  options.aflow.sample = 1;
  SearchBench bench(options);
  BillingGenerator billing;
  bench.generator = &billing;
  bench.run();
  const auto rows = bench.rows();
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[1].usage["generator_calls"], 1);
  EXPECT_EQ(rows[2].usage["generator_calls"], 4);
  EXPECT_EQ(rows[2].usage["generator_prompt_tokens"], 40);
}

}  // namespace
}  // namespace weft
