#include "trainer/learn/run/card_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>

#include "tests/support/input_error.h"
#include "tests/support/support.h"

namespace weft {
namespace {

using testing::AllOf;
using testing::HasSubstr;

MemoryPlanInput flowreasoner_7b() {
  MemoryPlanInput in;
  in.shape = plan_shape("", test::source_dir() / "configs/shapes/deepseek-r1-distill-qwen-7b.json");
  in.learn.tokens_per_microbatch = 16384;
  in.learn.keep_activations_layers = 0;
  return in;
}

std::string refusal(const MemoryPlanInput& in, const std::string& gpu) {
  return test::input_error([&] { fitted_plan(in, {gpu}); });
}

TEST(CardPlan, CardsAreKnownByNameOrSize) {
  EXPECT_EQ(card_bytes("h200"), 141'000'000'000);
  EXPECT_EQ(card_bytes("48gb"), 48'000'000'000);
  for (const char* wrong : {"h300", "48", "gb", "-1gb", "0gb", "48 gb", "48gbs", "9999999gb"}) {
    EXPECT_THAT(test::input_error([&] { card_bytes(wrong); }),
                AllOf(HasSubstr("h200"), HasSubstr(wrong)));
  }
}

TEST(CardPlan, SaysWhatIsLeft) {
  const MemoryPlanInput in = flowreasoner_7b();
  const Json plan = fitted_plan(in, {"h200"});
  EXPECT_EQ(plan["card"]["for_the_run"].get<int64_t>(), 133'950'000'000);
  EXPECT_EQ(plan["card"]["left"].get<int64_t>(), 133'950'000'000 - plan["total"].get<int64_t>());
  EXPECT_EQ(fitted_plan(in, {}), memory_plan(in));
}

TEST(CardPlan, RefusesWhatDoesNotFitWithItsLargestParts) {
  MemoryPlanInput in = flowreasoner_7b();
  in.learn.full_weights = true;
  EXPECT_THAT(refusal(in, "h100"), AllOf(HasSubstr("plan.gpu"), HasSubstr("h100 has 76.0 GB"),
                                         HasSubstr("gradients 30.5 GB")));
}

// 7B with masters is 137 GB: without them and with fewer bytes for states it fits smaller cards
// whole, before an adapter takes the place of full weights.
TEST(CardPlan, ProposesSmallerStatesBeforeAnAdapter) {
  MemoryPlanInput in = flowreasoner_7b();
  in.learn.full_weights = true;
  EXPECT_THAT(refusal(in, "h200"), HasSubstr("learn.optimizer=adamw_bf16 --set learn.fp32_masters"
                                             "=false ("));
  EXPECT_THAT(refusal(in, "h100"), HasSubstr("learn.optimizer=adamw_8bit --set learn.fp32_masters"
                                             "=false ("));
  EXPECT_THAT(refusal(in, "60gb"), HasSubstr("--set learn.bf16_gradients=true ("));
  EXPECT_THAT(refusal(in, "48gb"), HasSubstr("learn.full_weights=false"));
}

// Whatever is proposed fits: the settings are read back and planned.
TEST(CardPlan, WhatItProposesFits) {
  for (const bool full : {false, true}) {
    for (const char* gpu : {"rtx-4090", "48gb", "h100", "h200"}) {
      MemoryPlanInput in = flowreasoner_7b();
      in.learn.full_weights = full;
      in.learn.keep_activations_layers = -1;
      in.kv_cache_bytes = int64_t{40} << 30;
      std::string text = refusal(in, gpu);
      if (text == "no error") continue;  // it fits as it is
      if (text.find("--set") == std::string::npos) {
        EXPECT_THAT(text, HasSubstr("no setting")) << gpu;
        continue;
      }
      const std::regex setting(R"(--set ([a-z_.]+)=(\S+))");
      for (std::smatch found; std::regex_search(text, found, setting); text = found.suffix()) {
        const std::string key = found[1], value = found[2];
        if (key == "learn.keep_activations_layers") in.learn.keep_activations_layers = 0;
        if (key == "learn.tokens_per_microbatch") {
          in.learn.tokens_per_microbatch = std::stoll(value);
        }
        if (key == "engine.kv_mb") in.kv_cache_bytes = std::stoll(value) << 20;
        if (key == "learn.full_weights") in.learn.full_weights = false;
        OptimizerOptions& optimizer = in.learn.optimizer;
        if (value == "adamw_bf16") optimizer.kind = OptimizerKind::kAdamWBf16;
        if (value == "adamw_8bit") optimizer.kind = OptimizerKind::kAdamW8bit;
        if (key == "learn.fp32_masters") optimizer.fp32_masters = false;
        if (key == "learn.bf16_gradients") optimizer.bf16_gradients = true;
      }
      EXPECT_EQ(refusal(in, gpu), "no error") << gpu;
    }
  }
}

}  // namespace
}  // namespace weft
