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
#include "base/rng.h"
#include "model/checkpoint/hf_model.h"
#include "model/ops/tensor_device.h"
#include "tests/support/gpu_under_test.h"
#include "tests/support/support.h"

namespace weft {
namespace {

constexpr float kTolerance = 2e-5f;

const test::GpuUnderTest& gpu() { return test::the_gpu(); }

EngineOptions small_options() {
  EngineOptions options;
  options.max_batch = 12;
  options.max_context = 96;
  options.kv_mb = 4;
  return options;
}

std::shared_ptr<Transformer> tiny(const char* name) {
  return load_transformer(test::fixture(name).string(), at::kFloat);
}

/// An engine on the CPU, or on the GPU with the model moved there.
std::unique_ptr<Engine> cpu_engine(const std::shared_ptr<Transformer>& model,
                                   const EngineOptions& options = small_options()) {
  return std::make_unique<Engine>(model, nullptr, nullptr, options);
}
std::unique_ptr<Engine> gpu_engine(const std::shared_ptr<Transformer>& model,
                                   const EngineOptions& options = small_options()) {
  model->to(tensor_device(gpu().device));
  return std::make_unique<Engine>(model, nullptr, nullptr, options, "tiny", gpu().device);
}

std::vector<int32_t> random_ids(size_t n, uint64_t seed) {
  Rng rng(seed);
  std::vector<int32_t> ids(n);
  for (int32_t& id : ids) id = static_cast<int32_t>(3 + rng.below(300));
  return ids;
}

TextRequest request_of(std::vector<int32_t> ids, uint64_t seed) {
  TextRequest request;
  request.prompt = std::move(ids);
  request.sampling.max_tokens = 6;
  request.sampling.seed = seed;
  request.sampling.ignore_eos = true;
  return request;
}

/// Prompts of one token up to three blocks; forks, cuts and greedy ones among them.
std::vector<TextRequest> mixed_requests() {
  std::vector<TextRequest> requests;
  for (uint64_t i = 0; i < 5; ++i) requests.push_back(request_of(random_ids(1 + 10 * i, i), i));
  requests[1].n = 3;
  requests[2].sampling.top_p = 0.8;
  requests[3].sampling.top_k = 20;
  requests[3].sampling.temperature = 0.7;
  requests[4].sampling.temperature = 0;
  return requests;
}

void expect_near(const std::vector<float>& a, const std::vector<float>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], kTolerance);
}

void expect_same(const std::vector<TextResponse>& a, const std::vector<TextResponse>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t r = 0; r < a.size(); ++r) {
    ASSERT_EQ(a[r].status, ResponseStatus::kOk) << a[r].error;
    ASSERT_EQ(b[r].status, ResponseStatus::kOk) << b[r].error;
    ASSERT_EQ(a[r].choices.size(), b[r].choices.size());
    for (size_t i = 0; i < a[r].choices.size(); ++i) {
      EXPECT_EQ(a[r].choices[i].ids, b[r].choices[i].ids);
      expect_near(a[r].choices[i].logprobs, b[r].choices[i].logprobs);
      expect_near(a[r].choices[i].sampling_logprobs, b[r].choices[i].sampling_logprobs);
    }
  }
}

class CudaRunner : public testing::Test {
 protected:
  void SetUp() override {
    if (gpu().device.library == nullptr) GTEST_SKIP() << gpu().reason;
  }
};

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

// Alone and among others, its prompt in one chunk or in several, decoded or given.
TEST_F(CudaRunner, InvariantGivesATextTheSameBitsInEveryCompany) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const std::shared_ptr<Transformer> model =
        load_transformer(test::fixture("tiny_qwen2").string(), dtype);
    std::vector<TextRequest> requests;
    for (uint64_t i = 0; i < 12; ++i) requests.push_back(request_of(random_ids(30 + i, i), i));
    std::vector<LogprobRequest> texts;
    for (uint64_t i = 0; i < 12; ++i)
      texts.push_back({random_ids(30 + i, i), random_ids(9, i), ""});
    EngineOptions options = small_options();
    options.invariant = true;
    const auto together = gpu_engine(model, options);
    const auto all = together->complete_all(requests);
    const auto all_logprobs = together->logprobs(texts);
    options.prefill_tokens = 7;
    options.max_batch = 1;
    const auto alone = gpu_engine(model, options);
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

// Requests with and without the adapter share their passes; its weights change in between.
TEST_F(CudaRunner, AdaptersApplyToTheirRequestsAlone) {
  Rng rng(7);
  const auto adapter = std::make_shared<Lora>(tiny("tiny_llama")->config(), LoraConfig{4, 8}, rng);
  const auto run = [&](const std::unique_ptr<Engine>& engine) {
    engine->set_adapter("a", adapter);
    std::vector<TextResponse> all;
    for (const double scale : {0.3, -0.2}) {
      for (const NamedParameter& p : adapter->parameters()) {
        if (p.name.ends_with("lora_B")) p.tensor->fill_(scale);
      }
      engine->weights_changed();
      auto requests = mixed_requests();
      requests.resize(2);
      requests[0].adapter = "a";
      for (TextRequest& request : requests) request.sampling.max_tokens = 3;
      for (auto& response : engine->complete_all(requests)) all.push_back(std::move(response));
      for (const auto& logprobs : engine->logprobs({{random_ids(5, 1), random_ids(9, 2), "a"},
                                                    {random_ids(5, 1), random_ids(9, 2), ""}})) {
        all.emplace_back().choices.emplace_back().logprobs = logprobs;
      }
    }
    return all;
  };
  const auto mine = run(gpu_engine(tiny("tiny_llama")));
  expect_same(mine, run(cpu_engine(tiny("tiny_llama"))));
  EXPECT_NE(mine[0].choices[0].logprobs, mine[4].choices[0].logprobs);  // before, after
  EXPECT_NE(mine[2].choices[0].logprobs, mine[3].choices[0].logprobs);  // with, without
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

// bf16 takes the tensor cores when it decodes, and flash attention for prompts. The
// logits of this model are about 0.2 and carry the rounding of two layers of bf16 values, a few
// times 2^-9 of them.
TEST_F(CudaRunner, Bf16StaysWithinItsRounding) {
  TransformerConfig config = tiny("tiny_qwen2")->config();
  config.num_heads = 6;
  config.num_kv_heads = 2;
  for (const int64_t head_dim : {64, 128}) {
    config.head_dim = head_dim;
    const auto model = [&] { return Transformer::random(config, at::kBFloat16, 3); };
    const auto engine = gpu_engine(model());
    std::vector<LogprobRequest> texts;
    std::vector<std::vector<float>> decoded;
    for (const uint64_t seed : {1, 2, 3}) {
      const auto response = engine->complete(request_of(random_ids(17 * seed, seed), seed));
      ASSERT_EQ(response.status, ResponseStatus::kOk) << response.error;
      texts.push_back({response.prompt_ids, response.choices[0].ids, ""});
      decoded.push_back(response.choices[0].logprobs);
    }
    const auto mine = engine->logprobs(texts), theirs = cpu_engine(model())->logprobs(texts);
    for (size_t i = 0; i < texts.size(); ++i) {
      for (size_t t = 0; t < decoded[i].size(); ++t) {
        EXPECT_NEAR(decoded[i][t], theirs[i][t], 0.01);
        EXPECT_NEAR(mine[i][t], theirs[i][t], 0.01);
      }
    }
  }
}

}  // namespace
}  // namespace weft
