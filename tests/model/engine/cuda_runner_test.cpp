// The engine's CUDA path beside the CPU's. Built twice: engine_unit_tests run it on the fake
// device, all but the launches, the calls of CUDA and LibTorch's CUDA operators; engine_gpu_tests
// on a GPU. Tiny random models in fp32 but where a case says otherwise: both paths differ by the
// order of fp32 sums.
#include "model/engine/cuda_runner.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <future>
#include <limits>

#include "base/error.h"
#include "tests/model/engine/cuda_engines.h"

namespace weft {
namespace {

using namespace test::cuda_engines;

class CudaRunner : public OnGpu {};

class CudaRunnerOfEach : public CudaRunner, public testing::WithParamInterface<const char*> {};

INSTANTIATE_TEST_SUITE_P(Tiny, CudaRunnerOfEach,
                         testing::Values("tiny_llama", "tiny_qwen2", "tiny_qwen3", "tiny_mistral"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(CudaRunnerOfEach, CompletesAsTheCpuDoes) {
  expect_same(gpu_engine(tiny(GetParam()))->complete_all(mixed_requests()),
              cpu_engine(tiny(GetParam()))->complete_all(mixed_requests()));
}

TEST_F(CudaRunner, ChunkedPrefillAndNoGraphsChangeNoCompletion) {
  EngineOptions options = small_options();
  options.prefill_tokens = 7;
  options.cuda_graphs = false;
  expect_same(gpu_engine(tiny("tiny_qwen2"), options)->complete_all(mixed_requests()),
              cpu_engine(tiny("tiny_qwen2"))->complete_all(mixed_requests()));
}

// Alone and among others, its prompt in one chunk or in several, decoded or given, with an adapter
// or without.
TEST_F(CudaRunner, InvariantGivesATextTheSameBitsInEveryCompany) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const std::shared_ptr<Transformer> model =
        load_transformer(test::fixture("tiny_qwen2").string(), dtype);
    const char* const names[] = {"", "a", "b"};
    std::vector<TextRequest> requests;
    std::vector<LogprobRequest> texts;
    for (uint64_t i = 0; i < 6; ++i) {
      requests.push_back(request_of(random_ids(30 + i, i), i));
      requests.back().adapter = names[i % 3];
      texts.push_back({random_ids(30 + i, i), random_ids(9, i), names[i % 3]});
    }
    EngineOptions options = small_options();
    options.invariant = true;
    const auto adapters = {random_adapter(model->config(), 4, 1),
                           random_adapter(model->config(), 9, 2)};
    const auto engine = [&] {
      auto made = gpu_engine(model, options);
      for (int i = 0; i < 2; ++i) made->set_adapter(names[i + 1], adapters.begin()[i]);
      return made;
    };
    const auto together = engine();
    const auto all = together->complete_all(requests);
    const auto all_logprobs = together->logprobs(texts);
    options.prefill_tokens = 7;
    options.max_batch = 1;
    const auto alone = engine();
    for (size_t i = 0; i < requests.size(); ++i) {
      const TextResponse one = alone->complete(requests[i]);
      ASSERT_EQ(one.status, ResponseStatus::kOk) << one.error;
      EXPECT_EQ(one.choices[0].ids, all[i].choices[0].ids);
      EXPECT_EQ(one.choices[0].logprobs, all[i].choices[0].logprobs);
      EXPECT_EQ(alone->logprobs({texts[i]})[0], all_logprobs[i]);
    }
  }
}

// Batches grow as prompts are done and shrink as completions end, so that graphs of several sizes
// are recorded and replayed. The first prompt fills the cache's first block, which rows beyond the
// batch must leave alone.
TEST_F(CudaRunner, ReplaysGraphsOfEveryBatchSize) {
  std::vector<TextRequest> requests;
  for (uint64_t i = 0; i < 11; ++i) {
    requests.push_back(request_of(random_ids(17 + i, i), i));
    requests.back().sampling.max_tokens = static_cast<int>(2 + i / 2);
  }
  const auto engine = gpu_engine(tiny("tiny_llama"));
  const auto expected = cpu_engine(tiny("tiny_llama"))->complete_all(requests);
  expect_same(engine->complete_all(requests), expected);
}

TEST_F(CudaRunner, GivesTheCpusLogprobs) {
  const std::vector<LogprobRequest> texts = {{random_ids(20, 1), random_ids(15, 2), ""},
                                             {random_ids(1, 3), random_ids(40, 4), ""},
                                             {random_ids(9, 5), {}, ""}};
  const auto mine = gpu_engine(tiny("tiny_qwen3"))->logprobs(texts);
  const auto theirs = cpu_engine(tiny("tiny_qwen3"))->logprobs(texts);
  for (size_t i = 0; i < texts.size(); ++i) expect_near(mine[i], theirs[i]);
}

TEST_F(CudaRunner, LogitsThatAreNotFiniteFailTheRequest) {
  const auto model = tiny("tiny_llama");
  model->lm_head_weight().select(0, 5).fill_(std::numeric_limits<float>::quiet_NaN());
  const auto engine = gpu_engine(model);
  const auto response = engine->complete(request_of(random_ids(5, 1), 1));
  EXPECT_EQ(response.status, ResponseStatus::kFailed);
  EXPECT_NE(response.error.find("not finite"), std::string::npos) << response.error;
}

// As a trainer does: its thread writes weights and adapters on the device, on a stream of its own.
TEST_F(CudaRunner, WeightsThatAreWrittenOnTheDeviceAreWaitedFor) {
  const auto run = [](const std::unique_ptr<Engine>& engine, at::Device device) {
    Rng rng(7);
    const auto adapter = std::make_shared<Lora>(engine->model().config(), LoraConfig{4, 8}, rng);
    adapter->to(device);
    engine->set_adapter("a", adapter);
    std::vector<TextResponse> all;
    for (const double scale : {0.3, -0.2}) {
      engine->model().layer(0).flat.mul_(1 + scale);
      for (const NamedParameter& p : adapter->parameters()) {
        if (p.name.ends_with("lora_B")) p.tensor->fill_(scale);
      }
      engine->weights_changed();
      for (const char* name : {"a", ""}) {
        TextRequest request = request_of(random_ids(20, 1), 1);
        request.adapter = name;
        all.push_back(engine->complete(request));
      }
      engine->wait_idle();
    }
    return all;
  };
  const auto mine = run(gpu_engine(tiny("tiny_llama")), tensor_device(gpu().device));
  expect_same(mine, run(cpu_engine(tiny("tiny_llama")), at::kCPU));
  EXPECT_NE(mine[0].choices[0].logprobs, mine[2].choices[0].logprobs);
}

// What was run before its recording is over, with graphs and without.
TEST_F(CudaRunner, NothingIsUnderWayOnceItHasStarted) {
  for (const bool graphs : {true, false}) {
    EngineOptions options = small_options();
    options.cuda_graphs = graphs;
    for (int i = 0; i < 5; ++i) {
      const auto engine = gpu_engine(tiny("tiny_llama"), options);
      for (const NamedParameter& p : engine->model().parameters()) p.tensor->mul_(0.5);
    }
  }
}

// A request that ends in the middle of its prompt leaves nothing under way.
TEST_F(CudaRunner, NothingIsUnderWayOnceItIsIdle) {
  EngineOptions options = small_options();
  options.prefill_tokens = 1;
  const auto engine = gpu_engine(tiny("tiny_llama"), options);
  TextRequest request = request_of(random_ids(80, 1), 1);
  request.cancelled = std::make_shared<std::atomic<bool>>(false);
  std::promise<TextResponse> answer;
  engine->submit(request, [&](TextResponse r) { answer.set_value(std::move(r)); });
  ASSERT_TRUE(test::wait_until([&] { return engine->stats().prefill_tokens > 0; }));
  request.cancelled->store(true);
  EXPECT_EQ(answer.get_future().get().status, ResponseStatus::kCancelled);
  engine->wait_idle();
  for (const NamedParameter& p : engine->model().parameters()) p.tensor->mul_(0.5);
}

// The engine clears the blocks of a request that failed, and does not wait for that.
TEST_F(CudaRunner, EndsBeforeItsMemoryIsGivenAway) {
  const auto model = tiny("tiny_llama");
  model->lm_head_weight().fill_(std::numeric_limits<float>::quiet_NaN());
  for (int again = 0; again < 2; ++again) {
    const auto engine = gpu_engine(model);
    EXPECT_EQ(engine->complete(request_of(random_ids(5, 1), 1)).status, ResponseStatus::kFailed);
  }
}

TEST_F(CudaRunner, RefusesShapesThatTheKernelsDoNotTake) {
  TransformerConfig config = tiny("tiny_llama")->config();
  config.intermediate_size = 36;
  try {
    gpu_engine(Transformer::random(config, at::kFloat, 1));
    FAIL() << "accepted";
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("intermediate_size"), std::string::npos);
  }
}

// bf16 takes the tensor cores when it decodes, and flash attention for prompts: beside what earlier
// chunks, another request and running streams left in the cache. The logits of this model are about
// 0.2 and carry the rounding of two layers of bf16 values, a few times 2^-9 of them.
TEST_F(CudaRunner, Bf16StaysWithinItsRounding) {
  TransformerConfig config = tiny("tiny_qwen2")->config();
  config.num_heads = 6;
  config.num_kv_heads = 2;
  for (const int64_t head_dim : {64, 128}) {
    config.head_dim = head_dim;
    const auto model = [&] { return Transformer::random(config, at::kBFloat16, 3); };
    const auto expected = cpu_engine(model());
    for (const int64_t chunk : {int64_t{7}, small_options().prefill_tokens}) {
      EngineOptions options = small_options();
      options.prefill_tokens = chunk;
      const auto engine = gpu_engine(model(), options);
      std::vector<TextRequest> requests;
      for (const uint64_t seed : {1, 2, 2}) {
        requests.push_back(request_of(random_ids(17 * seed, seed), requests.size()));
        requests.back().sampling.max_tokens = 8;
      }
      std::vector<LogprobRequest> texts;
      const auto responses = engine->complete_all(requests);
      for (const TextResponse& response : responses) {
        ASSERT_EQ(response.status, ResponseStatus::kOk) << response.error;
        texts.push_back({response.prompt_ids, response.choices[0].ids, ""});
      }
      const auto mine = engine->logprobs(texts), theirs = expected->logprobs(texts);
      for (size_t i = 0; i < texts.size(); ++i) {
        const auto& decoded = responses[i].choices[0].logprobs;
        for (size_t t = 0; t < decoded.size(); ++t) {
          EXPECT_NEAR(decoded[t], theirs[i][t], 0.01);
          EXPECT_NEAR(mine[i][t], theirs[i][t], 0.01);
        }
      }
    }
  }
}

}  // namespace
}  // namespace weft
