#include "workflow/steps.h"

#include <gtest/gtest.h>

namespace weft {
namespace {

const char* const kThreeSteps =
    "class W:\n    def f(self):\n        # Step 1: a\n        x = 1\n\n        # Step 2: b\n"
    "        y = 2\n        # Step 3: c\n        return x + y";

TEST(Steps, KeepTheHeaderWithTheFirstStep) {
  const auto steps = split_steps(kThreeSteps);
  ASSERT_EQ(steps.size(), 3u);
  EXPECT_EQ(steps[0].rfind("class W:", 0), 0u);
  EXPECT_NE(steps[0].find("x = 1"), std::string::npos);
  EXPECT_EQ(steps[1].rfind("        # Step 2: b\n", 0), 0u);
  EXPECT_EQ(steps[2], "        # Step 3: c\n        return x + y");
}

TEST(Steps, JoinGivesTheTextBack) {
  for (const std::string code : {kThreeSteps, "", "no steps\nat all\n", "# Step 1: only",
                                 "\n\n# Step 1: a\r\n# Step 2: b\n"}) {
    EXPECT_EQ(join_steps(split_steps(code)), code);
  }
}

TEST(Steps, TextWithinALiteralOrABracketOpensNone) {
  const std::string code =
      "        # Step 1: a\n        x = '''\n# Step 2: no\n'''\n        y = f(\n        # Step 2: "
      "no\n        1)\n        # Step 2: b\n        z = 1\n";
  const auto steps = split_steps(code);
  ASSERT_EQ(steps.size(), 2u);
  EXPECT_EQ(steps[1], "        # Step 2: b\n        z = 1\n");
  EXPECT_EQ(step_numbers(code), (std::vector<int>{1, 2}));
  EXPECT_EQ(first_step_title("x = '''\n# Step 1: no\n'''\n# Step 2:  yes \n"), "yes");
  EXPECT_EQ(first_step_title("x = 1\n"), "");
}

TEST(Steps, TextWithoutStepsIsOneElementAndEmptyTextNone) {
  EXPECT_EQ(split_steps("x = 1\ny = 2\n").size(), 1u);
  EXPECT_TRUE(split_steps("").empty());
}

TEST(Steps, NumbersComeFromWholeCommentLinesOnly) {
  EXPECT_EQ(
      step_numbers("# Step 1: a\nx = '# Step 9: no'\n  # Step 4: b\n# Step : c\n# Step 2 d\n"),
      (std::vector<int>{1, 4}));
  EXPECT_TRUE(step_numbers("# Step 99999999999: too long\n").empty());
}

TEST(Steps, RenumberChangesOnlyTheNumbers) {
  EXPECT_EQ(renumber_steps("# Step 3: a\nx = 3\n    # Step 12: b\n"),
            "# Step 1: a\nx = 3\n    # Step 2: b\n");
}

}  // namespace
}  // namespace weft
