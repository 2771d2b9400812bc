// Built twice: engine_unit_tests run it on the CPU, engine_on_device_unit_tests on the fake device.
#include "model/engine/engine.h"

#include <gtest/gtest.h>

#include <cmath>
#include <future>
#include <limits>

#include "base/error.h"
#include "model/checkpoint/hf_model.h"
#include "tests/model/engine/engine_support.h"

namespace weft {
namespace {

using namespace test;

std::vector<TextRequest> mixed_requests() {
  std::vector<TextRequest> requests;
  for (uint64_t i = 0; i < 9; ++i) requests.push_back(request_of(random_ids(1 + 13 * i, i), 10, i));
  return requests;
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

TEST(Engine, ARequestTakesNoMoreThanItsAllowance) {
  const auto engine = tiny_engine();
  TextRequest request = request_of(random_ids(20, 1), 10);
  request.n = 3;
  request.sampling.ignore_eos = true;
  const auto whole = engine->complete(request);
  EXPECT_FALSE(whole.lowered);
  request.allowance.tokens = 20 + 3 * 4 + 2;
  const auto lowered = engine->complete(request);
  EXPECT_TRUE(lowered.lowered);
  ASSERT_EQ(lowered.choices.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    const auto& ids = whole.choices[i].ids;
    EXPECT_EQ(lowered.choices[i].ids, std::vector(ids.begin(), ids.begin() + 4));
  }
  request.allowance.tokens = 22;
  EXPECT_EQ(engine->complete(request).choices.size(), 2u);
  request.allowance.tokens = 20;
  EXPECT_EQ(engine->complete(request).status, ResponseStatus::kOutOfBudget);
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

TEST_P(EngineOfEach, LogprobsEqualThoseOfDecoding) {
  const auto engine = tiny_engine(small_options(), GetParam());
  std::vector<LogprobRequest> texts;
  std::vector<std::vector<float>> decoded;
  for (TextRequest& request : mixed_requests()) {
    request.n = 3;
    const auto response = engine->complete(request);
    for (const Completion& c : response.choices) {
      texts.push_back({response.prompt_ids, c.ids, ""});
      decoded.push_back(c.logprobs);
    }
  }
  const auto logprobs = engine->logprobs(texts);
  for (size_t i = 0; i < texts.size(); ++i) {
    EXPECT_LE(worst_difference(logprobs[i], decoded[i]), kTolerance);
  }
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
    const auto logprobs = engine->logprobs(
        {{together[i].prompt_ids, together[i].choices[0].ids, requests[i].adapter}});
    EXPECT_LE(worst_difference(logprobs[0], together[i].choices[0].logprobs), kTolerance);
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
  TextRequest request = request_of(random_ids(10, 2), 40);
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
  EXPECT_THROW(engine->logprobs({{{1, 2}, {320}, ""}}), InputError);
  EXPECT_THROW(engine->logprobs({{{}, {3}, ""}}), InputError);
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

TEST(Engine, ARequestCancelledWhileItsPromptIsComputedFreesItsBlocks) {
  EngineOptions options = small_options();
  options.prefill_tokens = 1;
  const auto engine = tiny_engine(options);
  TextRequest request = request_of(random_ids(450, 1));
  request.cancelled = std::make_shared<std::atomic<bool>>(false);
  std::promise<TextResponse> answer;
  engine->submit(request, [&](TextResponse r) { answer.set_value(std::move(r)); });
  ASSERT_TRUE(test::wait_until([&] { return engine->stats().prefill_tokens > 0; }));
  request.cancelled->store(true);
  EXPECT_EQ(answer.get_future().get().status, ResponseStatus::kCancelled);
  EXPECT_LT(engine->stats().prefill_tokens, 450);
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
  EXPECT_THROW(engine->logprobs({{{1, 2}, {3}, "nan"}}), Error);
  expect_idle_and_empty(*engine);
}

// The engine is held in the answer of the first request, when it has let the second one in; what
// comes meanwhile waits in its queue.
TEST(Engine, CountsWhatWaitsBesideWhatRuns) {
  EngineOptions options = small_options();
  options.max_batch = 1;
  const auto engine = tiny_engine(options);
  std::promise<void> seen, counted;
  std::vector<TextModel::Submission> first(3, {request_of(random_ids(5, 1)), [](TextResponse) {}});
  first[0].request.sampling.max_tokens = 1;
  first[0].done = [&](TextResponse) {
    seen.set_value();
    counted.get_future().wait();
  };
  engine->submit_all(std::move(first));
  seen.get_future().wait();
  EXPECT_EQ(engine->stats().running, 1);
  EXPECT_EQ(engine->stats().queued, 1);
  for (int i = 0; i < 2; ++i) engine->submit(request_of(random_ids(5, 2)), [](TextResponse) {});
  EXPECT_EQ(engine->stats().queued, 3);
  counted.set_value();
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

TEST(Engine, Bf16LogprobsStayNearFp32) {
  const auto f32 = tiny_engine();
  const auto bf16 = tiny_engine(small_options(), "tiny_llama", "bf16");
  const auto response = bf16->complete(request_of(random_ids(60, 1), 40));
  const std::vector<LogprobRequest> text = {{response.prompt_ids, response.choices[0].ids, ""}};
  // bf16 keeps 8 bits: logits of order 5 move by about 0.02, ten times that is a wrong path.
  EXPECT_LE(worst_difference(f32->logprobs(text)[0], bf16->logprobs(text)[0]), 0.2f);
  EXPECT_LE(worst_difference(response.choices[0].logprobs, bf16->logprobs(text)[0]), 0.2f);
}

}  // namespace
}  // namespace weft
