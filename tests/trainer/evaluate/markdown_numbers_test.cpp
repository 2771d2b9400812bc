#include "trainer/evaluate/markdown_numbers.h"

#include <gtest/gtest.h>

namespace weft {
namespace {

TEST(MarkdownNumbers, HaveTheirDigitsAndNullIsADash) {
  EXPECT_EQ(format_number(1.25, 1), "1.2");
  EXPECT_EQ(format_number(7, 0), "7");
  EXPECT_EQ(format_score(0.12345), "0.123");
  EXPECT_EQ(format_signed(0.5), "+0.500");
  EXPECT_EQ(format_signed(-1e-17), "+0.000");
  EXPECT_EQ(format_signed(Json()), "-");
  EXPECT_EQ(format_range({0.25, 0.5}, format_score), "0.250 to 0.500");
  EXPECT_EQ(format_range({-0.25, 0.5}, format_signed), "-0.250 to +0.500");
  EXPECT_EQ(format_range({nullptr, nullptr}, format_score), "-");
}

}  // namespace
}  // namespace weft
