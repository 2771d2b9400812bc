// The memory plan beside what a training step takes at its peak: on the CPU and on the fake device,
// whose memory is counted.
#include <gtest/gtest.h>

#include "model/ops/cuda/cuda_ops.h"
#include "model/ops/tensor_device.h"
#include "tests/support/fake_device/fake_gpu.h"
#include "tests/support/gpu_under_test.h"
#include "tests/support/host_memory.h"
#include "tests/trainer/learn/update/learn_support.h"
#include "trainer/learn/grpo/policy_update.h"
#include "trainer/learn/run/memory_plan.h"

namespace weft {
namespace {

using test::HostMemory;
using test::fake::FakeGpu;

TransformerConfig middle_config() {
  TransformerConfig c = test::tiny_config(/*tied=*/false);
  c.vocab_size = 1024;
  c.hidden_size = 256;
  c.intermediate_size = 768;
  c.num_layers = 5;
  c.num_heads = 8;
  c.num_kv_heads = 2;
  c.head_dim = 32;
  return c;
}

/// One microbatch that is full, nearly all of whose tokens have a loss.
std::vector<TrainSequence> full_microbatch(int64_t tokens, int64_t vocabulary) {
  Rng rng(3);
  std::vector<TrainSequence> all;
  for (int64_t i = 0; i < 4; ++i) {
    TrainSequence s;
    s.prompt_ids = {1};
    for (int64_t t = 1; t < tokens / 4; ++t) {
      s.completion_ids.push_back(
          static_cast<int32_t>(rng.below(static_cast<uint64_t>(vocabulary))));
    }
    all.push_back(std::move(s));
  }
  return all;
}

struct Setting {
  bool on_device = false;
  at::ScalarType dtype = at::kBFloat16;
  TransformerConfig shape;
  LearnOptions learn;
  bool grpo = false;
};

std::vector<Episode> episodes_of(Learner& learner, const std::vector<TrainSequence>& sequences) {
  const auto logps = learner.logprobs(sequences, learner.lora());
  std::vector<Episode> episodes(sequences.size());
  for (size_t i = 0; i < episodes.size(); ++i) {
    episodes[i].group = i / 4;
    episodes[i].prompt_ids = sequences[i].prompt_ids;
    episodes[i].completion_ids = sequences[i].completion_ids;
    episodes[i].sampling_logprobs = logps[i];
    episodes[i].reward = static_cast<double>(i);
  }
  return episodes;
}

// What the device was given to do before holds its memory until it is done.
int64_t live(bool on_device) {
  if (!on_device) return HostMemory::get().live_bytes();
  FakeGpu::get().synchronize_all("memory_peak_test");
  return static_cast<int64_t>(FakeGpu::get().live_bytes());
}

/// Most that tensors take in a step that is not the first, weights included.
int64_t measured(const Setting& run) {
  const std::shared_ptr<Transformer> model = Transformer::random(run.shape, run.dtype, 11, 0.05);
  const at::Device device = run.on_device ? tensor_device(test::the_gpu().device) : at::kCPU;
  model->to(device);
  const int64_t before = live(run.on_device);
  int64_t weights = 0;
  for (const auto& p : model->parameters()) weights += static_cast<int64_t>(p.tensor->nbytes());
  std::shared_ptr<Lora> lora;
  if (!run.learn.full_weights) {
    Rng rng(2);
    lora = std::make_shared<Lora>(run.shape, run.learn.lora, rng);
    lora->to(device);
  }
  Learner learner(model, lora, run.learn, /*entropy=*/run.grpo);
  const auto sequences = full_microbatch(run.learn.tokens_per_microbatch, run.shape.vocab_size);
  const auto step = [&] {
    if (run.grpo) {
      const auto result = update_policy(learner, episodes_of(learner, sequences), {}, 1e-4, {});
      EXPECT_EQ(result.num_updates, 1);
      return;
    }
    LoggedSum loss;
    EXPECT_TRUE(learner.update(sequences, supervised_loss(100, loss), 1e-4).applied);
  };
  step();
  run.on_device ? FakeGpu::get().restart_peak() : HostMemory::get().restart_peak();
  step();
  const int64_t peak = run.on_device ? static_cast<int64_t>(FakeGpu::get().peak_bytes())
                                     : HostMemory::get().peak_bytes();
  return weights + peak - before;
}

/// Of the measured peak, which is returned.
int64_t expect_within_a_tenth(const Setting& run, const std::string& what) {
  MemoryPlanInput in;
  in.shape = run.shape;
  in.weight_bytes = run.dtype == at::kFloat ? 4 : 2;
  in.learn = run.learn;
  in.entropy = run.grpo;
  const Json plan = memory_plan(in);
  const int64_t peak = measured(run);
  const auto got = static_cast<double>(peak), planned = plan["total"].get<double>();
  EXPECT_NEAR(planned, got, 0.1 * got) << what << " " << plan.dump();
  return peak;
}

class MemoryPeak : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    HostMemory::get();
    ops::install_cuda_forms(test::the_gpu().device);
  }
  Setting run(bool middle) const {
    Setting run;
    run.on_device = GetParam();
    run.shape = middle ? middle_config() : test::tiny_config(/*tied=*/false);
    run.learn.full_weights = true;
    run.learn.tokens_per_microbatch = middle ? 256 : 96;
    run.learn.loss_chunk_tokens = 64;
    return run;
  }
};

TEST_P(MemoryPeak, IsPlannedForEveryOptimizer) {
  for (const bool middle : {false, true}) {
    for (const auto& [kind, name] : enum_table(OptimizerKind{})) {
      const bool as_others = kind == OptimizerKind::kAdamW || kind == OptimizerKind::kAdamWBf16;
      if (middle && (as_others || (GetParam() && kind == OptimizerKind::kMuon))) continue;
      Setting r = run(middle);
      r.learn.optimizer.kind = kind;
      expect_within_a_tenth(r, std::string(name) + (middle ? " middle" : " tiny"));
      if (r.learn.optimizer.has_masters()) continue;
      r.learn.optimizer.bf16_gradients = true;
      expect_within_a_tenth(r, std::string(name) + std::string(" with short gradients"));
    }
  }
}

TEST_P(MemoryPeak, IsPlannedForKeptAndRecomputedLayers) {
  for (const bool middle : {false, true}) {
    for (const bool full : {true, false}) {
      for (const int64_t kept : {-1, 0, 2}) {
        Setting r = run(middle);
        r.learn.full_weights = full;
        r.learn.keep_activations_layers = kept;
        expect_within_a_tenth(r, std::to_string(kept) + (full ? " full" : " adapter") +
                                     (middle ? " middle" : " tiny"));
      }
    }
  }
}

TEST_P(MemoryPeak, IsPlannedForEveryKthLayerAndInputsOnTheHost) {
  for (const bool offload : {false, true}) {
    if (offload && !GetParam()) continue;  // on the CPU they stay where they are
    for (const int64_t every : {0, 2}) {
      Setting r = run(/*middle=*/true);
      r.learn.keep_activations_layers = 0;
      r.learn.keep_activations_every = every;
      r.learn.offload_activations = offload;
      expect_within_a_tenth(r, std::to_string(every) + (offload ? " offloaded" : ""));
    }
  }
}

// Of an adapter, whose weights and states do not hide the activations. Two layers' worth is on the
// device at a time, of five.
TEST_P(MemoryPeak, FallsByWhatKeptLayersSaveWhereThatWaitsOnTheHost) {
  for (const bool every : {false, true}) {
    Setting r = run(/*middle=*/true);
    r.learn.full_weights = false;
    r.learn.keep_activations_layers = every ? 1 : -1;
    r.learn.keep_activations_every = every ? 2 : 0;
    const std::string what = every ? "every second" : "all";
    const int64_t kept = expect_within_a_tenth(r, what);
    r.learn.keep_activations_layers = r.learn.keep_activations_every = 0;
    const int64_t recomputed = expect_within_a_tenth(r, "none");
    if (!GetParam()) continue;  // on the CPU they stay where they are
    r.learn.keep_activations_layers = every ? 1 : -1;
    r.learn.keep_activations_every = every ? 2 : 0;
    r.learn.offload_kept_layers = true;
    const int64_t away = expect_within_a_tenth(r, what + " on the host");
    const int64_t of_a_layer = (kept - recomputed) / (every ? 2 : 4);
    EXPECT_LT(away, recomputed + 3 * of_a_layer / 2) << what;
    EXPECT_LT(away, kept - of_a_layer / 2) << what;
  }
}

TEST_P(MemoryPeak, IsPlannedForFp32AndForPolicyUpdates) {
  for (const bool middle : {false, true}) {
    Setting r = run(middle);
    r.learn.keep_activations_layers = 1;
    r.grpo = true;
    expect_within_a_tenth(r, "policy update");
    r.learn.full_weights = false;
    expect_within_a_tenth(r, "policy update of an adapter");
    if (r.on_device) continue;  // fp32 attention is slow there
    r = run(middle);
    r.dtype = at::kFloat;
    expect_within_a_tenth(r, "fp32");
  }
}

INSTANTIATE_TEST_SUITE_P(Memory, MemoryPeak, testing::Bool(),
                         [](const auto& info) { return info.param ? "Device" : "Host"; });

}  // namespace
}  // namespace weft
