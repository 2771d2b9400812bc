#include "base/rng.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"

namespace weft {
namespace {

// Known answers of the Random123 distribution (kat_vectors, philox4x32, 10 rounds).
TEST(Rng, PhiloxGivesThePublishedKnownAnswers) {
  EXPECT_EQ(philox(0, 0, 0),
            (std::array<uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox(~0ull, ~0ull, ~0ull),
            (std::array<uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
}

TEST(Rng, StateContinuesTheSameSequence) {
  Rng rng(7, 3);
  rng.next_u64();
  Rng copy = Rng::from_state(parse_json(dump_json(rng.state()), "state"));
  for (int i = 0; i < 10; ++i) EXPECT_EQ(rng.next_u64(), copy.next_u64());
}

TEST(Rng, SeedsAndStreamsGiveDifferentSequences) {
  EXPECT_NE(Rng(1).next_u64(), Rng(2).next_u64());
  EXPECT_NE(Rng(1, 0).next_u64(), Rng(1, 1).next_u64());
  EXPECT_NE(Rng(1).split(0).next_u64(), Rng(1).split(1).next_u64());
}

// Mean of 40,000 uniforms has sd 0.00144, variance estimate of normals sd 0.0071; five sd each:
// false-alarm rate below 1e-6 a check. The seed is fixed.
TEST(Rng, UniformAndNormalHaveTheirMoments) {
  Rng rng(11);
  double sum = 0, squares = 0;
  constexpr int kDraws = 40000;
  for (int i = 0; i < kDraws; ++i) sum += rng.uniform();
  for (int i = 0; i < kDraws; ++i) squares += std::pow(rng.normal(), 2);
  EXPECT_NEAR(sum / kDraws, 0.5, 0.0073);
  EXPECT_NEAR(squares / kDraws, 1.0, 0.036);
}

TEST(Rng, CategoricalFollowsItsWeights) {
  Rng rng(5);
  const std::vector<double> weights = {1, 0, 3};
  int counts[3] = {};
  for (int i = 0; i < 8000; ++i) ++counts[rng.categorical(weights)];
  EXPECT_EQ(counts[1], 0);
  EXPECT_NEAR(counts[0] / 8000.0, 0.25, 0.025);  // five sd
}

TEST(Rng, CategoricalRefusesBadWeights) {
  Rng rng(5);
  EXPECT_THROW(rng.categorical(std::vector<double>{0, 0}), InputError);
  EXPECT_THROW(rng.categorical(std::vector<double>{1, -1}), InputError);
  EXPECT_THROW(rng.categorical(std::vector<double>{1, std::nan("")}), InputError);
}

TEST(Rng, ShuffleKeepsEveryItem) {
  std::vector<int> items = {1, 2, 3, 4, 5, 6, 7, 8};
  auto shuffled = items;
  Rng(3).shuffle(shuffled);
  EXPECT_NE(shuffled, items);
  std::sort(shuffled.begin(), shuffled.end());
  EXPECT_EQ(shuffled, items);
}

}  // namespace
}  // namespace weft
