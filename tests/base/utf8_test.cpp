#include "base/utf8.h"

#include <gtest/gtest.h>

#include <iterator>
#include <string>

namespace weft {
namespace {

TEST(Utf8, ReplacesEachMaximalInvalidSequenceOnce) {
  EXPECT_EQ(to_valid_utf8("a\xFF"
                          "b"),
            "a\uFFFDb");
  EXPECT_EQ(to_valid_utf8("\xE2\x82"
                          "x"),
            "\uFFFDx");
  EXPECT_EQ(to_valid_utf8("\xF0\x9F\x98"), "\uFFFD");
  EXPECT_EQ(to_valid_utf8("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(to_valid_utf8("\xC0\xAF"), "\uFFFD\uFFFD");
}

TEST(Utf8, FindsOnlySuffixesThatMayStillBecomeACharacter) {
  EXPECT_EQ(incomplete_utf8_suffix("a\xF0\x9F\x98"), 3u);
  EXPECT_EQ(incomplete_utf8_suffix("a\xE2"), 1u);
  EXPECT_EQ(incomplete_utf8_suffix("a\xC3\xA9"), 0u);
  EXPECT_EQ(incomplete_utf8_suffix("a\x80\x80"), 0u);
  EXPECT_EQ(incomplete_utf8_suffix("a\xFF"), 0u);
  EXPECT_EQ(incomplete_utf8_suffix("\xE0\x80"), 0u);
  EXPECT_EQ(incomplete_utf8_suffix(""), 0u);
}

TEST(Utf8, APrefixCutsNoCharacterInTwo) {
  const std::string text = "a\xC3\xA9\xF0\x9F\x98\x80";  // of 1, 2 and 4 bytes
  const size_t kept[] = {0, 1, 1, 3, 3, 3, 3, 7, 7};
  for (size_t most = 0; most < std::size(kept); ++most) {
    EXPECT_EQ(utf8_prefix(text, most), text.substr(0, kept[most])) << most;
  }
}

}  // namespace
}  // namespace weft
