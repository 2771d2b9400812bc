// One update's loss and gradient norm against TRL's trainers on the same rollouts, and against the
// papers' formulas in PyTorch for what TRL has not, on tiny_llama with all weights trained
// (scripts/fixtures/make_trl_fixtures.py).
#include <gtest/gtest.h>

#include "base/json.h"
#include "model/checkpoint/hf_model.h"
#include "tests/support/support.h"
#include "trainer/learn/grpo/policy_update.h"

namespace weft {
namespace {

constexpr double kTolerance = 1e-5;

std::vector<Episode> episodes_of(const Json& fixture, const char* logprobs) {
  std::vector<Episode> result;
  for (const Json& json : fixture["episodes"]) {
    Episode& e = result.emplace_back();
    e.group = json["group"].get<uint64_t>();
    e.reward = json["reward"].get<double>();
    e.prompt_ids = json["prompt_ids"].get<std::vector<int32_t>>();
    e.completion_ids = json["completion_ids"].get<std::vector<int32_t>>();
    e.sampling_logprobs = json[logprobs].get<std::vector<float>>();
  }
  return result;
}

TEST(TrlParity, LossAndGradientNormOfOneUpdate) {
  const Json fixture = read_json_file(test::fixture("trl_losses.json"));
  const std::string base = test::fixture("tiny_llama").string();
  ASSERT_FALSE(fixture["cases"].empty());
  for (const Json& expected : fixture["cases"]) {
    const auto name = expected["name"].get<std::string>();
    auto options = load_config<PolicyUpdateOptions>(expected["update"]);
    options.max_completion_tokens = fixture["meta"]["max_tokens"].get<int64_t>();
    const std::shared_ptr<Transformer> model = load_transformer(base, at::kFloat);
    const auto adapter = Lora::load(test::fixture("tiny_llama_lora").string(), model->config());
    LearnOptions learn;
    learn.full_weights = true;
    Learner learner(model, nullptr, learn);
    const bool on_policy = expected["on_policy"].get<bool>();
    const auto result =
        update_policy(learner, episodes_of(fixture, on_policy ? "own" : "recorded"),
                      {Reference::Kind::kAdapter, adapter.get(), nullptr}, 1e-3, options);
    const auto loss = expected["loss"].get<double>();
    const auto grad_norm = expected["grad_norm"].get<double>();
    EXPECT_TRUE(result.bad.empty());
    // TRL's RLOO has one ratio, 1 here, for a whole response: another value, the same gradient.
    if (!on_policy) {
      EXPECT_NEAR(result.sums.loss, loss, kTolerance) << name;
    }
    EXPECT_NEAR(result.grad_norm, grad_norm, kTolerance * grad_norm) << name;
    if (!on_policy && name != "dr_grpo") {
      EXPECT_GT(result.sums.clipped_low + result.sums.clipped_high, 0) << name;
    }
  }
}

}  // namespace
}  // namespace weft
