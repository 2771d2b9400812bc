#include "data/scorers/score.h"

#include <gtest/gtest.h>

namespace weft {
namespace {

std::string boxed(const std::string& text) {
  const Boxed box = last_boxed(text);
  return box.kind == Boxed::Kind::kComplete ? box.content
         : box.kind == Boxed::Kind::kCut    ? "(cut)"
                                            : "(none)";
}

double score_of(TaskKind kind, const std::string& answer, const std::string& gold,
                const std::string& dataset = "") {
  Task task;
  task.kind = kind;
  task.answer = gold;
  task.dataset = dataset;
  return score_answer(task, answer).score;
}

/// What text alone says.
bool math_equal(std::string_view prediction, std::string_view gold) {
  return score_math(prediction, gold).score == 1;
}

std::string repeated(const std::string& text, size_t bytes) {
  std::string all;
  while (all.size() < bytes) all += text;
  return all;
}

TEST(Score, BoxedAnswersAreFoundByCountingBraces) {
  EXPECT_EQ(boxed(R"(so \boxed{\frac{\sqrt{2}}{2}} holds)"), R"(\frac{\sqrt{2}}{2})");
  EXPECT_EQ(boxed(R"(\boxed{1} then \boxed{2})"), "2");
  EXPECT_EQ(boxed(R"(\boxed{\left\{1,2\right.})"), R"(\left\{1,2\right.)");
  EXPECT_EQ(boxed(R"(\boxed{a\\})"), R"(a\\)");
  EXPECT_EQ(boxed("none"), "(none)");
  EXPECT_EQ(boxed(R"(\fbox{3} not \boxedx{4})"), "3");
  EXPECT_EQ(boxed(R"($\boxed 5$ or so)"), "5");
}

TEST(Score, AnAnswerCutOffInItsLastBoxIsNoAnswer) {
  EXPECT_EQ(boxed(R"(\boxed{1} then \boxed{2)"), "(cut)");
  for (const char* gold : {"1", "2"}) {
    EXPECT_FALSE(math_equal(R"(\boxed{1} then \boxed{2)", gold));
    EXPECT_FALSE(math_equal(R"(\boxed{2)", gold));
    EXPECT_FALSE(math_equal(R"(1 or \boxed{\frac{2}{)", gold));
  }
  EXPECT_TRUE(math_equal(R"(\boxed{1 or \boxed{2})", "2"));
  EXPECT_EQ(chosen_letter(R"(\boxed{A} or \boxed{B)"), std::nullopt);
}

TEST(Score, MathComparesValues) {
  EXPECT_TRUE(math_equal(R"(\boxed{0.75})", R"(\boxed{\frac{3}{4}})"));
  EXPECT_TRUE(math_equal("the total is 1,234 apples", "1234"));
  EXPECT_TRUE(math_equal(R"(\boxed{50\%})", "0.5"));
  EXPECT_TRUE(math_equal(R"(\boxed{\dfrac12})", R"(\boxed{\frac12})"));
  EXPECT_FALSE(math_equal("18", "17.6"));
  EXPECT_FALSE(math_equal(R"(\boxed{\sqrt{2}})", R"(\boxed{\sqrt{3}})"));
}

TEST(Score, LargeNumbersAreNotEqualByRelativeLuck) {
  EXPECT_FALSE(math_equal("1000001", "1000000"));
}

TEST(Score, NumbersHaveNoToleranceBeyondRounding) {
  EXPECT_FALSE(math_equal("0", "0.0002"));
  EXPECT_FALSE(math_equal("0.0002", "0"));
  EXPECT_FALSE(math_equal("0.0000001", "0.0000002"));
  EXPECT_FALSE(math_equal("0.333", R"(\frac{1}{3})"));
  EXPECT_TRUE(math_equal("0.30000000000000004", "0.3"));
  EXPECT_TRUE(math_equal("0.3333333333333333", "0.333")) << "as exact as gold is written";
  EXPECT_FALSE(math_equal("12345678901234567890", "12345678901234567891"));
  EXPECT_FALSE(math_equal("10000000001", "10000000002"));
  EXPECT_TRUE(math_equal("007.00", "7"));
  EXPECT_TRUE(math_equal("the mass is 1.5e3", "1500"));
}

TEST(Score, SignsPercentagesAndThousandsAreRead) {
  EXPECT_TRUE(math_equal("it is \u22125", "-5"));
  EXPECT_FALSE(math_equal("it is \u22125", "5"));
  EXPECT_FALSE(math_equal("-5", "5"));
  EXPECT_TRUE(math_equal("50%", "50"));
  EXPECT_TRUE(math_equal(R"(that is 50\%)", "0.5"));
  EXPECT_FALSE(math_equal("50", "0.5"));
  EXPECT_TRUE(math_equal("1,234,567.50", "1234567.5"));
  EXPECT_FALSE(math_equal("7 of 12,345", "345"));
  EXPECT_FALSE(math_equal("12,3456", "6"));
}

TEST(Score, GoldIsAWholeExpressionNotItsLastNumber) {
  const std::pair<const char*, const char*> kGoldAndItsLastNumber[] = {
      {R"(\frac{3}{4})", "4"}, {"x^2+1", "1"}, {R"(\sqrt{2})", "2"}, {"(2, 3)", "3"}};
  for (const auto& [gold, number] : kGoldAndItsLastNumber) {
    EXPECT_TRUE(math_equal(std::string(R"(so \boxed{)") + gold + "}", gold)) << gold;
    EXPECT_TRUE(math_equal(gold, gold)) << gold;
    EXPECT_FALSE(math_equal(std::string(R"(\boxed{)") + number + "}", gold)) << gold;
  }
  EXPECT_TRUE(math_equal("it is 3/4", R"(\frac{3}{4})"));
}

TEST(Score, NumbersBeyondDoubleAreComparedAsText) {
  const std::string huge(400, '9');
  EXPECT_FALSE(math_equal(huge, "1"));
  EXPECT_TRUE(math_equal(huge, huge));
  EXPECT_FALSE(math_equal(R"(\boxed{1e999})", "1"));
  EXPECT_TRUE(math_equal(R"(\boxed{1e-400})", "0"));
  EXPECT_FALSE(math_equal(R"(\boxed{1/0})", "1"));
}

// Vectors of the AFlow rule, and the one place where ours deviates.
TEST(Score, TokenF1FollowsTheRule) {
  EXPECT_NEAR(token_f1("Eiffel Tower in Paris", "the Eiffel Tower"), 2.0 / 3, 1e-9);
  EXPECT_EQ(token_f1("US", "U.S."), 1);
  EXPECT_EQ(token_f1("1000", "1,000"), 1);
  EXPECT_EQ(token_f1("20.0", "20"), 0);
  EXPECT_EQ(token_f1("25", "2.5"), 0);
  EXPECT_EQ(token_f1("7|seven", "8|seven"), 1);
  EXPECT_EQ(token_f1("", "x"), 0);
}

TEST(Score, TokenF1FoldsCaseAsUnicodeDoes) {
  EXPECT_EQ(token_f1("\u00C9COLE", "\u00E9cole"), 1);
  EXPECT_EQ(token_f1("STRASSE", "Stra\u00DFe"), 1);
  EXPECT_EQ(token_f1("\u039F\u0394\u039F\u03A3", "\u03BF\u03B4\u03BF\u03C2"), 1);
  EXPECT_EQ(token_f1("e\u0301cole", "\u00E9cole"), 1) << "canonical equivalents";
  EXPECT_EQ(token_f1("New\u00A0York", "new york"), 1);
  EXPECT_EQ(token_f1("\u00E9cole", "ecole"), 0);
}

TEST(Score, TokenF1KeepsSignsAndPointsOfNumbers) {
  EXPECT_EQ(token_f1("-5", "5"), 0);
  EXPECT_EQ(token_f1("(-5)", "-5"), 1);
  EXPECT_EQ(token_f1(".5", "5"), 0);
  EXPECT_EQ(token_f1("1990-1995", "19901995"), 1) << "AFlow's form";
}

TEST(Score, WhatNormalisesToNothingEqualsOnlyItself) {
  for (const char* text : {"the", "The", "a", "%", "the an"}) {
    EXPECT_EQ(token_f1(text, text), 1) << text;
    EXPECT_EQ(score_of(TaskKind::kQa, text, text, "drop"), 1) << text;
    EXPECT_EQ(score_of(TaskKind::kQa, text, text, "hotpotqa"), 0) << "as its own script says";
    EXPECT_EQ(token_f1("", text), 0) << text;
    EXPECT_EQ(token_f1(text, "x"), 0) << text;
  }
  EXPECT_EQ(token_f1("the", "an"), 0);
  EXPECT_EQ(token_f1("", ""), 0);
  EXPECT_EQ(token_f1("", "x|"), 0);
}

// The same sentence with every letter, and the sentences in which A and I are words.
TEST(Score, ChoiceTreatsAllLettersAlike) {
  for (char letter = 'A'; letter <= 'J'; ++letter) {
    for (const std::string form : {"@",
                                   "@.",
                                   "(@)",
                                   "@. murder.",
                                   "@) murder",
                                   "(@) murder",
                                   "@: murder",
                                   "**@**",
                                   "**@. murder**",
                                   "@ - murder",
                                   "@\nmurder",
                                   "The answer is @",
                                   "the answer is: **(@)**",
                                   "The answer is option @.",
                                   "Answer: @",
                                   "**Answer:** @",
                                   "Answer:\n\n@. murder",
                                   "Answer: @ murder",
                                   "\\boxed{@}",
                                   "\\boxed{\\text{(@)}}",
                                   "\\boxed{@. murder}",
                                   "I think it is @.",
                                   "I choose @",
                                   "It must be @, since B is wrong and so is C: @",
                                   "@ is correct.",
                                   "Option @ is right",
                                   "The right one is @ because it fits",
                                   "B is wrong, so @",
                                   "@. A weapon",
                                   "@. I think so",
                                   "@, as a doctor would say"}) {
      std::string text = form;
      for (size_t at = 0; (at = text.find('@')) != std::string::npos;) text[at] = letter;
      EXPECT_EQ(chosen_letter(text), letter) << text;
    }
  }
}

TEST(Score, ChoiceTakesNoArticleNoPronounAndNoInitial) {
  for (const char* text : {"A murder was done.", "I do not know.", "I'm not sure",
                           "I\u2019d say so", "It happened. A man came, and I saw him.", "A-level",
                           "the U.S.A. did", "He read A Tale of Two Cities", "at 9 A.M. or so"}) {
    EXPECT_EQ(chosen_letter(text), std::nullopt) << text;
  }
  EXPECT_EQ(chosen_letter("Answer: I think B"), 'B');
  EXPECT_EQ(chosen_letter("The answer is I believe (C)"), 'C');
}

TEST(Score, InvalidUtf8IsNeitherThrownNorMisread) {
  EXPECT_TRUE(math_equal("\xFF so it is 42", "42"));
  EXPECT_FALSE(math_equal("\xFF so it is 42", "43"));
  EXPECT_TRUE(math_equal("\xE2\x82 \\boxed{7}", "7"));
  EXPECT_EQ(chosen_letter("\xC0 Answer: B"), 'B');
  EXPECT_EQ(token_f1("\xED\xA0\x80 paris", "Paris"), 2.0 / 3);
}

// A quadratic scorer needs minutes for these; CTest's limit ends it.
TEST(Score, ReadsWhateverAModelRepeatsInLinearTime) {
  constexpr size_t kBytes = 256 << 10;
  for (const std::string unit :
       {"1 ",       "1,", "1",    "1/",           ".",       "-",       "9,999",  "e5",
        "\\boxed{", "{",  "}",    "\\boxed{1}",   "\\left",  "$",       "|",      "a|",
        "the ",     "A ", "I ",   "answer is ",   "answer:", "answer ", "*",      " ",
        "\n",       "(",  "\xFF", "\xE2\x88\x92", "\u00C9",  "```",     "\\frac{"}) {
    const std::string text = repeated(unit, kBytes);
    for (const std::string& answer : {"answer is" + text + "x", "\\boxed{" + text}) {
      EXPECT_EQ(score_of(TaskKind::kMath, answer, "77"), 0) << unit;
      EXPECT_EQ(score_of(TaskKind::kMath, answer, "77", "gsm8k"), 0) << unit;
      EXPECT_EQ(score_of(TaskKind::kQa, answer, "seventy|seven", "drop"), 0) << unit;
      EXPECT_EQ(score_of(TaskKind::kQa, answer, "seventy", "hotpotqa"), 0) << unit;
      Task aflow;
      aflow.answer = "77";
      for (const TaskKind kind : {TaskKind::kMath, TaskKind::kQa, TaskKind::kChoice}) {
        aflow.kind = kind;
        EXPECT_EQ(score_answer(aflow, answer, Scorer::kAflow).score, 0) << unit;
      }
      EXPECT_EQ(score_of(TaskKind::kQa, answer, "seventy|seven"), 0) << unit;
      score_of(TaskKind::kChoice, answer, "A");
      EXPECT_FALSE(math_equal(answer, "77")) << unit;  // linear without the cap, too
      EXPECT_EQ(token_f1(answer, "seventy|seven"), 0) << unit;
      chosen_letter(answer);
    }
  }
}

// What units and numbers are told apart by must not be tried at every place of a long text.
TEST(Score, AValueBeforeAnEndlessUnitIsReadAsItIs) {
  for (const std::string unit :
       {" ", "a", "a ", "1 ", "1 a ", "\\text{a} ", "\\text{a}^2 ", "{", "$ ", ".  "}) {
    const std::string text = "5 \\text{a}" + repeated(unit, kMaxMathValueBytes - 100) + "!";
    EXPECT_NO_THROW(EXPECT_EQ(score_math("\\boxed{" + text + "}", "7").score, 0)) << unit;
    EXPECT_NO_THROW(EXPECT_EQ(score_math("5 " + text, "7").score, 0)) << unit;
    EXPECT_EQ(score_math(text, text).score, 1) << unit;
  }
}

TEST(Score, TheEndOfALongAnswerIsRead) {
  const std::string long_text = repeated("word ", kMaxAnswerBytes);
  EXPECT_EQ(score_of(TaskKind::kMath, long_text + "so it is 12", "12"), 1);
  EXPECT_EQ(score_of(TaskKind::kMath, "it is 12 " + long_text, "12"), 0);
  EXPECT_EQ(score_of(TaskKind::kChoice, long_text + "B", "B"), 1);
  const std::string number = "7" + std::string(kMaxAnswerBytes, '0') + "5";
  EXPECT_EQ(score_of(TaskKind::kMath, number, "5"), 0) << "no part of a word counts as one";
  EXPECT_EQ(score_of(TaskKind::kMath, "\\boxed{3} " + number, "3"), 0);
}

TEST(Score, ChoiceReadsTheStatedLetter) {
  EXPECT_EQ(chosen_letter("I think the answer is (C)."), 'C');
  EXPECT_EQ(chosen_letter("**Answer:** ... Answer: **B**"), 'B');
  EXPECT_EQ(chosen_letter("(A)"), 'A');
  EXPECT_EQ(chosen_letter("A sentence with I in it"), std::nullopt);
  EXPECT_EQ(chosen_letter(R"(\boxed{D})"), 'D');
}

TEST(Score, DispatchesByKind) {
  Task task;
  task.kind = TaskKind::kChoice;
  task.answer = "B";
  EXPECT_EQ(score_answer(task, "Answer: B").score, 1);
  EXPECT_EQ(score_answer(task, "Answer: A").score, 0);
  task.kind = TaskKind::kCode;
  EXPECT_THROW(score_answer(task, ""), std::logic_error);
}

}  // namespace
}  // namespace weft
