#include "trainer/learn/run/memory_plan.h"

#include <gtest/gtest.h>

#include "tests/support/support.h"
#include "tests/trainer/learn/update/learn_support.h"

namespace weft {
namespace {

TransformerConfig qwen2(int64_t layers, int64_t hidden, int64_t heads, int64_t kv_heads,
                        int64_t intermediate) {
  TransformerConfig c;
  c.architecture = Architecture::kQwen2;
  c.vocab_size = 152064;
  c.hidden_size = hidden;
  c.intermediate_size = intermediate;
  c.num_layers = layers;
  c.num_heads = heads;
  c.num_kv_heads = kv_heads;
  c.head_dim = 128;
  c.qkv_bias = true;
  return c;
}

MemoryPlanInput full_7b() {
  MemoryPlanInput in;
  in.shape = qwen2(28, 3584, 28, 4, 18944);
  in.learn.full_weights = true;
  in.learn.keep_activations_layers = 0;
  in.learn.tokens_per_microbatch = 8192;
  return in;
}

double gb(const Json& plan, const char* key) { return plan[key].get<double>() / 1e9; }

// 7.616e9 parameters: 15.2 GB of bf16, 30.5 of fp32 gradients and as many of masters, 60.9 of Adam.
TEST(MemoryPlan, CountsTheStatesOfA7BFullRun) {
  const Json plan = memory_plan(full_7b());
  EXPECT_NEAR(plan["num_parameters"].get<double>(), 7.616e9, 5e6);
  EXPECT_NEAR(gb(plan, "weights"), 15.2, .1);
  EXPECT_NEAR(gb(plan, "gradients"), 30.5, .1);
  EXPECT_NEAR(gb(plan, "masters"), 30.5, .1);
  EXPECT_NEAR(gb(plan, "optimizer"), 60.9, .1);
  EXPECT_GT(gb(plan, "activations"), 1);
  EXPECT_LT(gb(plan, "activations"), 12);
}

// 256 rows of 152,064 logits, which become their gradient in place and then the weights' dtype.
TEST(MemoryPlan, HoldsAChunkOfLogitsOnceInEachDtype) {
  MemoryPlanInput in = full_7b();
  EXPECT_EQ(memory_plan(in)["logits_chunk"], 256 * 152064 * (4 + 2));
  in.weight_bytes = 4;
  EXPECT_EQ(memory_plan(in)["logits_chunk"], 256 * 152064 * 4);
  in.learn.tokens_per_microbatch = 100;
  EXPECT_EQ(memory_plan(in)["logits_chunk"], 100 * 152064 * 4);
}

TEST(MemoryPlan, ShrinksToTheAdapterWithLora) {
  MemoryPlanInput in = full_7b();
  in.shape = qwen2(48, 5120, 40, 8, 13824);
  in.learn.full_weights = false;
  const Json plan = memory_plan(in);
  EXPECT_NEAR(plan["num_parameters"].get<double>(), 14.77e9, 2e7);
  // Rank 16 over seven projections of 48 layers.
  EXPECT_NEAR(plan["trained_parameters"].get<double>(), 68.8e6, .2e6);
  EXPECT_NEAR(gb(plan, "weights"), 29.5, .1);
  EXPECT_LT(gb(plan, "gradients") + gb(plan, "optimizer") + gb(plan, "masters"), 1);
}

TEST(MemoryPlan, GrowsWithKeptLayersAndMicrobatch) {
  MemoryPlanInput in = full_7b();
  const double recomputed = gb(memory_plan(in), "activations");
  in.learn.keep_activations_layers = -1;
  const double kept = gb(memory_plan(in), "activations");
  EXPECT_GT(kept, 8 * recomputed);
  in.learn.tokens_per_microbatch *= 2;
  EXPECT_NEAR(gb(memory_plan(in), "activations"), 2 * kept, 1e-3 * kept);
}

// But for the last layer's; at the peak a layer's and that on its way back for the next.
TEST(MemoryPlan, LeavesOutWhatKeptLayersSaveOnTheHost) {
  MemoryPlanInput in = full_7b();
  in.learn.full_weights = false;  // the peak is in a layer's backward pass, not in the loss
  in.learn.keep_activations_layers = 1;
  const Json one = memory_plan(in);
  in.learn.keep_activations_layers = -1;
  in.learn.offload_kept_layers = true;
  const Json away = memory_plan(in);
  EXPECT_EQ(away["activations"], one["activations"]);
  in.learn.keep_activations_layers = 0;
  const auto of_a_layer =
      one["activations"].get<int64_t>() - memory_plan(in)["activations"].get<int64_t>();
  EXPECT_EQ(away["total"].get<int64_t>(), one["total"].get<int64_t>() + of_a_layer);
}

TEST(MemoryPlan, CountsTheAdaptersParametersAsTheyAre) {
  const TransformerConfig shape = test::tiny_config();
  LearnOptions options;
  options.lora.rank = 4;
  Rng rng(1);
  EXPECT_EQ(num_trained_parameters(shape, options),
            Lora(shape, options.lora, rng).num_parameters());
  options.full_weights = true;
  EXPECT_EQ(num_trained_parameters(shape, options), shape.num_parameters());
}

// 2 bytes a state in bf16, 1 and 4 for each 256 in 8 bits; 14.77e9 parameters, of which 13.2e9 are
// in matrices of layers.
TEST(MemoryPlan, CountsTheStatesOfEachOptimizerAt14B) {
  MemoryPlanInput in = full_7b();
  in.shape = qwen2(48, 5120, 40, 8, 13824);
  const auto plan_of = [&](OptimizerKind kind) {
    in.learn.optimizer.kind = kind;
    return memory_plan(in);
  };
  EXPECT_NEAR(gb(plan_of(OptimizerKind::kAdamW), "optimizer"), 118.2, .2);
  EXPECT_NEAR(gb(plan_of(OptimizerKind::kAdamWBf16), "optimizer"), 59.1, .1);
  EXPECT_NEAR(gb(plan_of(OptimizerKind::kAdamW8bit), "optimizer"), 30.0, .1);
  EXPECT_NEAR(gb(plan_of(OptimizerKind::kMuon), "optimizer"), 4 * 13.21 + 8 * 1.56, .2);
  EXPECT_EQ(plan_of(OptimizerKind::kAdamW8bit)["masters"], 0);
  in.learn.optimizer.fp32_masters = true;
  EXPECT_NEAR(gb(plan_of(OptimizerKind::kAdamW8bit), "masters"), 59.1, .1);
}

TEST(MemoryPlan, CountsGradientsMastersAndStatesToTheByte) {
  for (const char* name : {"tiny_llama", "tiny_qwen2", "tiny_qwen3"}) {
    for (const auto dtype : {at::kFloat, at::kBFloat16}) {
      for (const auto kind : {OptimizerKind::kAdamW, OptimizerKind::kAdamWBf16,
                              OptimizerKind::kAdamW8bit, OptimizerKind::kMuon}) {
        for (const bool full : {true, false}) {
          if (!full && kind == OptimizerKind::kMuon) continue;
          SCOPED_TRACE(std::string(name) + " " + std::to_string(int(kind)));
          MemoryPlanInput in;
          in.shape = plan_shape(test::fixture(name).string(), "");
          in.weight_bytes = dtype == at::kFloat ? 4 : 2;
          in.learn.full_weights = full;
          in.learn.lora.rank = 3;
          in.learn.optimizer.kind = kind;
          Rng rng(1);
          const auto lora = full ? nullptr : std::make_shared<Lora>(in.shape, in.learn.lora, rng);
          const Learner learner(Transformer::random(in.shape, dtype, 2), lora, in.learn);
          int64_t gradients = 0;
          for (size_t l = 0; l < learner.store().num_layers(); ++l) {
            gradients += 4 * learner.store().padded_size(l);
          }
          const Json plan = memory_plan(in);
          EXPECT_EQ(plan["gradients"], gradients);
          EXPECT_EQ(plan["optimizer"], learner.optimizer().state_bytes());
          EXPECT_EQ(plan["masters"], learner.optimizer().master_bytes());
        }
      }
    }
  }
}

TEST(MemoryPlan, ReadsAShapeWithoutWeights) {
  const auto config = test::fixture("tiny_llama/config.json");
  EXPECT_EQ(plan_shape("", config.string()).hidden_size, 64);
  EXPECT_EQ(plan_shape(config.parent_path().string(), "").num_layers, 2);
  EXPECT_THROW(plan_shape("", ""), InputError);
  EXPECT_THROW(plan_shape("/nowhere/at/all", ""), InputError);
}

}  // namespace
}  // namespace weft
