#include "model/engine/pass_costs.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/rng.h"

namespace weft {
namespace {

constexpr PassCosts::Shape kShape{1e-4, 3e-4};

TEST(PassCosts, AddUpReadingAndMultiplyingAsTheyOverlap) {
  const PassCosts costs(kShape, 8, 1);
  EXPECT_DOUBLE_EQ(costs.seconds({1, 0, 0}), 8);
  EXPECT_DOUBLE_EQ(costs.seconds({1, 6, 0}), 10);
  EXPECT_DOUBLE_EQ(costs.seconds({1, 2, 4}), 10);
  const PassWork decoding = costs.decoding(4, 1000);
  EXPECT_DOUBLE_EQ(decoding.reads, 0.1);
  EXPECT_DOUBLE_EQ(decoding.decoded, 4);
}

TEST(PassCosts, AChunkCostsWhatItsTokensCostOneByOne) {
  const PassCosts costs(kShape);
  double prefilled = 0;
  for (int64_t t = 0; t < 50; ++t) prefilled += costs.prefilling(1000 + t, 1).prefilled;
  EXPECT_NEAR(costs.prefilling(1000, 50).prefilled, prefilled, 1e-9);
  EXPECT_GT(costs.prefilling(1000, 50).prefilled, 1.2 * costs.prefilling(0, 50).prefilled);
}

TEST(PassCosts, TokensWithinABoundFillIt) {
  for (const auto& shape : {PassCosts::Shape{}, kShape, {1e-4, 0.1}}) {
    const PassCosts costs(shape, 8, 1);
    const PassWork besides = PassCosts::pass() + costs.decoding(5, 700);
    for (const int64_t start : {0, 5000}) {
      for (const double seconds : {20.0, 31.5, 3000.0}) {
        const int64_t count = costs.tokens_within(besides, start, seconds);
        const auto with = [&](int64_t n) {
          return costs.seconds(besides + costs.prefilling(start, n));
        };
        EXPECT_LE(with(count), seconds * (1 + 1e-9));
        EXPECT_GT(with(count + 1 + count / 20), seconds);
      }
      EXPECT_EQ(costs.tokens_within(besides, start, 7), 0);
    }
  }
}

// Passes of a machine that keeps to the same law, measured with noise of a tenth.
TEST(PassCosts, AreLearntFromMeasuredPasses) {
  const PassCosts machine(kShape, 9.3e-3, 0.8e-3);
  PassCosts costs(kShape);
  Rng rng(1);
  double worst = 0;
  for (int i = 0; i < 300; ++i) {
    const bool mixed = i % 3 == 0;
    PassWork work = PassCosts::pass() + costs.decoding(1 + i % 40, 300 * (1 + i % 40));
    if (mixed) work = work + costs.prefilling(20 * i, 1 + static_cast<int64_t>(rng.below(80)));
    if (i >= 60)
      worst = std::max(worst, std::abs(std::log(costs.seconds(work) / machine.seconds(work))));
    costs.learn(work, machine.seconds(work) * (0.9 + 0.2 * rng.uniform()));
  }
  EXPECT_LT(worst, std::log(1.25));
}

// A token of a prompt costs more than the next one of a sequence, and a minute of mixed passes does
// not change what sequences are expected to take alone.
TEST(PassCosts, ManyPassesOfOneKindTeachNothingOfTheOther) {
  PassCosts costs(kShape);
  const PassWork alone = PassCosts::pass() + costs.decoding(8, 2400);
  for (int i = 0; i < 40; ++i) costs.learn(alone, 10e-3);
  Rng rng(3);
  for (int i = 0; i < 600; ++i) {
    const int64_t start = 10 * i, most = costs.tokens_within(alone, start, 30e-3);
    const int64_t count = std::max<int64_t>(1, most);
    const PassWork work = alone + costs.prefilling(start, count);
    costs.learn(work, (10e-3 + 3e-3 * static_cast<double>(count)) * (0.95 + 0.2 * rng.uniform()));
    if (i >= 20) {
      EXPECT_LE(count, 8);
      EXPECT_GE(count, 4);
    }
  }
  EXPECT_NEAR(costs.seconds(alone), 10e-3, 0.1e-3);
}

TEST(PassCosts, OnePassThatOthersHeldUpChangesLittle) {
  const PassCosts machine(kShape, 9.3e-3, 0.8e-3);
  PassCosts costs(kShape);
  const PassWork work = PassCosts::pass() + costs.decoding(8, 800);
  for (int i = 0; i < 50; ++i) costs.learn(work, machine.seconds(work));
  costs.learn(work, 100 * machine.seconds(work));
  EXPECT_LT(costs.seconds(work), 2 * machine.seconds(work));
  costs.learn(work, 0);
  costs.learn({}, 1);
  EXPECT_LT(costs.seconds(work), 2 * machine.seconds(work));
}

}  // namespace
}  // namespace weft
