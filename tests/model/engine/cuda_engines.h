/// Engines on tiny random models in fp32, on the CPU and on the GPU under test: both paths differ
/// by the order of fp32 sums.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "base/rng.h"
#include "model/checkpoint/hf_model.h"
#include "model/engine/engine.h"
#include "model/ops/tensor_device.h"
#include "tests/support/gpu_under_test.h"
#include "tests/support/support.h"

namespace weft::test::cuda_engines {

constexpr float kTolerance = 2e-5f;

inline const GpuUnderTest& gpu() { return the_gpu(); }

inline EngineOptions small_options() {
  EngineOptions options;
  options.max_batch = 12;
  options.max_context = 96;
  options.kv_mb = 4;
  return options;
}

inline std::shared_ptr<Transformer> tiny(const char* name) {
  return load_transformer(fixture(name).string(), at::kFloat);
}

/// An engine on the CPU, or on the GPU with the model moved there.
inline std::unique_ptr<Engine> cpu_engine(const std::shared_ptr<Transformer>& model,
                                          const EngineOptions& options = small_options()) {
  return std::make_unique<Engine>(model, nullptr, nullptr, options);
}
inline std::unique_ptr<Engine> gpu_engine(const std::shared_ptr<Transformer>& model,
                                          const EngineOptions& options = small_options()) {
  model->to(tensor_device(gpu().device));
  return std::make_unique<Engine>(model, nullptr, nullptr, options, "tiny", gpu().device);
}

inline std::vector<int32_t> random_ids(size_t n, uint64_t seed) {
  Rng rng(seed);
  std::vector<int32_t> ids(n);
  for (int32_t& id : ids) id = static_cast<int32_t>(3 + rng.below(300));
  return ids;
}

inline TextRequest request_of(std::vector<int32_t> ids, uint64_t seed) {
  TextRequest request;
  request.prompt = std::move(ids);
  request.sampling.max_tokens = 6;
  request.sampling.seed = seed;
  request.sampling.ignore_eos = true;
  return request;
}

/// Prompts of one token up to three blocks; forks, cuts and greedy ones among them.
inline std::vector<TextRequest> mixed_requests() {
  std::vector<TextRequest> requests;
  for (uint64_t i = 0; i < 5; ++i) requests.push_back(request_of(random_ids(1 + 10 * i, i), i));
  requests[1].n = 3;
  requests[2].sampling.top_p = 0.8;
  requests[3].sampling.top_k = 20;
  requests[3].sampling.temperature = 0.7;
  requests[4].sampling.temperature = 0;
  return requests;
}

/// An adapter with weights of about 0.1.
inline std::shared_ptr<Lora> random_adapter(const TransformerConfig& config, int64_t rank,
                                            uint64_t seed) {
  Rng rng(seed);
  auto adapter = std::make_shared<Lora>(config, LoraConfig{rank, 8}, rng);
  for (const NamedParameter& p : adapter->parameters()) {
    float* values = p.tensor->data_ptr<float>();
    for (int64_t i = 0; i < p.tensor->numel(); ++i) {
      values[i] = static_cast<float>(0.1 * rng.normal());
    }
  }
  adapter->weights_changed();
  return adapter;
}

inline void expect_near(const std::vector<float>& a, const std::vector<float>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], kTolerance);
}

inline void expect_same(const std::vector<TextResponse>& a, const std::vector<TextResponse>& b) {
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

/// Skipped where there is no GPU.
class OnGpu : public testing::Test {
 protected:
  void SetUp() override {
    if (gpu().device.library == nullptr) GTEST_SKIP() << gpu().reason;
  }
};

}  // namespace weft::test::cuda_engines
