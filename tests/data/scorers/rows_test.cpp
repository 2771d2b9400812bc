#include "tests/data/scorers/rows.h"

#include <gtest/gtest.h>

#include "base/python_string.h"
#include "data/benchmarks/benchmark.h"

namespace weft {
namespace {

// The scripts round F1 to hundredths of a percent, and so do the rows.
constexpr double kRounding = 0.005;

TEST(ScorerRows, HaveTheirScoreWhereTextAloneTells) {
  int symbolic = 0;
  const auto rows = test::scorer_rows();
  EXPECT_GE(rows.size(), 400u);
  for (const auto& row : rows) {
    const TextScore score = score_answer(row.task, row.prediction, row.scorer);
    if (score.question) {
      ++symbolic;
      EXPECT_EQ(score.score, 0) << row.text;
    } else {
      EXPECT_NEAR(score.score, row.score, kRounding) << row.text;
    }
  }
  EXPECT_LT(symbolic, 120) << "most rows need no symbols";
}

/// The usual ways to write a gold answer.
std::vector<std::string> rewritings(const Task& task, const std::string& gold) {
  if (task.kind == TaskKind::kMath) {
    return {"\\boxed{" + gold + "}",
            "The answer is $" + gold + "$.",
            "So we get\n\\[ \\boxed{ " + gold + " } \\]",
            "**Answer:** $" + gold + "$",
            "\\fbox{" + gold + "}.",
            "\\boxed{\\left" + (gold.starts_with('(') ? gold : "(" + gold) +
                (gold.starts_with('(') ? "}" : "\\right)}"),
            "\\boxed{" +
                (gold.find("\\frac") == std::string::npos
                     ? gold
                     : "\\d" + gold.substr(gold.find("\\frac") + 1)) +
                "}"};
  }
  // A point behind a decimal makes it another number to DROP's script: 9.2. is 92.
  return {task.dataset == "drop" ? "Answer: " + gold : gold + ".", "\"" + gold + "\"",
          python::lower(gold)};
}

/// The golds of a published file, by the benchmark's loader.
std::vector<std::string> golds_of(const std::string& dataset, const std::string& file) {
  std::vector<std::string> golds;
  JsonlReader reader(test::reference_data() / "benchmarks" / file);
  JsonlLine line;
  while (reader.next(line)) {
    golds.push_back(parse_benchmark_row(dataset, line.value, reader.where(line)).answer);
  }
  return golds;
}

struct Golds {
  const char* dataset;
  const char* file;
  TaskKind kind;
};

class PublishedGolds : public testing::TestWithParam<Golds> {};

TEST_P(PublishedGolds, ScoreOneRewrittenToo) {
  if (test::reference_data().empty()) GTEST_SKIP() << "WEFT_TEST_DATA is not set";
  Task task;
  task.dataset = GetParam().dataset;
  task.kind = GetParam().kind;
  int right = 0, all = 0;
  for (const auto& gold : golds_of(task.dataset, GetParam().file)) {
    task.answer = gold;
    const std::string itself = gold.substr(0, gold.find('|'));
    EXPECT_EQ(score_answer(task, itself).score, 1) << gold;
    EXPECT_EQ(score_answer(task, gold, Scorer::kAflow).score, 1) << gold;
    for (const auto& text : rewritings(task, itself)) {
      ++all;
      right += score_answer(task, text).score == 1;
    }
  }
  EXPECT_GE(right, 0.95 * all) << right << " of " << all;
}

TEST_P(PublishedGolds, AreSeldomTakenForAnother) {
  if (test::reference_data().empty()) GTEST_SKIP() << "WEFT_TEST_DATA is not set";
  Task task;
  task.dataset = GetParam().dataset;
  task.kind = GetParam().kind;
  const auto all_golds = golds_of(task.dataset, GetParam().file);
  const std::vector<std::string> golds(all_golds.begin(),
                                       all_golds.begin() + std::min<size_t>(all_golds.size(), 100));
  int wrong = 0, all = 0;
  for (const auto& gold : golds) {
    task.answer = gold;
    for (const auto& other : golds) {
      if (other == gold) continue;
      ++all;
      wrong += score_answer(task, other.substr(0, other.find('|'))).score == 1;
    }
  }
  EXPECT_LE(wrong, 0.01 * all) << wrong << " of " << all;
}

INSTANTIATE_TEST_SUITE_P(
    Files, PublishedGolds,
    testing::Values(Golds{"math", "aflow_math_validate.jsonl", TaskKind::kMath},
                    Golds{"gsm8k", "aflow_gsm8k_validate.jsonl", TaskKind::kMath},
                    Golds{"hotpotqa", "aflow_hotpotqa_validate.jsonl", TaskKind::kQa},
                    Golds{"drop", "aflow_drop_validate.jsonl", TaskKind::kQa}),
    [](const auto& info) { return std::string(info.param.dataset); });

}  // namespace
}  // namespace weft
