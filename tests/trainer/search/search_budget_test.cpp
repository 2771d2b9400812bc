// What is beyond a budget is not asked for.
#include <gtest/gtest.h>

#include <set>

#include "tests/trainer/search/search_bench.h"

namespace weft {
namespace {

using test::bayesflow;
using test::of_kind;
using test::SearchBench;

/// Counts what it is asked to write; every workflow of it is new, and none runs at the first try.
class CountingGenerator : public ScriptedGenerator {
 public:
  bool can_correct() const override { return true; }
  std::vector<NextStep> extend(const Task& task, const std::vector<StepPrefix>& prefixes,
                               uint64_t seed) override {
    num_steps += prefixes.size();
    auto steps = ScriptedGenerator::extend(task, prefixes, seed);
    for (auto& step : steps) step.calls = 1;
    return steps;
  }
  std::vector<Candidate> complete(const Task& task, const std::vector<StepPrefix>& prefixes,
                                  uint64_t seed) override {
    return unique(ScriptedGenerator::complete(task, prefixes, seed));
  }
  std::vector<Candidate> draft(const Task& task, int64_t count, const std::string& notes,
                               uint64_t seed) override {
    return unique(ScriptedGenerator::draft(task, count, notes, seed));
  }
  Candidate refine(const Task& task, const Candidate& parent, const Feedback& feedback,
                   uint64_t seed) override {
    return unique({ScriptedGenerator::refine(task, parent, feedback, seed)}).front();
  }
  std::vector<Candidate> correct(const Task&, const std::vector<FailedCandidate>& failed,
                                 uint64_t) override {
    std::vector<Candidate> all;
    for (const auto& one : failed) all.push_back(one.candidate);
    return unique(std::move(all));
  }
  size_t num_steps = 0, num_written = 0;

 private:
  std::vector<Candidate> unique(std::vector<Candidate> all) {
    for (auto& one : all) {
      one.code += "# " + std::to_string(++num_written) + "\n";
      one.calls = 1;
    }
    return all;
  }
};

// What is beyond the budget is not even asked for: a model would be paid for it.
TEST(SearchBudget, AsksForNoWorkflowBeyondItsBudget) {
  for (const auto& [kind, name] : enum_table(SearchMethodKind{})) {
    for (const int64_t workflows : {1, 5, 9}) {
      SearchBench bench(of_kind(kind));
      bench.options.smc.completions = 2;
      bench.budget.workflows = workflows;
      bench.options.aflow.check_convergence = false;
      CountingGenerator counting;
      bench.generator = &counting;
      bench.scorer.change = [](const Candidate& candidate, Evaluation evaluation) {
        if (candidate.parent > 0) return evaluation;
        evaluation.outcome = "workflow_error";
        return evaluation;
      };
      bench.run();
      EXPECT_EQ(bench.scorer.codes.size(), static_cast<size_t>(workflows)) << name;
      EXPECT_LE(counting.num_written, static_cast<size_t>(workflows)) << name;
      EXPECT_LE(counting.num_steps, static_cast<size_t>(workflows + 1) / 2) << name;
    }
  }
}

TEST(SearchBudget, AsksForNothingOnceItsCallsAreSpent) {
  for (const auto& [kind, name] : enum_table(SearchMethodKind{})) {
    SearchBench bench(of_kind(kind));
    bench.budget.calls = 10;  // a run is two, each step and workflow one
    CountingGenerator counting;
    bench.generator = &counting;
    bench.run();
    const size_t before = counting.num_written;
    EXPECT_EQ(counting.num_steps, kind == SearchMethodKind::kBayesflow ? before : 0) << name;
    EXPECT_LE(bench.scorer.codes.size(), 5u) << name;
    EXPECT_FALSE(bench.run()["complete"].get<bool>()) << name;
    EXPECT_EQ(counting.num_written, before) << name;
  }
}

// A run that the search's budget cut short is no reward of its workflow: what it cost is
// remembered, and with more budget it is run again.
TEST(SearchBudget, CountsWhatItCutsShortAsSkippedAndRunsItAgain) {
  for (const auto& [kind, name] : enum_table(SearchMethodKind{})) {
    SearchBench bench(of_kind(kind));
    bench.options.aflow.check_convergence = false;
    int left = 3;
    bench.scorer.change = [&](const Candidate&, Evaluation evaluation) {
      if (--left >= 0) return evaluation;
      evaluation.out_of_budget = true;
      evaluation.outcome = "infrastructure";
      evaluation.usage["calls"] = 1;
      return evaluation;
    };
    const Json cut = bench.run();
    EXPECT_TRUE(cut["cut_by_budget"].get<bool>()) << name;
    EXPECT_FALSE(cut["complete"].get<bool>()) << name;
    int scored = 0, lost = 0;
    for (const Trajectory& row : bench.rows()) {
      scored += row.outcome == "scored";
      lost += !has_reward(row);
    }
    EXPECT_GE(scored, 3) << name;
    EXPECT_GT(lost, 0) << name;
    EXPECT_EQ(spent_in(bench.rows()).worker_calls, 3 * 2 + lost) << name;
    left = 1 << 20;
    EXPECT_TRUE(bench.run()["complete"].get<bool>()) << name;
  }
}

// Killed in the middle of the last round that the budget allows, the search goes on with what it
// has: stored workflows are not charged twice.
TEST(SearchBudget, AllowsAResumedRoundWhatAnUninterruptedOneGets) {
  for (const auto& [kind, name] : enum_table(SearchMethodKind{})) {
    SearchOptions options = of_kind(kind);
    options.smc = bayesflow(4, 2, 2).smc;
    options.random.batch = 6;
    SearchBench whole(options), cut(options);
    whole.budget.workflows = cut.budget.workflows = 13;
    whole.run();
    EXPECT_THROW(cut.run(8), Interrupted) << name;
    cut.run();
    const auto codes = [](const SearchBench& bench) {
      std::multiset<std::pair<int64_t, std::string>> found;
      for (const auto& row : bench.rows()) found.emplace(row.round, row.code);
      return found;
    };
    EXPECT_EQ(codes(cut), codes(whole)) << name;
  }
}

}  // namespace
}  // namespace weft
