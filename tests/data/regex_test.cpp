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

TEST(Regex, NamesTheFaultOfABadPattern) { EXPECT_THROW(Regex("(a"), InputError); }

}  // namespace
}  // namespace weft
