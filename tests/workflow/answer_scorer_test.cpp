#include "workflow/answer_scorer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "base/error.h"
#include "base/file.h"
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
  AnswerScorer official(*sandbox_, {}), aflow(*sandbox_, {Scorer::kAflow, ""});
  for (const auto& row : test::scorer_rows()) {
    AnswerScorer& scorer = row.scorer == Scorer::kAflow ? aflow : official;
    const AnswerVerdict verdict = verdict_of(scorer, row.task, row.prediction);
    EXPECT_NEAR(verdict.score, row.score, 0.005) << row.text;
    EXPECT_EQ(verdict.infra, "") << row.text;
  }
}

TEST_F(Symbols, AreAskedForManyAnswersAtATime) {
  AnswerScorer scorer(*sandbox_, {});
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
  AnswerScorer official(*sandbox_, {}), aflow(*sandbox_, {Scorer::kAflow, ""});
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
  AnswerScorer scorer(test::jail().sandbox, {});
  EXPECT_EQ(verdict_of(scorer, math_task("x+y"), "\\boxed{x + y}").score, 1);
  EXPECT_EQ(verdict_of(scorer, math_task("x+y"), "\\boxed{y+x}").score, 0);
  EXPECT_FALSE(has_symbols(test::jail().sandbox));
}

TEST(AnswerScorer, SaysWhichCommandBringsTheSymbols) {
  const std::vector<Task> tasks = {math_task("1")};
  try {
    require_working_scorer(test::jail().sandbox, {}, tasks);
    FAIL() << "a benchmark of formulas needs SymPy";
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), HasSubstr("scripts/sandbox_packages.sh DIR"));
    EXPECT_THAT(error.what(), HasSubstr("packages=DIR"));
  }
  Task own = math_task("1");
  own.dataset = "jsonl";
  EXPECT_NO_THROW(require_working_scorer(test::jail().sandbox, {}, {own}));
}

/// A scorer of one's own, in a file.
class FileScorer : public testing::Test {
 protected:
  AnswerVerdict score(const std::string& source, const std::string& answer) {
    write_file_atomically(file_, source);
    AnswerScorer scorer(test::jail().sandbox, choice());
    return verdict_of(scorer, math_task("42"), answer);
  }

  ScorerChoice choice() const { return parse_scorer_choice("file:" + file_.string()); }

  test::TempDir folder_;
  const std::filesystem::path file_ = folder_ / "my_scorer.py";
};

TEST_F(FileScorer, GivesTheScoreThatItsFunctionReturns) {
  const std::string source =
      "import re\n"
      "def score(answer, task):\n"
      "    if answer == task['answer']:\n"
      "        return True\n"
      "    return 0.25 if re.search(r'\\d', answer) and task['kind'] == 'math' else False\n";
  EXPECT_EQ(score(source, "42").score, 1);
  EXPECT_EQ(score(source, "41").score, 0.25);
  EXPECT_EQ(score(source, "none").score, 0);
  EXPECT_EQ(score(source, "none").infra, "");
  EXPECT_EQ(score(source, "none").rule, "file");
}

TEST_F(FileScorer, AFaultInItIsNoScore) {
  const std::pair<const char*, const char*> faults[] = {
      {"def score(answer, task):\n    return 1 / 0\n", "ERROR(ZeroDivisionError)"},
      {"def score(answer, task):\n    return float('nan')\n", "gave nan, expected"},
      {"def score(answer, task):\n    return 2\n", "gave 2, expected"},
      {"def score(answer, task):\n    return 'yes'\n", "expected True, False or a number"},
      {"def score(answer, task):\n    return object()\n", "UNSERIALISABLE"},
      {"def score(answer):\n    return True\n", "ERROR(TypeError)"},
      {"def scroe(answer, task):\n    return True\n", "it defines no function score"},
      {"def score(answer, task)\n    return True\n", "ERROR(SyntaxError)"},
      {"import no_such_module\n", "ERROR(ModuleNotFoundError)"},
      {"def score(answer, task):\n    return b'' * len(bytearray(1 << 32))\n", "MEMORY"},
      {"import os\ndef score(answer, task):\n    os._exit(0)\n", "EXIT(0)"}};
  for (const auto& [source, said] : faults) {
    const AnswerVerdict verdict = score(source, "42");
    EXPECT_EQ(verdict.score, 0) << source;
    EXPECT_THAT(verdict.infra, HasSubstr(said)) << source;
    EXPECT_THAT(verdict.infra, HasSubstr("my_scorer.py")) << source;
    try {
      require_working_scorer(test::jail().sandbox, choice(), {math_task("42")});
      FAIL() << source;
    } catch (const InputError& error) {
      EXPECT_THAT(error.what(), HasSubstr(said)) << source;
    }
  }
  EXPECT_THAT(score(faults[0].first, "42").infra, HasSubstr("line 2"));
}

TEST(AnswerScorer, ATasksOwnCheckerScoresItsAnswers) {
  AnswerScorer scorer(test::jail().sandbox, {});
  Task task = math_task("7");
  task.checker =
      "def check(answer, task):\n    return abs(float(answer) - float(task['answer'])) < 0.5\n";
  EXPECT_EQ(verdict_of(scorer, task, "7.4").score, 1);
  EXPECT_EQ(verdict_of(scorer, task, "8").score, 0);
  EXPECT_EQ(verdict_of(scorer, task, "7.4").rule, "checker");
  EXPECT_THAT(verdict_of(scorer, task, "seven").infra, HasSubstr("ERROR(ValueError)"));
  EXPECT_NO_THROW(require_working_scorer(test::jail().sandbox, {}, {task}));
  task.checker = "def chekc(answer, task):\n    return True\n";
  EXPECT_THROW(require_working_scorer(test::jail().sandbox, {}, {task}), InputError);
}

TEST(AnswerScorer, ACheckerOfCodeIsTriedBeforeAnythingIsPaidFor) {
  Task task;
  task.id = "own/1";
  task.kind = TaskKind::kCode;
  task.entry_point = "Solution().f";
  task.val_tests = {Json{{"n", 5}}};
  for (const char* working : {"def check(candidate, test): return candidate(test['n']) > 5\n",
                              "def check(candidate, test):\n    try:\n        candidate()\n"
                              "    except CandidateError:\n        return True\n"}) {
    task.checker = working;
    EXPECT_NO_THROW(require_working_scorer(test::jail().sandbox, {}, {task})) << working;
  }
  task.checker = "def check(candidate, test): return candidate(test['m']) > 5\n";
  try {
    require_working_scorer(test::jail().sandbox, {}, {task});
    FAIL() << "a checker that raises is taken";
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), HasSubstr("task \"own/1\": the checker: ERROR(KeyError) m; line 1"));
  }
}

TEST_F(FileScorer, IsNamedInTheConfigByItsFile) {
  EXPECT_EQ(parse_scorer_choice("aflow").name(), "aflow");
  EXPECT_EQ(choice().name(), "file:" + file_.string());
  for (const char* wrong : {"", "oficial", "file:", "my_scorer.py"}) {
    EXPECT_THROW(parse_scorer_choice(wrong), InputError) << wrong;
  }
  EXPECT_THROW(AnswerScorer(test::jail().sandbox, parse_scorer_choice("file:/nowhere/x.py")),
               InputError);
}

}  // namespace
}  // namespace weft
