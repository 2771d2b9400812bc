#include "data/regex.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace weft {
namespace {

TEST(Regex, FindsGroupsAllMatchesAndReplaces) {
  const Regex regex("(\\w)=(\\d)?");
  EXPECT_EQ(regex.match("x=1"), (std::vector<std::string>{"x=1", "x", "1"}));
  EXPECT_EQ(regex.match("x="), (std::vector<std::string>{"x=", "x", ""}));
  EXPECT_EQ(regex.match("none"), std::nullopt);
  EXPECT_EQ(regex.find_groups("a=1 b=2", 1), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(Regex("\\s+").replace("a  b c", "_"), "a_b_c");
}

TEST(Regex, EmptyMatchesEnd) { EXPECT_EQ(Regex("x*").find_all("ab").size(), 3u); }

TEST(Regex, EmptyMatchesStepOverWholeCharacters) {
  EXPECT_EQ(Regex("x*").find_all("\u00E9\u20AC").size(), 3u);
}

TEST(Regex, CountsInvalidBytesAsOneCharacter) {
  EXPECT_EQ(Regex("[0-9]+").find_all("1\xFF"
                                     "2"),
            (std::vector<std::string>{"1", "2"}));
  EXPECT_EQ(Regex("b").replace("a\xE2\x82"
                               "b",
                               "c"),
            "a\uFFFDc");
}

TEST(Regex, NeverTakesItsOwnLimitForNoMatch) {
  const Regex regex("^(a|aa)+$");
  EXPECT_TRUE(regex.match(std::string(40, 'a')).has_value());
  EXPECT_THROW(regex.match(std::string(60, 'a') + "b"), Error);
  EXPECT_TRUE(Regex("^(?:a|b)*$").match(std::string(100000, 'a')).has_value()) << "JIT's stack";
}

TEST(Regex, NamesTheFaultOfABadPattern) { EXPECT_THROW(Regex("(a"), InputError); }

}  // namespace
}  // namespace weft
