#include "model/tokenizer/bpe.h"

#include <gtest/gtest.h>

#include <chrono>

#include "base/rng.h"

namespace weft {
namespace {

// Symbols are 'a', 'b', 'c' = 0, 1, 2; each merge makes the next id.
Bpe make_bpe(const std::vector<std::pair<int, int>>& pairs) {
  BpeOptions options;
  options.byte_ids.fill(-1);
  for (int i = 0; i < 3; ++i) options.byte_ids['a' + i] = i;
  std::vector<BpeMerge> merges;
  int32_t next = 3;
  for (const auto& [left, right] : pairs) merges.push_back({left, right, next++});
  return Bpe({}, merges, options);
}

std::vector<int32_t> encode(const Bpe& bpe, std::string_view text) {
  std::vector<int32_t> ids;
  bpe.encode(text, ids);
  return ids;
}

// The definition: the whole word is searched again after every merge.
std::vector<int32_t> slow_encode(const std::vector<std::pair<int, int>>& pairs,
                                 std::string_view text) {
  std::vector<int32_t> ids;
  for (const char c : text) ids.push_back(c - 'a');
  for (;;) {
    size_t best = pairs.size(), at = 0;
    for (size_t i = 0; i + 1 < ids.size(); ++i) {
      for (size_t rank = 0; rank < best; ++rank) {
        if (pairs[rank] == std::pair<int, int>{ids[i], ids[i + 1]}) {
          best = rank;
          at = i;
        }
      }
    }
    if (best == pairs.size()) return ids;
    ids[at] = static_cast<int32_t>(3 + best);
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(at) + 1);
  }
}

TEST(Bpe, MergesTheLowestRankFirstAndTheLeftmostOfEquals) {
  const Bpe bpe = make_bpe({{1, 2}, {0, 1}, {0, 0}});
  EXPECT_EQ(encode(bpe, "abc"), (std::vector<int32_t>{0, 3}));
  EXPECT_EQ(encode(bpe, "aaa"), (std::vector<int32_t>{5, 0}));
}

TEST(Bpe, EqualsTheDefinitionOnShortAndLongWords) {
  const std::vector<std::pair<int, int>> pairs = {{0, 1}, {2, 2}, {3, 4}, {0, 0},
                                                  {3, 3}, {5, 6}, {1, 0}, {7, 2}};
  const Bpe bpe = make_bpe(pairs);
  BpeCache cache;
  Rng rng(3);
  for (int i = 0; i < 600; ++i) {
    std::string word;
    for (uint64_t n = rng.below(80); n > 0; --n) word += static_cast<char>('a' + rng.below(3));
    const auto expected = slow_encode(pairs, word);
    ASSERT_EQ(encode(bpe, word), expected) << word;
    for (int again = 0; again < 2; ++again) {
      std::vector<int32_t> ids;
      bpe.encode(word, cache, ids);
      ASSERT_EQ(ids, expected) << word;
    }
  }
}

// 1 MB of one letter: about 0.3 s; a quadratic merge would need hours.
TEST(Bpe, IsNotQuadraticInALongWord) {
  std::vector<std::pair<int, int>> pairs = {{0, 0}};
  for (int i = 0; i < 10; ++i) pairs.emplace_back(3 + i, 3 + i);
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(encode(make_bpe(pairs), std::string(1 << 20, 'a')).size(), size_t{1} << 9);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
}

TEST(Bpe, DropsBytesThatNoTokenStandsFor) { EXPECT_EQ(encode(make_bpe({}), "axb").size(), 2u); }

}  // namespace
}  // namespace weft
