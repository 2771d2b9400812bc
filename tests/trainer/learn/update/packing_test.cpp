#include "trainer/learn/update/packing.h"

#include <gtest/gtest.h>

#include <numeric>
#include <stdexcept>

#include "tests/trainer/learn/update/learn_support.h"
#include "trainer/learn/update/learner.h"

namespace weft {
namespace {

std::vector<int64_t> values(const at::Tensor& t) {
  const int64_t* data = t.const_data_ptr<int64_t>();
  return {data, data + t.numel()};
}

std::vector<int64_t> positions(const Microbatch& m) {
  const int32_t* data = m.batch.positions.const_data_ptr<int32_t>();
  return {data, data + m.batch.positions.numel()};
}

using Ints = std::vector<int64_t>;

// Sizes 7, 5, 4, 3, 1 into bins of 8: 7 alone with 1, 5 with 3, 4 alone.
TEST(BestFitDecreasing, PutsEachItemWhereItLeavesLeastRoom) {
  const Ints sizes = {3, 7, 1, 5, 4};
  const std::vector<Ints> expected = {{1, 2}, {3, 0}, {4}};
  EXPECT_EQ(best_fit_decreasing(sizes, 8), expected);
}

TEST(BestFitDecreasing, GivesAnOversizedItemABinOfItsOwn) {
  const Ints sizes = {2, 9, 2};
  const std::vector<Ints> expected = {{1}, {0, 2}};
  EXPECT_EQ(best_fit_decreasing(sizes, 4), expected);
}

TEST(BestFitDecreasing, PlacesEveryItemOnceWithinCapacity) {
  Rng rng(3);
  Ints sizes;
  for (int i = 0; i < 300; ++i) sizes.push_back(1 + static_cast<int64_t>(rng.below(90)));
  Ints seen(sizes.size());
  const auto bins = best_fit_decreasing(sizes, 100);
  for (const auto& bin : bins) {
    int64_t used = 0;
    for (const int64_t i : bin) {
      used += sizes[i];
      ++seen[i];
    }
    EXPECT_LE(used, 100);
  }
  EXPECT_EQ(seen, Ints(sizes.size(), 1));
  const int64_t total = std::accumulate(sizes.begin(), sizes.end(), int64_t{0});
  EXPECT_LE(static_cast<int64_t>(bins.size()), total / 100 * 11 / 9 + 2);  // BFD's bound
}

TEST(Packing, PredictsOnlyCompletionTokens) {
  const std::vector<TrainSequence> sequences = {{{5, 6, 7}, {8, 9}}, {{1}, {2}}};
  const auto packed = pack(sequences, {100, true});
  ASSERT_EQ(packed.size(), 1u);
  const Microbatch& m = packed[0];
  EXPECT_EQ(values(m.ids), (Ints{5, 6, 7, 8, 9, 1, 2}));
  EXPECT_EQ(m.batch.cu_seqlens, (Ints{0, 5, 7}));
  EXPECT_EQ(positions(m), (Ints{0, 1, 2, 3, 4, 0, 1}));
  EXPECT_EQ(values(m.rows), (Ints{2, 3, 5}));
  EXPECT_EQ(values(m.targets), (Ints{8, 9, 2}));
  ASSERT_EQ(m.spans.size(), 2u);
  EXPECT_EQ(m.spans[1].sequence, 1);
  EXPECT_EQ(m.spans[1].begin, 2);
  EXPECT_EQ(m.spans[1].length, 1);
}

TEST(Packing, ComputesASharedPromptOnce) {
  const std::vector<TrainSequence> sequences = {{{5, 6}, {7, 8}}, {{5, 6}, {9, 4, 3}}};
  const auto packed = pack(sequences, {100, true});
  ASSERT_EQ(packed.size(), 1u);
  const Microbatch& m = packed[0];
  EXPECT_EQ(values(m.ids), (Ints{5, 6, 7, 8, 9, 4, 3}));
  EXPECT_EQ(m.batch.prefix, (Ints{-1, 0, 0}));
  EXPECT_EQ(positions(m), (Ints{0, 1, 2, 3, 2, 3, 4}));
  EXPECT_EQ(values(m.rows), (Ints{1, 2, 1, 4, 5}));
  EXPECT_EQ(values(m.targets), (Ints{7, 8, 9, 4, 3}));
}

TEST(Packing, RepeatsASharedPromptWhereItsGroupDoesNotFit) {
  const std::vector<TrainSequence> sequences(5, TrainSequence{{1, 2, 3}, {4, 5, 6}});
  int64_t total = 0;
  for (const auto& m : pack(sequences, {9, true})) {
    EXPECT_LE(m.num_tokens(), 9);
    total += m.num_loss_tokens();
  }
  EXPECT_EQ(total, 15);
}

TEST(Packing, PredictsOnlyTheMarkedTokensOfACompletion) {
  const std::vector<TrainSequence> sequences = {{{5, 6}, {7, 8, 9, 4}, {1, 0, 0, 1}, 0.5},
                                                {{5, 6}, {3}}};
  for (const bool share : {true, false}) {
    const auto packed = pack(sequences, {100, share});
    ASSERT_EQ(packed.size(), 1u);
    const Microbatch& m = packed[0];
    EXPECT_EQ(values(m.targets), (Ints{7, 4, 3}));
    EXPECT_EQ(values(m.rows), share ? (Ints{1, 4, 1}) : (Ints{1, 4, 7}));
    EXPECT_EQ(m.weights, (std::vector<float>{0.5f, 0.5f, 1.0f}));
    ASSERT_EQ(m.spans.size(), 2u);
    EXPECT_EQ(m.spans[0].length, 2);
    EXPECT_EQ(m.spans[1].begin, 2);
  }
  EXPECT_EQ(total_loss_weight(sequences), 2.0);
}

TEST(Packing, WeightsOfOneAreNone) {
  const std::vector<TrainSequence> sequences = {{{1}, {2, 3}}, {{1}, {4}}};
  EXPECT_TRUE(pack(sequences, {100, true})[0].weights.empty());
}

TEST(Packing, RefusesMarksThatAreNoneOrOfAnotherLength) {
  const std::vector<TrainSequence> none = {{{1}, {2, 3}, {0, 0}}}, shorter = {{{1}, {2, 3}, {1}}};
  EXPECT_THROW(pack(none, {}), std::invalid_argument);
  EXPECT_THROW(pack(shorter, {}), std::invalid_argument);
}

TEST(Packing, RefusesAnEmptyPromptOrCompletion) {
  const std::vector<TrainSequence> no_prompt = {{{}, {1}}}, no_completion = {{{1}, {}}};
  EXPECT_THROW(pack(no_prompt, {}), std::invalid_argument);
  EXPECT_THROW(pack(no_completion, {}), std::invalid_argument);
}

}  // namespace
}  // namespace weft
