// Adapters in the engine's CUDA path beside the CPU's; built twice, as cuda_runner_test.cpp.
#include <gtest/gtest.h>

#include "tests/model/engine/cuda_engines.h"

namespace weft {
namespace {

using namespace test::cuda_engines;

class CudaAdapters : public OnGpu {
 protected:
  // Of each in turn: the base, "a", "b", ...
  static std::vector<TextRequest> requests(const std::vector<std::string>& names, size_t count) {
    std::vector<TextRequest> all;
    for (size_t i = 0; i < count; ++i) {
      all.push_back(request_of(random_ids(9 + 3 * i, i), i));
      all.back().adapter = names[i % names.size()];
    }
    return all;
  }
  const std::shared_ptr<Transformer> model_ = tiny("tiny_llama");
};

// Requests with and without the adapter share their passes; its weights change in between.
TEST_F(CudaAdapters, ApplyToTheirRequestsAlone) {
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

// Of three ranks, none of which the kernels' tiles divide; one adapts some projections only. Each
// pass but the prompts' is a graph's replay.
TEST_F(CudaAdapters, DecodeInGraphsAsOnTheCpu) {
  Rng rng(5);
  LoraConfig few{20, 8};
  few.targets = {"v_proj", "down_proj"};
  const auto partial = std::make_shared<Lora>(model_->config(), few, rng);
  for (const NamedParameter& p : partial->parameters()) p.tensor->add_(0.05);
  const auto a = random_adapter(model_->config(), 4, 1), b = random_adapter(model_->config(), 7, 2);
  const auto run = [&](const std::unique_ptr<Engine>& engine) {
    engine->set_adapter("a", a);
    engine->set_adapter("b", b);
    engine->set_adapter("partial", partial);
    return engine->complete_all(requests({"", "a", "b", "partial"}, 11));
  };
  const auto engine = gpu_engine(tiny("tiny_llama"));
  const int64_t before = gpu().num_replays ? gpu().num_replays() : 0;
  const auto mine = run(engine);
  expect_same(mine, run(cpu_engine(model_)));
  if (!gpu().num_replays) return;
  EXPECT_EQ(gpu().num_replays() - before, 5);  // for tokens 2 to 6
}

// By one of the same rank, then by one of a greater, for which graphs are recorded anew.
TEST_F(CudaAdapters, AReplacedOneIsUsedByTheNextPass) {
  const auto engine = gpu_engine(tiny("tiny_llama")), theirs = cpu_engine(model_);
  std::weak_ptr<Lora> before;
  uint64_t seed = 0;
  for (const int64_t rank : {4, 4, 40, 3}) {
    const auto adapter = random_adapter(model_->config(), rank, ++seed);
    for (Engine* each : {engine.get(), theirs.get()}) each->set_adapter("a", adapter);
    EXPECT_TRUE(before.expired()) << "kept by whom it served";
    before = adapter;
    expect_same(engine->complete_all(requests({"a", ""}, 4)),
                theirs->complete_all(requests({"a", ""}, 4)));
    engine->wait_idle();
    theirs->wait_idle();
  }
}

// More than the batch at first has places for, since prompts of one pass may be of many.
TEST_F(CudaAdapters, AreAsManyAsTheRequests) {
  EngineOptions options = small_options();
  options.max_batch = 2;
  const auto engine = gpu_engine(tiny("tiny_llama"), options), theirs = cpu_engine(model_);
  std::vector<std::string> names = {""};
  for (uint64_t i = 1; i <= 6; ++i) {
    names.push_back("a" + std::to_string(i));
    const auto adapter = random_adapter(model_->config(), static_cast<int64_t>(2 * i), i);
    for (Engine* each : {engine.get(), theirs.get()}) each->set_adapter(names.back(), adapter);
  }
  expect_same(engine->complete_all(requests(names, 9)), theirs->complete_all(requests(names, 9)));
}

}  // namespace
}  // namespace weft
