#include "trainer/learn/update/lr_schedule.h"

#include <gtest/gtest.h>

#include <cmath>

namespace weft {
namespace {

LrScheduleOptions schedule(LrDecay decay, int64_t warmup) { return {1.0, warmup, decay}; }

TEST(LrSchedule, RisesInAStraightLineDuringWarmUp) {
  const auto s = schedule(LrDecay::kConstant, 4);
  EXPECT_DOUBLE_EQ(learning_rate(s, 0, 10), .25);
  EXPECT_DOUBLE_EQ(learning_rate(s, 3, 10), 1);
  EXPECT_DOUBLE_EQ(learning_rate(s, 9, 10), 1);
}

TEST(LrSchedule, CosineFallsToATenth) {
  const auto s = schedule(LrDecay::kCosine, 2);
  EXPECT_DOUBLE_EQ(learning_rate(s, 2, 12), 1);
  EXPECT_NEAR(learning_rate(s, 7, 12), .55, 1e-12);
  EXPECT_NEAR(learning_rate(s, 12, 12), .1, 1e-12);
  EXPECT_NEAR(learning_rate(s, 50, 12), .1, 1e-12);
}

TEST(LrSchedule, LinearFallsToZero) {
  const auto s = schedule(LrDecay::kLinear, 0);
  EXPECT_DOUBLE_EQ(learning_rate(s, 0, 4), 1);
  EXPECT_DOUBLE_EQ(learning_rate(s, 3, 4), .25);
  EXPECT_DOUBLE_EQ(learning_rate(s, 4, 4), 0);
}

// The last 3 of 10 steps, after 2 of warm-up.
TEST(LrSchedule, WsdKeepsThePeakAndFallsToZeroOverTheLastSteps) {
  LrScheduleOptions s = schedule(LrDecay::kWsd, 2);
  s.wsd_share = .3;
  EXPECT_DOUBLE_EQ(learning_rate(s, 0, 10), .5);
  for (const int64_t step : {2, 6, 7}) EXPECT_DOUBLE_EQ(learning_rate(s, step, 10), 1) << step;
  EXPECT_DOUBLE_EQ(learning_rate(s, 8, 10), 2.0 / 3);
  EXPECT_DOUBLE_EQ(learning_rate(s, 9, 10), 1.0 / 3);
  EXPECT_DOUBLE_EQ(learning_rate(s, 10, 10), 0);
  for (const double share : {0.0, -.1, 1.1, std::nan("")}) {
    s.wsd_share = share;
    EXPECT_THROW(s.validate(), InputError) << share;
  }
}

TEST(LrSchedule, RefusesARateOutsideZeroToOne) {
  for (const double lr : {-1.0, 1.5, 100.0, std::nan("")}) {
    EXPECT_THROW((LrScheduleOptions{lr, 0, LrDecay::kConstant}.validate()), InputError) << lr;
  }
}

TEST(LrSchedule, RefusesAWarmUpThatOutlastsTheRun) {
  EXPECT_NO_THROW(schedule(LrDecay::kCosine, 10).require_warmup_within(10));
  EXPECT_THROW(schedule(LrDecay::kCosine, 11).require_warmup_within(10), InputError);
}

}  // namespace
}  // namespace weft
