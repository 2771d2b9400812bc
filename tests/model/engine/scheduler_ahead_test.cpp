// Passes that are planned before the draws of the one before them are known.
#include <gtest/gtest.h>

#include "tests/model/engine/scheduler_support.h"

namespace weft {
namespace {

using namespace test;

TEST(PlanAhead, TakesEachIdFromTheDrawOfThePassBefore) {
  FakeEngine engine;
  const auto a = engine.submit(prompt_of(20, 1), 12), b = engine.submit(prompt_of(9, 2), 5);
  while (engine.scheduler.stats().decode_passes == 0) engine.pass();
  EXPECT_EQ(engine.passes_ahead(100), 9);  // of 12 tokens: the prompt gives the first
  engine.run();
  EXPECT_EQ(engine.ids(a), expected_ids(prompt_of(20, 1), sampling(12), 0, 512));
  EXPECT_EQ(engine.ids(b), expected_ids(prompt_of(9, 2), sampling(5), 0, 512));
  engine.expect_empty();
}

// They end by a token that nobody could know, so that a pass computes one more in vain.
TEST(PlanAhead, ATokenComputedInVainLeavesNoTrace) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    FakeEngine engine;
    std::vector<int64_t> requests;
    for (uint64_t i = 0; i < 4; ++i) {
      auto request = FakeEngine::request_of(prompt_of(10 + 5 * i, i), 80, 1, seed);
      request->request.sampling.ignore_eos = false;
      requests.push_back(engine.submit(std::move(request)));
    }
    while (engine.scheduler.has_work()) engine.passes_ahead(100);
    for (uint64_t i = 0; i < 4; ++i) {
      SamplingParams expected = sampling(80, seed);
      expected.ignore_eos = false;
      EXPECT_EQ(engine.ids(requests[i]), expected_ids(prompt_of(10 + 5 * i, i), expected, 0, 512));
    }
    EXPECT_EQ(engine.scheduler.stats().decoded_tokens, [&] {
      int64_t tokens = 0;
      for (const int64_t r : requests) tokens += std::ssize(engine.ids(r));
      return tokens;
    }());
    engine.expect_empty();
  }
}

TEST(PlanAhead, WaitsForWhoeverWantsAPlace) {
  FakeEngine engine;
  engine.submit(prompt_of(20, 1), 50);
  engine.pass();
  engine.submit(prompt_of(20, 2), 50);
  EXPECT_EQ(engine.passes_ahead(100), 0) << "beside a prompt";
  EXPECT_GT(engine.passes_ahead(3), 0);
}

TEST(PlanAhead, AQueueBehindFullSlotsHoldsNobodyUp) {
  FakeEngine engine;
  auto many = FakeEngine::request_of(prompt_of(20, 1), 30, 20);
  engine.submit(std::move(many));
  engine.pass();
  EXPECT_GT(engine.passes_ahead(10), 5);
  engine.run();
}

TEST(PlanAhead, ACancelledRequestEndsBeforeThePassAfterNext) {
  FakeEngine engine;
  auto request = FakeEngine::request_of(prompt_of(20, 1), 50);
  const CancelFlag cancelled = std::make_shared<std::atomic<bool>>(false);
  request->request.cancelled = cancelled;
  const auto id = engine.submit(std::move(request));
  engine.pass();
  EXPECT_EQ(engine.passes_ahead(100, [&] { cancelled->store(true); }), 1);
  engine.run();
  EXPECT_EQ(engine.responses.at(id).status, ResponseStatus::kCancelled);
  engine.expect_empty();
}

// An adapter whose logits are not finite fails while the pass ahead is under way; what that wrote
// is cleared.
TEST(PlanAhead, AFailureEndsItsRequestsAlone) {
  FakeEngine engine;
  const auto broken = fake_adapter();
  auto request = FakeEngine::request_of(prompt_of(20, 1), 50);
  request->lora = broken;
  const auto bad = engine.submit(std::move(request)), good = engine.submit(prompt_of(9, 2), 30);
  engine.pass();
  engine.passes_ahead(6, [&] { engine.broken = broken.get(); });
  engine.run();
  EXPECT_EQ(engine.responses.at(bad).status, ResponseStatus::kFailed);
  EXPECT_EQ(engine.ids(good), expected_ids(prompt_of(9, 2), sampling(30), 0, 512));
  engine.expect_empty();
}

}  // namespace
}  // namespace weft
