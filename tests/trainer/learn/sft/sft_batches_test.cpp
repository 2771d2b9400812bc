#include "trainer/learn/sft/sft_batches.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <numeric>
#include <set>

#include "base/error.h"
#include "base/rng.h"
#include "trainer/learn/sft/train_sft_program.h"

namespace weft {
namespace {

TEST(SftSchedule, VisitsEveryExampleOnceAnEpochInANewOrder) {
  SftConfig config;
  config.epochs = 2;
  config.sequences_per_step = 4;
  SftSchedule schedule(10, config);
  ASSERT_EQ(schedule.num_steps(), 6);
  std::vector<std::vector<int64_t>> orders(2);
  for (int64_t step = 0; step < 6; ++step) {
    for (const int64_t i : schedule.batch(step)) orders[step / 3].push_back(i);
  }
  for (const auto& order : orders) {
    EXPECT_EQ(std::set<int64_t>(order.begin(), order.end()).size(), 10u);
  }
  EXPECT_NE(orders[0], orders[1]);
  config.max_steps = 5;
  EXPECT_EQ(SftSchedule(10, config).num_steps(), 5);
}

TEST(SftSchedule, GivesAStepItsExamplesWhateverWasAskedBefore) {
  SftConfig config;
  config.epochs = 3;
  config.sequences_per_step = 4;
  config.seed = 5;
  SftSchedule straight(10, config);
  for (int64_t step = 0; step < straight.num_steps(); ++step) {
    std::vector<int64_t> order(10);
    std::iota(order.begin(), order.end(), 0);
    Rng(5, static_cast<uint64_t>(step / 3)).shuffle(order);
    const auto begin = order.begin() + step % 3 * 4;
    const std::vector<int64_t> expected(begin, std::min(begin + 4, order.end()));
    EXPECT_EQ(straight.batch(step), expected);
    EXPECT_EQ(SftSchedule(10, config).batch(step), expected);  // a resumed run's
  }
}

/// Example i has the prompt i and, where i is even, a second sequence.
class Numbers : public ExampleSource {
 public:
  explicit Numbers(int64_t bad = -1) : bad_(bad) {}
  int64_t size() const override { return 10; }
  std::vector<TrainSequence> encode(int64_t i) const override {
    if (i == bad_) throw InputError("bad");
    ++num_encoded;
    const TrainSequence one{{static_cast<int32_t>(i)}, {1}};
    return i % 2 == 0 ? std::vector<TrainSequence>{one, one} : std::vector<TrainSequence>{one};
  }
  std::string where(int64_t i) const override { return std::to_string(i); }

  mutable std::atomic<int64_t> num_encoded{0};

 private:
  int64_t bad_;
};

SftConfig steps_of_four() {
  SftConfig config;
  config.epochs = 2;
  config.sequences_per_step = 4;
  return config;
}

TEST(SftBatches, HoldAllSequencesOfAStepAndNoMoreThanTheNextStepsAhead) {
  const SftConfig config = steps_of_four();
  SftSchedule schedule(10, config);
  const Numbers source;
  SftBatches batches(source, SftSchedule(10, config));
  int64_t taken = 0;
  for (int64_t step = 0; step < batches.num_steps(); ++step) {
    const SftBatch batch = batches.at(step);
    std::vector<int64_t> expected;
    for (const int64_t i : schedule.batch(step)) {
      expected.insert(expected.end(), i % 2 == 0 ? 2 : 1, i);
      ++taken;
    }
    EXPECT_EQ(batch.examples, expected);
    for (size_t k = 0; k < expected.size(); ++k) {
      EXPECT_EQ(batch.sequences[k].prompt_ids[0], static_cast<int32_t>(expected[k]));
    }
    EXPECT_EQ(batches.where(3), "3");
    EXPECT_LE(source.num_encoded, taken + 4);
  }
  EXPECT_EQ(source.num_encoded, taken);
  EXPECT_EQ(batches.at(2).examples, SftBatches(source, schedule).at(2).examples);
}

TEST(SftBatches, AnExampleThatCannotBeReadFailsItsOwnStep) {
  const SftConfig config = steps_of_four();
  SftSchedule schedule(10, config);
  const int64_t bad = schedule.batch(1)[0];
  const Numbers source(bad);
  SftBatches batches(source, SftSchedule(10, config));
  EXPECT_EQ(batches.at(0).examples.empty(), false);
  EXPECT_THROW(batches.at(1), InputError);
}

TEST(SftBatches, LeaveOutEverySequenceOfAnExample) {
  const Numbers source;
  SftBatches batches(source, SftSchedule(10, steps_of_four()));
  SftBatch batch = batches.at(0);
  const std::vector<int64_t> before = batch.examples;
  batch.leave_out({before.front(), 99});
  std::vector<int64_t> expected = before;
  std::erase(expected, before.front());
  EXPECT_EQ(batch.examples, expected);
  ASSERT_EQ(batch.sequences.size(), expected.size());
  for (size_t k = 0; k < expected.size(); ++k) {
    EXPECT_EQ(batch.sequences[k].prompt_ids[0], static_cast<int32_t>(expected[k]));
  }
}

}  // namespace
}  // namespace weft
