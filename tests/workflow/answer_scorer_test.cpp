#include "workflow/answer_scorer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "base/error.h"
#include "sandbox/facts/symbolic_equality.h"
#include "tests/data/scorers/rows.h"
#include "tests/workflow/jail.h"

namespace weft {
namespace {

using testing::HasSubstr;

AnswerVerdict verdict_of(AnswerScorer& scorer, const Task& task, const std::string& answer) {
  std::promise<AnswerVerdict> promise;
  scorer.submit(task, answer,
                [&](AnswerVerdict verdict) { promise.set_value(std::move(verdict)); });
  return promise.get_future().get();
}

Task math_task(const std::string& gold) {
  Task task;
  task.id = "t";
  task.dataset = "math";
  task.kind = TaskKind::kMath;
  task.answer = gold;
  return task;
}

/// A sandbox with SymPy.
class Symbols : public testing::Test {
 protected:
  void SetUp() override {
    SandboxOptions options;
    options.packages = test::test_packages("sympy");
    if (options.packages.empty()) {
      GTEST_SKIP() << "no .venv-test with the package sympy; scripts/bootstrap.sh --tests makes it";
    }
    sandbox_ = std::make_unique<Sandbox>(options);
  }

  std::unique_ptr<Sandbox> sandbox_;
};

TEST_F(Symbols, EveryRowHasItsScore) {
  AnswerScorer official(*sandbox_, Scorer::kOfficial), aflow(*sandbox_, Scorer::kAflow);
  for (const auto& row : test::scorer_rows()) {
    AnswerScorer& scorer = row.scorer == Scorer::kAflow ? aflow : official;
    const AnswerVerdict verdict = verdict_of(scorer, row.task, row.prediction);
    EXPECT_NEAR(verdict.score, row.score, 0.005) << row.text;
    EXPECT_EQ(verdict.infra, "") << row.text;
  }
}

TEST_F(Symbols, AreAskedForManyAnswersAtATime) {
  AnswerScorer scorer(*sandbox_, Scorer::kOfficial);
  const Task task = math_task("(x+1)^2");
  std::vector<std::promise<double>> scores(40);
  for (size_t i = 0; i < scores.size(); ++i) {
    const std::string answer = "\\boxed{x^2+" + std::to_string(i) + "x+1}";
    scorer.submit(task, answer, [&promise = scores[i]](const AnswerVerdict& verdict) {
      promise.set_value(verdict.score);
    });
  }
  for (size_t i = 0; i < scores.size(); ++i) {
    EXPECT_EQ(scores[i].get_future().get(), i == 2 ? 1 : 0) << i;
  }
}

TEST_F(Symbols, AHostileFormulaIsNotEqualAndHarmsNoOther) {
  AnswerScorer official(*sandbox_, Scorer::kOfficial), aflow(*sandbox_, Scorer::kAflow);
  std::string nested;
  for (int i = 0; i < 400; ++i) nested += "\\frac{1}{1+";
  for (const std::string& formula :
       {std::string("10^{10^{10}}"), std::string("9999999!"), std::string("2^{2^{2^{2^{2^{2}}}}}"),
        std::string("\\binom{99999999}{4999999}"), std::string("((((((((((x"), nested,
        std::string("\\frac{1}{0}"), std::string("0^{0}/0"), std::string("\\infty-\\infty"),
        std::string("__import__('os').system('true')"), std::string("|") + std::string(900, '|'),
        std::string("\\sqrt[0]{x}"), std::string("\\log_1 x"), std::string("x_{x_{x_{x}}}"),
        std::string("\\sin^{\\sin^{x}}x"), std::string("\xFF\\alpha"), std::string("%%%%x")}) {
    for (AnswerScorer* scorer : {&official, &aflow}) {
      const AnswerVerdict verdict =
          verdict_of(*scorer, math_task("x+y"), "\\boxed{" + formula + "}");
      EXPECT_EQ(verdict.score, 0) << formula;
      EXPECT_EQ(verdict.infra, "") << formula;
    }
  }
  EXPECT_EQ(verdict_of(official, math_task("x+y"), "\\boxed{y+x}").score, 1);
}

TEST(AnswerScorer, ComparesFormulasAsTextsWithoutSymbols) {
  AnswerScorer scorer(test::jail().sandbox, Scorer::kOfficial);
  EXPECT_EQ(verdict_of(scorer, math_task("x+y"), "\\boxed{x + y}").score, 1);
  EXPECT_EQ(verdict_of(scorer, math_task("x+y"), "\\boxed{y+x}").score, 0);
  EXPECT_FALSE(has_symbols(test::jail().sandbox));
}

TEST(AnswerScorer, SaysWhichCommandBringsTheSymbols) {
  const std::vector<Task> tasks = {math_task("1")};
  try {
    require_symbols(test::jail().sandbox, tasks);
    FAIL() << "a benchmark of formulas needs SymPy";
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), HasSubstr("scripts/sandbox_packages.sh DIR"));
    EXPECT_THAT(error.what(), HasSubstr("packages=DIR"));
  }
  Task own = math_task("1");
  own.dataset = "jsonl";
  EXPECT_NO_THROW(require_symbols(test::jail().sandbox, {own}));
}

}  // namespace
}  // namespace weft
