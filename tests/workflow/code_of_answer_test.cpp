#include <gtest/gtest.h>

#include "workflow/run_workflow.h"

namespace weft {
namespace {

TEST(CodeOfAnswer, TakesTheLongestFencedBlock) {
  EXPECT_EQ(code_of_answer("Here:\n```\ny\n```\nand\n```python\nx = 1\n```\nand\n```\ny\n```"),
            "x = 1\n");
  EXPECT_EQ(code_of_answer("```\nx = 1\n```"), "x = 1\n");
}

TEST(CodeOfAnswer, KeepsTextWithoutAFence) {
  EXPECT_EQ(code_of_answer("def f():\n    return '```'\n"), "def f():\n    return '```'\n");
}

TEST(CodeOfAnswer, TakesTheRestBehindAnUnclosedFence) {
  EXPECT_EQ(code_of_answer("a\n```python\nx = 1\ny"), "x = 1\ny");
}

}  // namespace
}  // namespace weft
