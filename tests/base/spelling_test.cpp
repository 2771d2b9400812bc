#include "base/spelling.h"

#include <gtest/gtest.h>

namespace weft {
namespace {

const std::vector<std::string> kKnown = {"text", "weight", "messages", "tools"};

TEST(Spelling, CountsEditsAndSwapsOfNeighbours) {
  EXPECT_EQ(edit_distance("weight", "weight"), 0u);
  EXPECT_EQ(edit_distance("wieght", "weight"), 1u);
  EXPECT_EQ(edit_distance("", "abc"), 3u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
}

TEST(Spelling, FindsTheWordThatWasMeant) {
  EXPECT_EQ(near_misspelling("wieght", kKnown), "weight");
  EXPECT_EQ(near_misspelling("mesages", kKnown), "messages");
  EXPECT_EQ(near_misspelling("tool", kKnown), "tools");
  EXPECT_EQ(did_you_mean("tool", kKnown), " (did you mean \"tools\"?)");
}

TEST(Spelling, LeavesOtherWordsAlone) {
  EXPECT_EQ(near_misspelling("test", kKnown), "");  // a short word has too many neighbours
  EXPECT_EQ(near_misspelling("source", kKnown), "");
  EXPECT_EQ(did_you_mean("id", kKnown), "");
}

}  // namespace
}  // namespace weft
