#include "trainer/learn/grpo/method.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "tests/support/input_error.h"

namespace weft {
namespace {

struct Preset {
  PolicyUpdateOptions update;
  int64_t refill_rounds = 0;
  explicit Preset(PolicyMethod method) { apply_method(method, update, refill_rounds); }
};

std::vector<PolicyMethod> all_methods() {
  std::vector<PolicyMethod> methods;
  for (const auto& [method, name] : enum_table(PolicyMethod{})) methods.push_back(method);
  return methods;
}

TEST(PolicyMethod, CustomSetsNothing) {
  const Preset custom(PolicyMethod::kCustom);
  EXPECT_EQ(config_to_json(custom.update), config_to_json(PolicyUpdateOptions{}));
  EXPECT_EQ(custom.refill_rounds, 0);
}

// The "update" of a run of version 0.1.0, which knew no methods.
TEST(PolicyMethod, AConfigOfAnEarlierVersionIsTodaysDefault) {
  const Json earlier = parse_json(R"({"advantage": "normalized", "population_std": false,
      "negative_weight": 1.0, "mask_truncated": false, "updates_per_batch": 1,
      "loss": {"clip_low": 0.2, "clip_high": 0.28, "dual_clip": 0.0, "mean": "per_batch",
               "kl_coefficient": 0.0, "kl": "k3+"}})",
                                  "test");
  Json now = config_to_json(PolicyUpdateOptions{});
  EXPECT_EQ(config_to_json(load_config<PolicyUpdateOptions>(earlier)), now);
  now.merge_patch(earlier);
  EXPECT_EQ(now, config_to_json(PolicyUpdateOptions{}));
}

TEST(PolicyMethod, EachIsAValidUpdateOfItsOwn) {
  std::vector<Json> seen;
  for (const auto method : all_methods()) {
    const Preset preset(method);
    const Json json = config_to_json(preset.update);
    EXPECT_EQ(config_to_json(load_config<PolicyUpdateOptions>(json)), json);
    EXPECT_NO_THROW(check_method(method, preset.update));
    for (const Json& other : seen) EXPECT_NE(json, other);
    seen.push_back(json);
  }
  EXPECT_EQ(seen.size(), 8u);
}

TEST(PolicyMethod, SetsWhatItsPaperSays) {
  const Json grpo = config_to_json(Preset(PolicyMethod::kGrpo).update);
  EXPECT_EQ(grpo["loss"]["mean"], "per_sequence");
  EXPECT_EQ(grpo["loss"]["clip_high"], .2);
  const Json dr_grpo = config_to_json(Preset(PolicyMethod::kDrGrpo).update);
  EXPECT_EQ(dr_grpo["advantage"], "centered");
  EXPECT_EQ(dr_grpo["loss"]["mean"], "constant");
  EXPECT_EQ(dr_grpo["loss"]["mean_tokens"], 0);
  const Preset dapo(PolicyMethod::kDapo);
  EXPECT_EQ(dapo.refill_rounds, 10);
  EXPECT_TRUE(dapo.update.drop_equal_groups);
  EXPECT_EQ(dapo.update.overlong_share, 4096.0 / 20480);
  const Json gspo = config_to_json(Preset(PolicyMethod::kGspo).update);
  EXPECT_EQ(gspo["loss"]["ratio"], "sequence");
  EXPECT_EQ(gspo["loss"]["clip_low"], 3e-4);
  const Json cispo = config_to_json(Preset(PolicyMethod::kCispo).update);
  EXPECT_EQ(cispo["loss"]["surrogate"], "cispo");
  EXPECT_EQ(cispo["loss"]["clip_high"], 4);
  const Json rloo = config_to_json(Preset(PolicyMethod::kRloo).update);
  EXPECT_EQ(rloo["advantage"], "leave_one_out");
  EXPECT_EQ(rloo["loss"]["mean_tokens"], 1);
  EXPECT_EQ(rloo["loss"]["kl_place"], "reward");
  const Json plus = config_to_json(Preset(PolicyMethod::kReinforcePlusPlus).update);
  EXPECT_EQ(plus["advantage"], "whitened");
  EXPECT_EQ(plus["loss"]["kl"], "k2");
}

TEST(PolicyMethod, RefusesByNameWhatIsNoLongerTheMethod) {
  const auto refusal = [](PolicyMethod method,
                          const std::function<void(PolicyUpdateOptions&)>& set) {
    Preset preset(method);
    set(preset.update);
    return test::input_error([&] { check_method(method, preset.update); });
  };
  const auto token = [](PolicyUpdateOptions& o) { o.loss.ratio = RatioLevel::kToken; };
  const auto clip = [](PolicyUpdateOptions& o) { o.loss.surrogate = Surrogate::kClip; };
  const auto centered = [](PolicyUpdateOptions& o) { o.advantage = AdvantageKind::kCentered; };
  const auto per_sequence = [](PolicyUpdateOptions& o) { o.loss.mean = TokenMean::kPerSequence; };
  EXPECT_EQ(refusal(PolicyMethod::kGspo, token),
            "update.loss.ratio: expected sequence with method = gspo, got token (method = custom "
            "has none of its own)");
  EXPECT_NE(refusal(PolicyMethod::kCispo, clip).find("update.loss.surrogate"), std::string::npos);
  for (const auto method :
       {PolicyMethod::kGrpo, PolicyMethod::kRloo, PolicyMethod::kReinforcePlusPlus}) {
    EXPECT_NE(refusal(method, centered).find("update.advantage"), std::string::npos);
  }
  for (const auto method : {PolicyMethod::kDrGrpo, PolicyMethod::kDapo}) {
    EXPECT_NE(refusal(method, per_sequence).find("update.loss.mean"), std::string::npos);
  }
}

}  // namespace
}  // namespace weft
