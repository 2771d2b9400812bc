// Slots between requests, and what counts as waiting.
#include <gtest/gtest.h>

#include "tests/model/engine/scheduler_support.h"

namespace weft {
namespace {

using namespace test;

SchedulerOptions wide_options(int64_t num_blocks = 1000) {
  SchedulerOptions options = scheduler_options(num_blocks);
  options.max_batch = 16;
  return options;
}

int64_t count(const FakeEngine& engine, int64_t request, int n, SequenceState state) {
  int64_t found = 0;
  for (int i = 0; i < n; ++i) found += engine.scheduler.state(request, i) == state;
  return found;
}

int64_t decoding(const FakeEngine& engine, int64_t request, int n) {
  return count(engine, request, n, SequenceState::kDecoding);
}

// The one that came second has its first token after its prompt, although the first could use every
// slot for long.
TEST(SchedulerFairness, ARequestOfManyChoicesHoldsNobodyUp) {
  FakeEngine engine(wide_options());
  const int64_t many = engine.submit(prompt_of(20, 1), 50, 128);
  for (int i = 0; i < 5; ++i) engine.pass();
  EXPECT_EQ(decoding(engine, many, 128), 16);
  const int64_t one = engine.submit(prompt_of(20, 2), 10);
  engine.pass();
  EXPECT_EQ(engine.scheduler.state(one, 0), SequenceState::kDecoding);
  EXPECT_EQ(decoding(engine, many, 128), 15);
  EXPECT_EQ(engine.scheduler.state(many, 15), SequenceState::kPaused);  // the youngest
  for (int i = 0; i < 9; ++i) engine.pass();
  EXPECT_EQ(engine.ids(one), expected_ids(prompt_of(20, 2), sampling(10), 0, 512));
  EXPECT_EQ(engine.scheduler.state(many, 15), SequenceState::kDecoding);
  engine.run();
  for (int choice = 0; choice < 128; ++choice) {
    EXPECT_EQ(engine.ids(many, choice), expected_ids(prompt_of(20, 1), sampling(50), choice, 512));
  }
  EXPECT_EQ(engine.scheduler.stats().preemptions, 0);
  engine.expect_empty();
}

TEST(SchedulerFairness, RequestsThatWantManySlotsShareThemEvenly) {
  FakeEngine engine(wide_options());
  const int64_t first = engine.submit(prompt_of(20, 1), 100, 40);
  for (int i = 0; i < 3; ++i) engine.pass();
  const int64_t second = engine.submit(prompt_of(20, 2), 100, 40);
  for (int i = 0; i < 3; ++i) engine.pass();
  EXPECT_EQ(decoding(engine, first, 40), 8);
  EXPECT_EQ(decoding(engine, second, 40), 8);
  const int64_t third = engine.submit(prompt_of(20, 3), 100, 3);
  for (int i = 0; i < 3; ++i) engine.pass();
  EXPECT_EQ(decoding(engine, third, 3), 3);
  const int64_t left = decoding(engine, first, 40) - decoding(engine, second, 40);
  EXPECT_LE(std::abs(left), 1);
  engine.run();
  engine.expect_empty();
}

// Requests that were submitted together take the slots in their order: few prompts are in the cache
// at a time. Others are not held up by how many they are.
TEST(SchedulerFairness, RequestsOfOneJobShareItsSlots) {
  FakeEngine engine(wide_options());
  std::vector<int64_t> job;
  for (uint64_t i = 0; i < 20; ++i) {
    auto request = FakeEngine::request_of(prompt_of(16, i), 40, 8, i);
    request->job = 1;
    job.push_back(engine.submit(std::move(request)));
  }
  for (int i = 0; i < 4; ++i) engine.pass();
  EXPECT_EQ(decoding(engine, job[0], 8), 8);
  EXPECT_EQ(decoding(engine, job[1], 8), 8);
  EXPECT_EQ(engine.scheduler.state(job[2], kPrompt), SequenceState::kWaiting);
  EXPECT_EQ(engine.scheduler.stats().queued, 18);
  const int64_t other = engine.submit(prompt_of(20, 99), 5);
  for (int i = 0; i < 5; ++i) engine.pass();
  EXPECT_TRUE(engine.responses.contains(other));
  engine.run();
  for (uint64_t i = 0; i < 20; ++i) {
    EXPECT_EQ(engine.ids(job[i], 7), expected_ids(prompt_of(16, i), sampling(40, i), 7, 512));
  }
}

// Every slot belongs to a request of many choices, and each has just one: those that come later
// get theirs as choices end, and so do the first ones again.
TEST(SchedulerFairness, WithMoreRequestsThanSlotsTheyTakeTurns) {
  FakeEngine engine(wide_options());
  std::vector<int64_t> large, small;
  for (uint64_t i = 0; i < 16; ++i) large.push_back(engine.submit(prompt_of(4, i), 10, 30, i));
  for (int i = 0; i < 4; ++i) engine.pass();
  for (const int64_t id : large) EXPECT_EQ(decoding(engine, id, 30), 1);
  for (uint64_t i = 0; i < 16; ++i) small.push_back(engine.submit(prompt_of(4, 100 + i), 10, 1, i));
  for (int i = 0; i < 50; ++i) engine.pass();
  for (const int64_t id : small) EXPECT_TRUE(engine.responses.contains(id));
  for (const int64_t id : large) EXPECT_GE(count(engine, id, 30, SequenceState::kEnded), 2);
  engine.run();
  engine.expect_empty();
}

TEST(SchedulerFairness, NewRequestsWithoutEndDoNotStopAnOldOne) {
  FakeEngine engine(wide_options());
  const int64_t old = engine.submit(prompt_of(20, 1), 20, 40);
  int64_t before = 0;
  for (uint64_t pass = 1; pass < 2000 && !engine.responses.contains(old); ++pass) {
    for (int i = 0; i < 2; ++i) engine.submit(prompt_of(10, pass), 12, 1, pass);
    engine.pass();
    if (pass % 100 != 0) continue;
    const int64_t ended = count(engine, old, 40, SequenceState::kEnded);
    EXPECT_GT(ended, before);
    before = ended;
  }
  EXPECT_EQ(engine.ids(old, 39), expected_ids(prompt_of(20, 1), sampling(20), 39, 512));
}

// A paused choice keeps its blocks until others need them.
TEST(SchedulerFairness, APausedChoiceIsTheFirstToLoseItsBlocks) {
  FakeEngine engine(wide_options(60));
  const int64_t many = engine.submit(prompt_of(32, 1), 60, 16);
  for (int i = 0; i < 3; ++i) engine.pass();
  std::vector<int64_t> others;
  for (uint64_t i = 0; i < 4; ++i) others.push_back(engine.submit(prompt_of(40, 10 + i), 60, 1, i));
  bool taken = false;
  while (engine.scheduler.has_work()) {
    engine.pass();
    const bool has_paused = count(engine, many, 16, SequenceState::kPaused) > 0;
    const bool has_lost = count(engine, many, 16, SequenceState::kPreempted) > 0;
    taken |= has_lost;
    for (const int64_t id : others) {
      if (has_paused) {
        EXPECT_NE(engine.scheduler.state(id, 0), SequenceState::kPreempted);
      }
    }
    engine.scheduler.check();
  }
  EXPECT_TRUE(taken);
  for (int i = 0; i < 16; ++i) {
    EXPECT_EQ(engine.ids(many, i), expected_ids(prompt_of(32, 1), sampling(60), i, 512));
  }
}

// Queued is what was submitted and not let in; running what passes compute.
TEST(SchedulerFairness, WhatWaitsIsCounted) {
  FakeEngine engine(wide_options());
  const auto& stats = engine.scheduler.stats();
  for (uint64_t i = 0; i < 20; ++i) engine.submit(prompt_of(10, i), 20, 1, i);
  EXPECT_EQ(stats.queued, 20);
  EXPECT_EQ(stats.running, 0);
  const PassPlan plan = engine.scheduler.plan(engine.costs);
  EXPECT_EQ(stats.queued, 4);  // 16 have a slot to come; 6 of them fit the pass
  EXPECT_EQ(stats.running, 16);
  engine.scheduler.apply(plan, engine.compute(plan));
  engine.pass();
  EXPECT_EQ(stats.queued, 4);
  EXPECT_EQ(stats.running, 16);
  while (stats.queued > 0) engine.pass();
  engine.run();
  EXPECT_EQ(stats.running, 0);
}

}  // namespace
}  // namespace weft
