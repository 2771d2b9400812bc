#include "base/word_vectors.h"

#include <gtest/gtest.h>

#include <cmath>

namespace weft {
namespace {

TEST(WordVectors, FoldCaseAndCutAtWhatIsNoWord) {
  const WordVectors words({"a b"});
  EXPECT_EQ(words.embed("Foo_1, foo_1! BAR").size(), 2u);
  EXPECT_TRUE(words.embed("Foo_1, foo_1! BAR").contains("foo_1"));
  EXPECT_TRUE(words.embed(" ,.\n").empty());
}

// N = 2 texts. "common" is in both: idf = ln(3/3) + 1 = 1; "rare" in one: ln(3/2) + 1; "new" in
// none: ln(3) + 1. Twice a word: tf = 1 + ln 2.
TEST(WordVectors, WeighByRarityAndCount) {
  const WordVectors words({"common rare", "common"});
  const WordVector vector = words.embed("common common rare new");
  const double common = 1 + std::log(2.0), rare = std::log(1.5) + 1, unseen = std::log(3.0) + 1;
  const double length = std::sqrt(common * common + rare * rare + unseen * unseen);
  EXPECT_NEAR(vector.at("common"), common / length, 1e-15);
  EXPECT_NEAR(vector.at("rare"), rare / length, 1e-15);
  EXPECT_NEAR(vector.at("new"), unseen / length, 1e-15);
}

TEST(WordVectors, CosineIsOneForEqualTextsAndZeroWithoutACommonWord) {
  const WordVectors words({"a b c", "d e"});
  EXPECT_NEAR(cosine(words.embed("a b"), words.embed("b a")), 1, 1e-12);
  EXPECT_EQ(cosine(words.embed("a b"), words.embed("d e")), 0);
  EXPECT_EQ(cosine(words.embed(""), words.embed("d e")), 0);
  const double some = cosine(words.embed("a b d"), words.embed("a e"));
  EXPECT_GT(some, 0);
  EXPECT_LT(some, 1);
}

}  // namespace
}  // namespace weft
