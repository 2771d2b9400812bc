// What the engine computes with a cache that knows texts already, or has too little room.
#include <gtest/gtest.h>

#include "model/transformer/lora.h"
#include "tests/model/engine/engine_support.h"

namespace weft {
namespace {

using namespace test;

TEST(EngineCache, APromptThatBeginsLikeAnEarlierTextIsComputedInPart) {
  const auto engine = tiny_engine();
  EngineOptions options = small_options();
  options.prefix_fraction = 0;
  const auto plain = tiny_engine(options);
  TextRequest first = request_of(random_ids(50, 1), 20, 1);
  const auto answer = engine->complete(first);
  expect_same(answer, plain->complete(first));
  EXPECT_EQ(engine->stats().cached_tokens, 0);
  // The same again, another ending, and the dialogue carried on behind the answer: 48 of 50 tokens,
  // 32, and 64 of the 69 that the cache held.
  TextRequest ending = first, further = first;
  auto& ending_ids = std::get<std::vector<int32_t>>(ending.prompt);
  ending_ids[40] = ending_ids[40] == 7 ? 8 : 7;
  auto& further_ids = std::get<std::vector<int32_t>>(further.prompt);
  const auto& answer_ids = answer.choices[0].ids;
  further_ids.insert(further_ids.end(), answer_ids.begin(), answer_ids.end());
  int64_t cached = 0;
  for (const auto& [request, known] : {std::pair(first, 48), {ending, 32}, {further, 64}}) {
    const auto response = engine->complete(request);
    expect_same(response, plain->complete(request));
    EXPECT_EQ(response.usage.cached_tokens, known);
    cached += known;
    EXPECT_EQ(engine->stats().cached_tokens, cached);
  }
  EXPECT_EQ(plain->stats().cached_tokens, 0);
  EXPECT_EQ(plain->stats().kv_blocks_idle, 0);
  expect_idle_and_empty(*engine);
  EXPECT_GT(engine->stats().kv_blocks_idle, 0);
}

TEST(EngineCache, APrefixIsKnownUnderItsAdapterAndItsWeightsOnly) {
  const auto engine = tiny_engine();
  const auto load = [&] {
    return Lora::load(test::fixture("tiny_llama_lora").string(), engine->model().config());
  };
  engine->set_adapter("a", load());
  const TextRequest base = request_of(random_ids(40, 1));
  TextRequest adapted = base;
  adapted.adapter = "a";
  engine->complete(base);
  const auto before = engine->complete(adapted);
  EXPECT_EQ(engine->stats().cached_tokens, 0);
  expect_same(engine->complete(adapted), before);
  EXPECT_EQ(engine->stats().cached_tokens, 32);
  engine->set_adapter("a", load());
  expect_same(engine->complete(adapted), before);
  EXPECT_EQ(engine->stats().cached_tokens, 32);
  engine->weights_changed();
  EXPECT_EQ(engine->stats().kv_blocks_idle, 0);
  engine->complete(base);
  EXPECT_EQ(engine->stats().cached_tokens, 32);
}

TEST(EngineCache, KeptTextMakesWay) {
  EngineOptions options = small_options();
  options.kv_mb = 1;  // 128 blocks of two layers, two heads of 16 in fp32
  options.prefix_fraction = 1;
  const auto engine = tiny_engine(options);
  for (uint64_t i = 0; i < 8; ++i) {
    const auto response = engine->complete(request_of(random_ids(400, i), 40, i));
    ASSERT_EQ(response.status, ResponseStatus::kOk) << response.error;
    EXPECT_LE(engine->stats().kv_blocks_idle, engine->stats().kv_blocks_total);
  }
  engine->complete(request_of(random_ids(400, 7), 40, 7));
  EXPECT_EQ(engine->stats().cached_tokens, 384);
  expect_idle_and_empty(*engine);
}

TEST(EngineCache, RequestsBeyondTheCacheWaitForRoom) {
  EngineOptions options = small_options();
  options.kv_mb = 1;  // 128 blocks of two layers, two heads of 16 in fp32
  const auto engine = tiny_engine(options);
  std::vector<TextRequest> requests;
  for (uint64_t i = 0; i < 12; ++i) {
    requests.push_back(request_of(random_ids(100, i), 60, i));
    requests.back().n = 4;
  }
  for (const TextResponse& r : engine->complete_all(requests)) {
    ASSERT_EQ(r.status, ResponseStatus::kOk) << r.error;
    for (const Completion& c : r.choices) EXPECT_EQ(c.ids.size(), 60u);
  }
  expect_idle_and_empty(*engine);
}

// 12 requests of up to 4 choices and 200 tokens in a cache for two such texts, against one for all.
void expect_preemption_changes_nothing(double prefix_fraction, int64_t prefill_tokens) {
  EngineOptions options = small_options();
  options.kv_mb = 32;
  const auto ample = tiny_engine(options);
  options.kv_mb = 1;
  options.max_context = 1000;
  options.prefix_fraction = prefix_fraction;
  options.prefill_tokens = prefill_tokens;
  const auto tight = tiny_engine(options);
  std::vector<TextRequest> requests;
  for (uint64_t i = 0; i < 12; ++i) {
    requests.push_back(request_of(random_ids(16 * (i % 5) + 20 * i % 7 + 1, i), 200, i));
    requests.back().n = 1 + static_cast<int>(i % 4);
  }
  const auto expected = ample->complete_all(requests);
  const auto got = tight->complete_all(requests);
  for (size_t i = 0; i < requests.size(); ++i) expect_same(got[i], expected[i]);
  EXPECT_EQ(ample->stats().preemptions, 0);
  EXPECT_GT(tight->stats().preemptions, 0);
  EXPECT_EQ(tight->stats().decoded_tokens, ample->stats().decoded_tokens);
  expect_idle_and_empty(*tight);
}

TEST(EngineCache, PreemptionChangesNoCompletion) { expect_preemption_changes_nothing(0.25, 512); }

TEST(EngineCache, PreemptionWithoutAPrefixCacheChangesNoCompletion) {
  expect_preemption_changes_nothing(0, 512);
}

TEST(EngineCache, PreemptionInTheMiddleOfAPrefillChangesNoCompletion) {
  expect_preemption_changes_nothing(0.25, 9);
}

TEST(EngineCache, ChoicesOfOneRequestMakeWayForEachOther) {
  EngineOptions options = small_options();
  options.kv_mb = 32;
  TextRequest large = request_of(random_ids(300, 1), 212);
  large.n = 12;  // 19 blocks of the prompt and 14 of each choice: more than the 128 of one MiB
  const auto expected = tiny_engine(options)->complete(large);
  options.kv_mb = 1;
  const auto engine = tiny_engine(options);
  for (const TextResponse& r : engine->complete_all({large, large})) expect_same(r, expected);
  EXPECT_GT(engine->stats().preemptions, 0);
  expect_idle_and_empty(*engine);
}

}  // namespace
}  // namespace weft
