#include "data/score.h"

#include <gtest/gtest.h>

namespace weft {
namespace {

TEST(Score, BoxedAnswersAreFoundByCountingBraces) {
  EXPECT_EQ(last_boxed(R"(so \boxed{\frac{\sqrt{2}}{2}} holds)"), R"(\frac{\sqrt{2}}{2})");
  EXPECT_EQ(last_boxed(R"(\boxed{1} then \boxed{2})"), "2");
  EXPECT_EQ(last_boxed(R"(\boxed{1} then \boxed{2)"), "1");
  EXPECT_EQ(last_boxed("none"), std::nullopt);
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
  EXPECT_EQ(score_answer(task, "Answer: B"), 1);
  EXPECT_EQ(score_answer(task, "Answer: A"), 0);
  task.kind = TaskKind::kCode;
  EXPECT_THROW(score_answer(task, ""), std::logic_error);
}

}  // namespace
}  // namespace weft
