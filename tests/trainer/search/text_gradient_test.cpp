// What runs showed reaches whoever improves a workflow.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/hash.h"
#include "tests/trainer/search/search_bench.h"

namespace weft {
namespace {

using test::bayesflow;
using test::of_kind;
using test::SearchBench;

/// Keeps what it is told.
class ListeningGenerator : public ScriptedGenerator {
 public:
  bool reads_feedback() const override { return true; }
  Candidate refine(const Task& task, const Candidate& parent, const Feedback& feedback,
                   uint64_t seed) override {
    told.emplace_back(parent.code, feedback);
    return ScriptedGenerator::refine(task, parent, feedback, seed);
  }
  std::vector<Candidate> draft(const Task& task, int64_t count, const std::string& notes,
                               uint64_t seed) override {
    all_notes.push_back(notes);
    return ScriptedGenerator::draft(task, count, notes, seed);
  }
  std::vector<std::pair<std::string, Feedback>> told;
  std::vector<std::string> all_notes;
};

std::string showed(const std::string& code) { return "showed " + std::to_string(hash64(code)); }

FeedbackText showing() {
  return [](const std::vector<const Task*>&, const Candidate& candidate, const Evaluation&) {
    return showed(candidate.code);
  };
}

TEST(TextGradient, TheRefinerIsToldWhatTheRunOfItsParentShowed) {
  ListeningGenerator listening;
  SearchBench bench(bayesflow(3, 3, 2));
  bench.generator = &listening;
  bench.feedback = showing();
  bench.run();
  ASSERT_EQ(listening.told.size(), 6u);
  for (const auto& [code, feedback] : listening.told) EXPECT_EQ(feedback.execution, showed(code));
}

// Stopped after the first look-ahead completions, their feedback comes from the store.
TEST(TextGradient, OutlivesTheProcess) {
  ListeningGenerator listening;
  SearchBench bench(bayesflow(3, 2, 1));
  bench.generator = &listening;
  bench.feedback = showing();
  EXPECT_THROW(bench.run(3), Interrupted);
  bench.feedback = nullptr;
  bench.run();
  ASSERT_FALSE(listening.told.empty());
  EXPECT_EQ(listening.told.front().second.execution, showed(listening.told.front().first));
}

TEST(TextGradient, AflowIsToldWhatEarlierEditsOfTheParentShowed) {
  ListeningGenerator listening;
  SearchOptions options = of_kind(SearchMethodKind::kAflow);
  options.aflow.rounds = 3;
  options.aflow.sample = 1;
  SearchBench bench(options);
  bench.generator = &listening;
  bench.feedback = showing();
  bench.run();
  ASSERT_GE(listening.told.size(), 3u);
  EXPECT_EQ(listening.told[0].second.notes, "");
  const auto rows = bench.rows();
  const Feedback& last = listening.told.back().second;
  EXPECT_EQ(last.execution, showed(rows[0].code));
  EXPECT_THAT(last.notes, testing::HasSubstr(showed(rows[1].code)));
  EXPECT_THAT(last.notes, testing::HasSubstr(showed(rows[2].code)));
}

TEST(TextGradient, AdasShowsItsArchiveWithWhatTheRunsShowed) {
  ListeningGenerator listening;
  SearchOptions options = of_kind(SearchMethodKind::kAdas);
  options.adas.generations = 1;
  SearchBench bench(options);
  bench.generator = &listening;
  bench.feedback = showing();
  bench.run();
  ASSERT_EQ(listening.all_notes.size(), 1u);
  const auto rows = bench.rows();
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_THAT(listening.all_notes[0], testing::HasSubstr(showed(rows[i].code)));
  }
}

}  // namespace
}  // namespace weft
