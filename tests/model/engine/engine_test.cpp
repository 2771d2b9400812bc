// Tiny random models in fp32. The logprobs of one text computed in different batches differ by the
// order of fp32 sums only, about 1e-6.
#include "model/engine/engine.h"

#include <ATen/ops/tensor.h>
#include <gtest/gtest.h>

#include <cmath>
#include <future>
#include <limits>
#include <thread>

#include "base/error.h"
#include "base/rng.h"
#include "model/checkpoint/hf_model.h"
#include "tests/support/support.h"

namespace weft {
namespace {

constexpr float kTolerance = 1e-5f;

EngineOptions small_options() {
  EngineOptions options;
  options.max_batch = 16;
  options.kv_mb = 4;
  return options;
}

std::unique_ptr<Engine> tiny_engine(const EngineOptions& options = small_options(),
                                    const char* model = "tiny_llama") {
  return Engine::from_directory(test::fixture(model).string(), "f32", options);
}

std::vector<int32_t> random_ids(size_t n, uint64_t seed) {
  Rng rng(seed);
  std::vector<int32_t> ids(n);
  for (int32_t& id : ids) id = static_cast<int32_t>(3 + rng.below(300));
  return ids;
}

TextRequest request_of(std::vector<int32_t> ids, int max_tokens = 12, uint64_t seed = 1) {
  TextRequest request;
  request.prompt = std::move(ids);
  request.sampling.max_tokens = max_tokens;
  request.sampling.seed = seed;
  request.sampling.ignore_eos = true;
  return request;
}

std::vector<TextRequest> mixed_requests() {
  std::vector<TextRequest> requests;
  for (uint64_t i = 0; i < 9; ++i) requests.push_back(request_of(random_ids(1 + 13 * i, i), 10, i));
  return requests;
}

float worst_difference(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  float worst = 0;
  for (size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::abs(a[i] - b[i]));
  return worst;
}

void expect_same(const TextResponse& a, const TextResponse& b) {
  ASSERT_EQ(a.status, ResponseStatus::kOk) << a.error;
  ASSERT_EQ(b.status, ResponseStatus::kOk) << b.error;
  ASSERT_EQ(a.choices.size(), b.choices.size());
  for (size_t i = 0; i < a.choices.size(); ++i) {
    EXPECT_EQ(a.choices[i].ids, b.choices[i].ids);
    EXPECT_LE(worst_difference(a.choices[i].logprobs, b.choices[i].logprobs), kTolerance);
  }
}

void expect_idle_and_empty(Engine& engine) {
  engine.wait_idle();
  EXPECT_EQ(engine.stats().kv_blocks_used, 0);
  EXPECT_EQ(engine.stats().running, 0);
  EXPECT_EQ(engine.stats().queued, 0);
}

TEST(Engine, BatchingChangesNoCompletion) {
  const auto engine = tiny_engine();
  const auto requests = mixed_requests();
  const auto together = engine->complete_all(requests);
  for (size_t i = 0; i < requests.size(); ++i) {
    expect_same(together[i], engine->complete(requests[i]));
  }
  expect_idle_and_empty(*engine);
}

TEST(Engine, OrderOfArrivalChangesNoCompletion) {
  const auto engine = tiny_engine();
  auto requests = mixed_requests();
  const auto forward = engine->complete_all(requests);
  std::reverse(requests.begin(), requests.end());
  const auto backward = engine->complete_all(requests);
  for (size_t i = 0; i < requests.size(); ++i) {
    expect_same(forward[i], backward[requests.size() - 1 - i]);
  }
}

TEST(Engine, ChunkedPrefillChangesNoCompletion) {
  EngineOptions options = small_options();
  options.prefill_tokens = 7;
  const auto chunked = tiny_engine(options)->complete_all(mixed_requests());
  const auto whole = tiny_engine()->complete_all(mixed_requests());
  for (size_t i = 0; i < whole.size(); ++i) expect_same(whole[i], chunked[i]);
}

class EngineOfEach : public testing::TestWithParam<const char*> {};

INSTANTIATE_TEST_SUITE_P(Tiny, EngineOfEach,
                         testing::Values("tiny_llama", "tiny_qwen2", "tiny_qwen3", "tiny_mistral"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(EngineOfEach, ScoreEqualsDecodedLogprobs) {
  const auto engine = tiny_engine(small_options(), GetParam());
  std::vector<ScoreRequest> texts;
  std::vector<std::vector<float>> decoded;
  for (TextRequest& request : mixed_requests()) {
    request.n = 3;
    const auto response = engine->complete(request);
    for (const Completion& c : response.choices) {
      texts.push_back({response.prompt_ids, c.ids, ""});
      decoded.push_back(c.logprobs);
    }
  }
  const auto scores = engine->score(texts);
  for (size_t i = 0; i < texts.size(); ++i) {
    EXPECT_LE(worst_difference(scores[i], decoded[i]), kTolerance);
  }
}

TEST_P(EngineOfEach, ScoreIsBitwiseTheTrainersForward) {
  const auto engine = tiny_engine(small_options(), GetParam());
  const auto prompt = random_ids(20, 1), ids = random_ids(15, 2);
  const auto scores = engine->score({{prompt, ids, ""}});
  Transformer& model = engine->model();
  std::vector<int64_t> all(prompt.begin(), prompt.end());
  all.insert(all.end(), ids.begin(), ids.end());
  const auto tensor = [](std::vector<int64_t> values) {
    at::Tensor t = at::tensor(values, at::kLong);
    return t;
  };
  for (const NamedParameter& p : model.parameters()) p.tensor->set_requires_grad(true);
  const std::vector<int64_t> lengths = {static_cast<int64_t>(all.size())};
  const PackedBatch batch = PackedBatch::from_lengths(lengths);
  const at::Tensor hidden = model.forward_hidden(tensor(all), batch).narrow(0, 19, 15);
  ASSERT_TRUE(hidden.requires_grad());
  const at::Tensor logprobs = model.token_logprobs(hidden, tensor(all).narrow(0, 20, 15));
  for (int64_t t = 0; t < 15; ++t) EXPECT_EQ(logprobs[t].item<float>(), scores[0][t]);
}

TEST(Engine, ChoicesOfOnePromptEqualRequestsOfTheirOwn) {
  const auto engine = tiny_engine();
  TextRequest many = request_of(random_ids(37, 5), 20, 9);
  many.n = 20;
  const auto group = engine->complete(many);
  ASSERT_EQ(group.choices.size(), 20u);
  many.n = 3;
  const auto few = engine->complete(many);
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(few.choices[i].ids, group.choices[i].ids);
  EXPECT_NE(group.choices[0].ids, group.choices[1].ids);
  EXPECT_EQ(engine->stats().prefill_tokens, 37 + 5);  // two blocks of the second are known
  expect_idle_and_empty(*engine);
}

TEST(Engine, APromptThatBeginsLikeAnEarlierTextIsComputedInPart) {
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
    expect_same(engine->complete(request), plain->complete(request));
    cached += known;
    EXPECT_EQ(engine->stats().cached_tokens, cached);
  }
  EXPECT_EQ(plain->stats().cached_tokens, 0);
  EXPECT_EQ(plain->stats().kv_blocks_idle, 0);
  expect_idle_and_empty(*engine);
  EXPECT_GT(engine->stats().kv_blocks_idle, 0);
}

TEST(Engine, APrefixIsKnownUnderItsAdapterAndItsWeightsOnly) {
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

TEST(Engine, KeptTextMakesWay) {
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

TEST(Engine, RequestsBeyondTheCacheWaitForRoom) {
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

TEST(Engine, PreemptionChangesNoCompletion) { expect_preemption_changes_nothing(0.25, 512); }

TEST(Engine, PreemptionWithoutAPrefixCacheChangesNoCompletion) {
  expect_preemption_changes_nothing(0, 512);
}

TEST(Engine, PreemptionInTheMiddleOfAPrefillChangesNoCompletion) {
  expect_preemption_changes_nothing(0.25, 9);
}

TEST(Engine, ChoicesOfOneRequestMakeWayForEachOther) {
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

TEST(Engine, BaseAndAdapterShareABatch) {
  const auto engine = tiny_engine();
  engine->set_adapter(
      "a", Lora::load(test::fixture("tiny_llama_lora").string(), engine->model().config()));
  std::vector<TextRequest> requests;
  for (uint64_t i = 0; i < 8; ++i) {
    requests.push_back(request_of(random_ids(10 + i, i), 10, i));
    if (i % 2) requests.back().adapter = "a";
  }
  const auto together = engine->complete_all(requests);
  for (size_t i = 0; i < requests.size(); ++i) {
    expect_same(together[i], engine->complete(requests[i]));
    const auto score =
        engine->score({{together[i].prompt_ids, together[i].choices[0].ids, requests[i].adapter}});
    EXPECT_LE(worst_difference(score[0], together[i].choices[0].logprobs), kTolerance);
  }
}

TEST(Engine, AdapterWeightsMayChangeBetweenRequests) {
  const auto engine = tiny_engine();
  std::shared_ptr<Lora> lora =
      Lora::load(test::fixture("tiny_llama_lora").string(), engine->model().config());
  engine->set_adapter("a", lora);
  TextRequest request = request_of(random_ids(10, 1));
  const auto base = engine->complete(request);
  request.adapter = "a";
  const auto adapted = engine->complete(request);
  EXPECT_NE(base.choices[0].logprobs, adapted.choices[0].logprobs);
  for (const NamedParameter& p : lora->parameters()) p.tensor->zero_();
  engine->weights_changed();
  expect_same(base, engine->complete(request));
}

TEST(Engine, StopStringEndsAndCutsTheText) {
  const auto engine = tiny_engine();
  TextRequest request = request_of(random_ids(10, 3), 40);
  std::string streamed;
  const std::string text = engine->complete(request).choices[0].text;
  ASSERT_GT(text.size(), 12u);
  size_t at = 6;
  while ((text[at] & 0xc0) == 0x80) ++at;
  const std::string stop = text.substr(at, 4);
  request.sampling.stop = {"never there", stop};
  request.on_delta = [&](const StreamDelta& d) { streamed += d.text; };
  const auto response = engine->complete(request);
  EXPECT_EQ(response.choices[0].finish, FinishReason::kStop);
  EXPECT_EQ(response.choices[0].text, text.substr(0, text.find(stop)));
  EXPECT_EQ(streamed, response.choices[0].text);
  expect_idle_and_empty(*engine);
}

TEST(Engine, EndOfTextEndsUnlessIgnored) {
  const auto engine = tiny_engine();
  TextRequest request = request_of(random_ids(10, 3), 300);
  request.sampling.ignore_eos = false;
  request.n = 8;
  const int32_t eos = engine->model().config().eos_ids.at(0);
  int stopped = 0;
  for (const Completion& c : engine->complete(request).choices) {
    if (c.finish != FinishReason::kStop) continue;
    EXPECT_EQ(c.ids.back(), eos);
    EXPECT_EQ(std::count(c.ids.begin(), c.ids.end(), eos), 1);
    ++stopped;
  }
  EXPECT_GT(stopped, 0);
}

TEST(Engine, ContextLimitEndsACompletion) {
  EngineOptions options = small_options();
  options.max_context = 64;
  const auto engine = tiny_engine(options);
  const auto response = engine->complete(request_of(random_ids(50, 1), 100));
  EXPECT_EQ(response.choices[0].ids.size(), 14u);
  EXPECT_EQ(response.choices[0].finish, FinishReason::kLength);
}

TEST(Engine, RefusesWhatItCannotAnswer) {
  EngineOptions options = small_options();
  options.max_context = 64;
  const auto engine = tiny_engine(options);
  std::vector<TextRequest> bad(8, request_of(random_ids(5, 1)));
  bad[0].prompt = random_ids(64, 1);
  bad[1].prompt = std::vector<int32_t>{1, 320};
  bad[2].prompt = std::vector<int32_t>{-1};
  bad[3].prompt = std::vector<int32_t>{};
  bad[4].adapter = "missing";
  bad[5].sampling.top_p = 0;
  bad[6].sampling.temperature = -1;
  bad[7].n = 0;
  for (const TextResponse& r : engine->complete_all(bad)) {
    EXPECT_EQ(r.status, ResponseStatus::kRefused);
    EXPECT_FALSE(r.error.empty());
  }
  EXPECT_THROW(engine->score({{{1, 2}, {320}, ""}}), InputError);
  EXPECT_THROW(engine->score({{{}, {3}, ""}}), InputError);
  EXPECT_EQ(engine->complete(request_of(random_ids(5, 1))).status, ResponseStatus::kOk);
  expect_idle_and_empty(*engine);
}

TEST(Engine, CancelledRequestEndsAndFreesItsBlocks) {
  const auto engine = tiny_engine();
  TextRequest request = request_of(random_ids(20, 1), 400);
  request.cancelled = std::make_shared<std::atomic<bool>>(false);
  request.n = 4;
  request.on_delta = [flag = request.cancelled](const StreamDelta&) { flag->store(true); };
  EXPECT_EQ(engine->complete(request).status, ResponseStatus::kCancelled);
  request.on_delta = nullptr;
  EXPECT_EQ(engine->complete(request).status, ResponseStatus::kCancelled);
  expect_idle_and_empty(*engine);
}

TEST(Engine, NanWeightsFailTheirRequestAlone) {
  const auto engine = tiny_engine();
  std::shared_ptr<Lora> lora =
      Lora::load(test::fixture("tiny_llama_lora").string(), engine->model().config());
  lora->layer(0).b[0].fill_(std::numeric_limits<float>::quiet_NaN());
  engine->set_adapter("nan", lora);
  const TextRequest good = request_of(random_ids(30, 1), 30);
  TextRequest bad = good;
  bad.adapter = "nan";
  const auto alone = engine->complete(good);
  const auto responses = engine->complete_all({good, bad, good});
  EXPECT_EQ(responses[1].status, ResponseStatus::kFailed);
  expect_same(responses[0], alone);
  expect_same(responses[2], alone);
  expect_same(engine->complete(good), alone);
  EXPECT_THROW(engine->score({{{1, 2}, {3}, "nan"}}), Error);
  expect_idle_and_empty(*engine);
}

TEST(Engine, DestructionCancelsWhatRuns) {
  std::promise<ResponseStatus> status;
  {
    const auto engine = tiny_engine();
    TextRequest request = request_of(random_ids(20, 1), 450);
    request.n = 16;
    engine->submit(request, [&](TextResponse r) { status.set_value(r.status); });
  }
  const auto got = status.get_future().get();
  EXPECT_TRUE(got == ResponseStatus::kCancelled || got == ResponseStatus::kOk);
}

TEST(Engine, Bf16ScoresStayNearFp32) {
  const auto f32 = tiny_engine();
  const auto bf16 =
      Engine::from_directory(test::fixture("tiny_llama").string(), "bf16", small_options());
  const auto response = bf16->complete(request_of(random_ids(60, 1), 40));
  const std::vector<ScoreRequest> text = {{response.prompt_ids, response.choices[0].ids, ""}};
  // bf16 keeps 8 bits: logits of order 5 move by about 0.02, ten times that is a wrong path.
  EXPECT_LE(worst_difference(f32->score(text)[0], bf16->score(text)[0]), 0.2f);
  EXPECT_LE(worst_difference(response.choices[0].logprobs, bf16->score(text)[0]), 0.2f);
}

}  // namespace
}  // namespace weft
