/// Engines on tiny random models in fp32. The logprobs of one text computed in different batches
/// differ by the order of fp32 sums only, about 1e-6.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "base/rng.h"
#include "model/engine/engine.h"
#include "tests/support/support.h"

namespace weft::test {

constexpr float kTolerance = 1e-5f;

inline EngineOptions small_options() {
  EngineOptions options;
  options.max_batch = 16;
  options.kv_mb = 4;
  return options;
}

/// Where tiny engines compute: the CPU, or the fake device, by what a test program links.
ComputeDevice engine_device();

inline std::unique_ptr<Engine> tiny_engine(const EngineOptions& options = small_options(),
                                           const char* model = "tiny_llama",
                                           const char* dtype = "f32") {
  return Engine::from_directory(fixture(model).string(), dtype, options, engine_device());
}

inline std::vector<int32_t> random_ids(size_t n, uint64_t seed) {
  Rng rng(seed);
  std::vector<int32_t> ids(n);
  for (int32_t& id : ids) id = static_cast<int32_t>(3 + rng.below(300));
  return ids;
}

inline TextRequest request_of(std::vector<int32_t> ids, int max_tokens = 12, uint64_t seed = 1) {
  TextRequest request;
  request.prompt = std::move(ids);
  request.sampling.max_tokens = max_tokens;
  request.sampling.seed = seed;
  request.sampling.ignore_eos = true;
  return request;
}

inline float worst_difference(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  float worst = 0;
  for (size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::abs(a[i] - b[i]));
  return worst;
}

inline void expect_same(const TextResponse& a, const TextResponse& b) {
  ASSERT_EQ(a.status, ResponseStatus::kOk) << a.error;
  ASSERT_EQ(b.status, ResponseStatus::kOk) << b.error;
  ASSERT_EQ(a.choices.size(), b.choices.size());
  for (size_t i = 0; i < a.choices.size(); ++i) {
    EXPECT_EQ(a.choices[i].ids, b.choices[i].ids);
    EXPECT_LE(worst_difference(a.choices[i].logprobs, b.choices[i].logprobs), kTolerance);
  }
}

inline void expect_idle_and_empty(Engine& engine) {
  engine.wait_idle();
  EXPECT_EQ(engine.stats().kv_blocks_used, 0);
  EXPECT_EQ(engine.stats().running, 0);
  EXPECT_EQ(engine.stats().queued, 0);
}

}  // namespace weft::test
