#include "workflow/python_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft {
namespace {

using testing::ElementsAre;

TEST(PythonText, LinesOfCodeBeginOutsideOfStringsAndBrackets) {
  EXPECT_THAT(code_lines("a = 1\n  # b\n\nc"), ElementsAre("a = 1\n", "  # b\n", "\n", "c"));
  EXPECT_THAT(code_lines("x = '''\n# a\n'''\ny\n"), ElementsAre("x = '''\n", "y\n"));
  EXPECT_THAT(code_lines("x = \"\"\"'\n\"\"\" + '#'\ny"), ElementsAre("x = \"\"\"'\n", "y"));
  EXPECT_THAT(code_lines("f(\n# a\n[1,\n2])\ny\n"), ElementsAre("f(\n", "y\n"));
  EXPECT_THAT(code_lines("x = 1 + \\\n# a\ny"), ElementsAre("x = 1 + \\\n", "y"));
  EXPECT_THAT(code_lines("# it's (\ny"), ElementsAre("# it's (\n", "y"));
}

TEST(PythonText, ReadsTextThatDoesNotParseAsFarAsItGoes) {
  EXPECT_THAT(code_lines("x = 'abc\ny = 1"), ElementsAre("x = 'abc\n", "y = 1"));
  EXPECT_THAT(code_lines(")]\ny"), ElementsAre(")]\n", "y"));
  EXPECT_THAT(code_lines("'''abc\ny"), ElementsAre("'''abc\n"));
  EXPECT_THAT(code_lines("'\\"), ElementsAre("'\\"));
  EXPECT_TRUE(code_lines("").empty());
}

}  // namespace
}  // namespace weft
