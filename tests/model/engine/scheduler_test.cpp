#include "model/engine/scheduler.h"

#include <gtest/gtest.h>

#include "tests/model/engine/scheduler_support.h"

namespace weft {
namespace {

using namespace test;

constexpr int64_t kBlock = kernels::kBlockTokens;

TEST(Scheduler, DrawsWhatTheTextAloneGives) {
  FakeEngine engine;
  std::vector<int64_t> requests;
  for (uint64_t i = 0; i < 9; ++i) {
    requests.push_back(engine.submit(prompt_of(1 + 13 * i, i), 10, 2, i));
  }
  engine.run();
  for (uint64_t i = 0; i < 9; ++i) {
    for (int choice = 0; choice < 2; ++choice) {
      EXPECT_EQ(engine.ids(requests[i], choice),
                expected_ids(prompt_of(1 + 13 * i, i), sampling(10, i), choice, 512));
    }
  }
  engine.expect_empty();
}

TEST(Scheduler, AChoiceGoesThroughItsStates) {
  FakeEngine engine;
  const int64_t id = engine.submit(prompt_of(100), 3, 2);
  EXPECT_EQ(engine.scheduler.state(id, kPrompt), SequenceState::kWaiting);
  EXPECT_EQ(engine.scheduler.state(id, 0), SequenceState::kWaiting);
  engine.pass();  // 64 of 100 tokens
  EXPECT_EQ(engine.scheduler.state(id, kPrompt), SequenceState::kPrefilling);
  EXPECT_EQ(engine.scheduler.state(id, 0), SequenceState::kWaiting);
  const PassPlan last = engine.pass();
  EXPECT_EQ(last.draws.size(), 2u);
  EXPECT_EQ(engine.scheduler.state(id, kPrompt), SequenceState::kEnded);
  EXPECT_EQ(engine.scheduler.state(id, 0), SequenceState::kDecoding);
  EXPECT_EQ(engine.scheduler.state(id, 1), SequenceState::kDecoding);
  EXPECT_EQ(engine.pass().decoded, 2);
  EXPECT_EQ(engine.pass().decoded, 2);
  EXPECT_EQ(engine.scheduler.state(id, 0), SequenceState::kEnded);
  EXPECT_EQ(engine.responses.at(id).choices.size(), 2u);
  engine.expect_empty();
}

TEST(Scheduler, FirstTokensOfAllChoicesComeFromOneRow) {
  FakeEngine engine;
  const int64_t id = engine.submit(prompt_of(20), 4, 6);
  const PassPlan plan = engine.pass();
  ASSERT_EQ(plan.spans.size(), 1u);
  ASSERT_EQ(plan.draws.size(), 6u);
  for (int choice = 0; choice < 6; ++choice) {
    EXPECT_EQ(plan.draws[choice].choice, choice);
    EXPECT_EQ(plan.draws[choice].row, 0);
    EXPECT_EQ(plan.draws[choice].args.uniform, philox_uniform(1, choice, 0));
  }
  engine.run();
  for (int choice = 0; choice < 6; ++choice) {
    EXPECT_EQ(engine.ids(id, choice), expected_ids(prompt_of(20), sampling(4), choice, 512));
  }
}

// A pass draws first tokens for as many choices as may start; the prompt's last token is computed
// again for the others, in a block that the first ones do not read.
TEST(Scheduler, ManyChoicesAreDrawnAFewAtATime) {
  for (const int64_t prompt : {20, 32}) {  // the last block in part, and whole
    FakeEngine engine(scheduler_options(100));
    const int64_t id = engine.submit(prompt_of(prompt), 3, 1000);
    engine.run();
    for (int choice = 0; choice < 1000; ++choice) {
      EXPECT_EQ(engine.ids(id, choice), expected_ids(prompt_of(prompt), sampling(3), choice, 512));
    }
    EXPECT_EQ(engine.scheduler.stats().prefill_tokens, prompt + 1000 / 64);
    EXPECT_EQ(engine.scheduler.stats().preemptions, 0);
    engine.expect_empty();
  }
}

TEST(Scheduler, EndsAtTheEndOfTextAndAtTheContextLimit) {
  FakeEngine engine;
  auto request = FakeEngine::request_of(prompt_of(10), 400, 8);
  request->request.sampling.ignore_eos = false;
  SamplingParams params = request->request.sampling;
  const int64_t stopped = engine.submit(std::move(request));
  const int64_t cut = engine.submit(prompt_of(500), 100);
  engine.run();
  int ended = 0;
  for (int choice = 0; choice < 8; ++choice) {
    EXPECT_EQ(engine.ids(stopped, choice), expected_ids(prompt_of(10), params, choice, 512));
    ended += engine.ids(stopped, choice).back() == kEos;
  }
  EXPECT_GT(ended, 0);
  EXPECT_EQ(engine.ids(cut).size(), 12u);
  EXPECT_EQ(engine.responses.at(cut).choices[0].finish, FinishReason::kLength);
}

TEST(Scheduler, PromptsComeInByArrivalAndInChunks) {
  FakeEngine engine;
  const int64_t first = engine.submit(prompt_of(90, 1)), second = engine.submit(prompt_of(60, 2));
  const PassPlan one = engine.pass();
  ASSERT_EQ(one.spans.size(), 1u);
  EXPECT_EQ(one.spans[0].request, first);
  EXPECT_EQ(one.prefilled, 64);
  EXPECT_FALSE(one.spans[0].wants_logits);
  const PassPlan two = engine.pass();
  ASSERT_EQ(two.spans.size(), 2u);
  EXPECT_EQ(two.spans[0].start, 64);
  EXPECT_TRUE(two.spans[0].wants_logits);
  EXPECT_EQ(two.spans[1].request, second);
  EXPECT_EQ(two.prefilled, 64);
  EXPECT_FALSE(two.spans[1].wants_logits);
}

TEST(Scheduler, AKnownPrefixIsNotComputedAgain) {
  FakeEngine engine;
  const int64_t first = engine.submit(prompt_of(50), 20);
  engine.run();
  auto longer = prompt_of(50);
  longer.insert(longer.end(), engine.ids(first).begin(), engine.ids(first).end());
  const int64_t again = engine.submit(prompt_of(50), 20), further = engine.submit(longer, 5);
  engine.run();
  EXPECT_EQ(engine.responses.at(again).usage.cached_tokens, 48);
  EXPECT_EQ(engine.responses.at(further).usage.cached_tokens, 64);  // of the 69 that were computed
  EXPECT_EQ(engine.ids(again), engine.ids(first));
  EXPECT_EQ(engine.ids(further), expected_ids(longer, sampling(5), 0, 512));
  EXPECT_GT(engine.scheduler.pool().num_idle(), 0);
  engine.scheduler.weights_changed();
  EXPECT_EQ(engine.scheduler.pool().num_idle(), 0);
}

TEST(Scheduler, SpansOfAnAdapterLieTogether) {
  FakeEngine engine;
  const auto a = fake_adapter(), b = fake_adapter();
  std::vector<int64_t> requests;
  for (uint64_t i = 0; i < 8; ++i) {
    auto request = FakeEngine::request_of(prompt_of(20 + i), 6, 1, i);
    request->lora = i % 3 == 0 ? nullptr : i % 3 == 1 ? a : b;
    requests.push_back(engine.submit(std::move(request)));
  }
  engine.run();  // every plan is checked for it
  for (uint64_t i = 0; i < 8; ++i) {
    const Lora* lora = i % 3 == 0 ? nullptr : i % 3 == 1 ? a.get() : b.get();
    EXPECT_EQ(engine.ids(requests[i]),
              expected_ids(prompt_of(20 + i), sampling(6, i), 0, 512, lora));
  }
}

TEST(Scheduler, TheYoungestMakesWayAndIsComputedAgain) {
  FakeEngine engine(scheduler_options(14));
  const int64_t older = engine.submit(prompt_of(60, 1), 60),
                younger = engine.submit(prompt_of(60, 2), 60);
  bool was_preempted = false;
  while (engine.scheduler.has_work()) {
    engine.pass();
    EXPECT_NE(engine.scheduler.state(older, 0), SequenceState::kPreempted);
    was_preempted |= engine.scheduler.state(younger, 0) == SequenceState::kPreempted;
  }
  EXPECT_TRUE(was_preempted);
  EXPECT_GT(engine.scheduler.stats().preemptions, 0);
  EXPECT_EQ(engine.ids(older), expected_ids(prompt_of(60, 1), sampling(60), 0, 512));
  EXPECT_EQ(engine.ids(younger), expected_ids(prompt_of(60, 2), sampling(60), 0, 512));
  engine.expect_empty();
}

TEST(Scheduler, ARequestIsCancelledInEveryState) {
  for (int passes = 0; passes < 6; ++passes) {
    FakeEngine engine;
    auto request = FakeEngine::request_of(prompt_of(150), 20, 3);
    const CancelFlag flag = std::make_shared<std::atomic<bool>>(false);
    request->request.cancelled = flag;
    const int64_t id = engine.submit(std::move(request));
    const int64_t other = engine.submit(prompt_of(30), 5);
    for (int i = 0; i < passes; ++i) engine.pass();
    flag->store(true);
    engine.pass();
    EXPECT_EQ(engine.responses.at(id).status, ResponseStatus::kCancelled);
    EXPECT_EQ(engine.responses.at(id).choices.size(), 3u);
    engine.run();
    EXPECT_EQ(engine.ids(other), expected_ids(prompt_of(30), sampling(5), 0, 512));
    engine.expect_empty();
  }
}

// What it computed may hold NaN, which masked slots of others would spread.
TEST(Scheduler, AFailedRequestEndsAloneAndItsBlocksAreCleared) {
  FakeEngine engine;
  const auto adapter = fake_adapter();
  engine.broken = adapter.get();
  auto request = FakeEngine::request_of(prompt_of(40), 20, 2);
  request->lora = adapter;
  const int64_t bad = engine.submit(std::move(request)), good = engine.submit(prompt_of(20), 5);
  const PassPlan computed = engine.pass();
  EXPECT_EQ(engine.responses.at(bad).status, ResponseStatus::kFailed);
  const PassPlan next = engine.pass();
  std::set<int32_t> cleared;
  for (const BlockEdit& edit : next.edits) {
    if (edit.from == kZeros) cleared.insert(edit.block);
  }
  for (const PlannedSpan& span : computed.spans) {
    if (span.request != bad) continue;
    for (const int32_t block : span.blocks) EXPECT_TRUE(cleared.contains(block));
  }
  engine.run();
  EXPECT_EQ(engine.ids(good), expected_ids(prompt_of(20), sampling(5), 0, 512));
  EXPECT_EQ(engine.scheduler.pool().num_idle(), 20 / kBlock);
  engine.expect_empty();
}

// Nobody knows yet whether such a prompt is finite: it must not stay behind as known text either.
TEST(Scheduler, APromptThatIsCancelledBeforeItsFirstTokenLeavesNothing) {
  FakeEngine engine;
  auto request = FakeEngine::request_of(prompt_of(150));
  request->request.cancelled = std::make_shared<std::atomic<bool>>(false);
  const CancelFlag flag = request->request.cancelled;
  engine.submit(std::move(request));
  const PassPlan computed = engine.pass();
  flag->store(true);
  const PassPlan next = engine.pass();
  EXPECT_EQ(engine.scheduler.pool().num_idle(), 0);
  EXPECT_EQ(next.edits.size(), computed.spans[0].blocks.size());
}

TEST(Scheduler, APassThatCannotBeComputedFailsEverythingAndLeavesNothing) {
  FakeEngine engine;
  const int64_t first = engine.submit(prompt_of(100), 9, 2), second = engine.submit(prompt_of(9));
  engine.pass();
  engine.pass();
  engine.scheduler.fail(engine.scheduler.plan(engine.costs), "no memory");
  engine.scheduler.answer();
  for (const int64_t id : {first, second}) {
    EXPECT_EQ(engine.responses.at(id).status, ResponseStatus::kFailed);
    EXPECT_EQ(engine.responses.at(id).error, "no memory");
  }
  engine.expect_empty();
  const int64_t after = engine.submit(prompt_of(100), 9);
  engine.run();
  EXPECT_EQ(engine.ids(after), expected_ids(prompt_of(100), sampling(9), 0, 512));
}

TEST(Scheduler, AHeldTextIsGoneOnFromAndLetGoUnderPressure) {
  FakeEngine engine(scheduler_options(16));
  HeldText held, longer;
  const auto borrow = [](HeldText& text) { return std::shared_ptr<HeldText>(&text, [](auto*) {}); };
  auto request = FakeEngine::request_of(prompt_of(37), 20);
  request->hold_as = borrow(held);
  const int64_t id = engine.submit(std::move(request));
  engine.run();
  EXPECT_EQ(held.num_sampled, 20u);
  EXPECT_EQ(engine.scheduler.pool().num_used(), 4);  // 56 tokens; the last is not in the cache
  auto text = prompt_of(37);
  text.insert(text.end(), engine.ids(id).begin(), engine.ids(id).end());
  request = FakeEngine::request_of(text, 5, 1, 2);
  request->begins_with = borrow(held);
  request->hold_as = borrow(longer);
  const int64_t before = engine.scheduler.stats().prefill_tokens;
  const int64_t further = engine.submit(std::move(request));
  engine.run();
  EXPECT_EQ(engine.scheduler.stats().prefill_tokens - before, 1);
  EXPECT_EQ(engine.ids(further), expected_ids(text, sampling(5, 2), 0, 512));
  EXPECT_EQ(engine.scheduler.pool().num_used(), 4 + 1);  // three full blocks are shared
  const int64_t large = engine.submit(prompt_of(200), 30);
  engine.run();
  EXPECT_EQ(engine.ids(large), expected_ids(prompt_of(200), sampling(30), 0, 512));
  EXPECT_TRUE(held.blocks.empty());
  engine.scheduler.let_go(held);
  engine.scheduler.let_go(longer);
  engine.expect_empty();
}

TEST(Scheduler, WhatEndsAtItsFirstTokenIsAnsweredWithoutAnotherPass) {
  FakeEngine engine;
  const int64_t one = engine.submit(prompt_of(20), 1, 3);
  engine.pass();
  EXPECT_EQ(engine.responses.at(one).choices.size(), 3u);
  engine.expect_empty();
}

}  // namespace
}  // namespace weft
