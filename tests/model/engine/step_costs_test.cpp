#include "model/engine/step_costs.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/rng.h"

namespace weft {
namespace {

constexpr StepCosts::Shape kShape{1e-4, 3e-4};

TEST(StepCosts, AddUpReadingAndMultiplyingAsTheyOverlap) {
  const StepCosts costs(kShape, 8, 1);
  EXPECT_DOUBLE_EQ(costs.seconds({1, 0}), 8);
  EXPECT_DOUBLE_EQ(costs.seconds({1, 6}), 10);
  const StepWork decoding = costs.decoding(4, 1000);
  EXPECT_DOUBLE_EQ(decoding.reads, 0.1);
  EXPECT_DOUBLE_EQ(decoding.products, 4);
}

TEST(StepCosts, AChunkCostsWhatItsTokensCostOneByOne) {
  const StepCosts costs(kShape);
  double products = 0;
  for (int64_t t = 0; t < 50; ++t) products += costs.prefilling(1000 + t, 1).products;
  EXPECT_NEAR(costs.prefilling(1000, 50).products, products, 1e-9);
  EXPECT_GT(costs.prefilling(1000, 50).products, 1.2 * costs.prefilling(0, 50).products);
}

TEST(StepCosts, TokensWithinABoundFillIt) {
  for (const auto& shape : {StepCosts::Shape{}, kShape, {1e-4, 0.1}}) {
    const StepCosts costs(shape, 8, 1);
    const StepWork besides = StepCosts::step() + costs.decoding(5, 700);
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

// Steps of a machine that keeps to the same law, measured with noise of a tenth.
TEST(StepCosts, AreLearntFromMeasuredSteps) {
  const StepCosts machine(kShape, 9.3e-3, 0.8e-3);
  StepCosts costs(kShape);
  Rng rng(1);
  double worst = 0;
  for (int i = 0; i < 300; ++i) {
    const bool mixed = i % 3 == 0;
    StepWork work = StepCosts::step() + costs.decoding(1 + i % 40, 300 * (1 + i % 40));
    if (mixed) work = work + costs.prefilling(20 * i, 1 + static_cast<int64_t>(rng.below(80)));
    if (i >= 60)
      worst = std::max(worst, std::abs(std::log(costs.seconds(work) / machine.seconds(work))));
    costs.learn(work, machine.seconds(work) * (0.9 + 0.2 * rng.uniform()));
  }
  EXPECT_LT(worst, std::log(1.25));
}

TEST(StepCosts, OneStepThatOthersHeldUpChangesLittle) {
  const StepCosts machine(kShape, 9.3e-3, 0.8e-3);
  StepCosts costs(kShape);
  const StepWork work = StepCosts::step() + costs.decoding(8, 800);
  for (int i = 0; i < 50; ++i) costs.learn(work, machine.seconds(work));
  costs.learn(work, 100 * machine.seconds(work));
  EXPECT_LT(costs.seconds(work), 2 * machine.seconds(work));
  costs.learn(work, 0);
  costs.learn({}, 1);
  EXPECT_LT(costs.seconds(work), 2 * machine.seconds(work));
}

}  // namespace
}  // namespace weft
