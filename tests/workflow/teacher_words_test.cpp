#include "workflow/teacher_words.h"

#include <gtest/gtest.h>

namespace weft {
namespace {

Task code_task(std::string entry, std::string prompt) {
  Task task;
  task.entry_point = std::move(entry);
  task.prompt = std::move(prompt);
  return task;
}

TEST(TeacherWords, ReadTheCallAndThePhrase) {
  const auto words = words_of(code_task(
      "count_vowels", "Write count_vowels(text: str) -> int that returns the number of vowels."));
  EXPECT_EQ(words.entry, "count_vowels");
  EXPECT_EQ(words.call, "count_vowels(text)");
  EXPECT_EQ(words.phrase, "returns the number of vowels");
  EXPECT_TRUE(words.is_predicate);
  EXPECT_EQ(words.topic, "string");
}

TEST(TeacherWords, ReadARelativeClauseBehindACodeSpan) {
  const auto words = words_of(code_task(
      "drop_dups", "Define a function `drop_dups(items)` in Python that removes repeated items."));
  EXPECT_EQ(words.call, "drop_dups(items)");
  EXPECT_EQ(words.phrase, "removes repeated items");
}

TEST(TeacherWords, TakeTheLastQuestionWhereNoCodeIsAsked) {
  Task task;
  task.kind = TaskKind::kMath;
  task.prompt = "Ann has 3 pens. She buys 4 more, which counts. How many pens has she now?";
  EXPECT_EQ(words_of(task).phrase, "How many pens has she now");
  EXPECT_FALSE(words_of(task).is_predicate);
}

TEST(TeacherWords, FallBackToTheFirstWords) {
  const auto words = words_of(code_task("f", "Sort the numbers, then reverse them."));
  EXPECT_EQ(words.call, "f");
  EXPECT_EQ(words.phrase, "Sort the numbers");
  EXPECT_EQ(words.topic, "number");
}

TEST(TeacherWords, AreSafeInsideAPythonString) {
  const auto words =
      words_of(code_task("f", "f('x\\y\") returns \"{a}`b'\n\\c\" and \xc3\xa9 more \x01 of it"));
  for (const auto& word : {words.entry, words.call, words.phrase, words.topic}) {
    EXPECT_EQ(word.find_first_of("\"'\\`{}\n"), std::string::npos) << word;
    for (const char c : word) EXPECT_TRUE(c >= ' ' && c <= '~') << word;
    EXPECT_FALSE(word.empty());
  }
}

TEST(TeacherWords, NameTheAnswerWhereThereIsNoEntryPoint) {
  Task task;
  task.kind = TaskKind::kMath;
  const auto words = words_of(task);
  EXPECT_EQ(words.entry, "the answer");
  EXPECT_EQ(words.phrase, "the answer");
  task.kind = TaskKind::kCode;
  EXPECT_EQ(words_of(task).entry, "the program");
  EXPECT_EQ(words_of(task).call, "the program");
}

}  // namespace
}  // namespace weft
