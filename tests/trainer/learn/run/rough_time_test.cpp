#include "trainer/learn/run/rough_time.h"

#include <gtest/gtest.h>

#include "tests/trainer/learn/update/learn_support.h"

namespace weft {
namespace {

// A tied head is multiplied with, an untied embedding is not; half as much again where all is
// trained, and as much as a forward pass without its head where layers are computed again.
TEST(RoughTime, CountsTheProductsOfAStep) {
  const TransformerConfig tied = test::tiny_config(), untied = test::tiny_config(false);
  const auto weights = static_cast<double>(tied.num_parameters());
  const auto head = static_cast<double>(tied.vocab_size * tied.hidden_size);
  LearnOptions learn;
  EXPECT_EQ(step_flops(tied, learn), 4 * weights);
  EXPECT_EQ(step_flops(untied, learn), 4 * weights);
  learn.full_weights = true;
  EXPECT_EQ(step_flops(tied, learn), 6 * weights);
  learn.keep_activations_layers = 0;
  EXPECT_EQ(step_flops(tied, learn), 6 * weights + 2 * (weights - head));
}

TEST(RoughTime, GrowsWithTheTokens) {
  const Json one = rough_time(test::tiny_config(), {}, at::kFloat, 1000);
  EXPECT_EQ(one["tokens"], 1000);
  EXPECT_GT(one["tokens_per_s"].get<double>(), 0);
  EXPECT_DOUBLE_EQ(one["hours"].get<double>() * 3600 * one["tokens_per_s"].get<double>(), 1000);
}

TEST(RoughTime, OfRolloutsGrowsWithTheirTokens) {
  const auto hours = [](double tokens, int64_t epochs, bool reference) {
    const Json time =
        rough_rollout_time(test::tiny_config(), {}, at::kFloat, tokens, epochs, reference);
    EXPECT_EQ(time["completion_tokens"], tokens);
    return time["hours"].get<double>();
  };
  const double one = hours(1000, 1, false);
  EXPECT_GT(one, 0);
  EXPECT_GT(hours(100'000, 1, false), 10 * one);
  EXPECT_GT(hours(100'000, 4, true), 10 * one);
}

}  // namespace
}  // namespace weft
