// Twenty steps of supervised training over all weights, an adapter, one scaled by the root of its
// rank and one with trained lengths of rows (DoRA), on tiny_llama.
#include "tests/trainer/learn/sft/sft_curve.h"

namespace weft {
namespace {

TEST(SftParity, EachStepOfATinyModelIsThatOfTransformersAndPeft) {
  const Json fixture = read_json_file(test::fixture("sft_tiny.json"));
  ASSERT_EQ(fixture["cases"].size(), 4u);
  for (const Json& c : fixture["cases"]) {
    ASSERT_EQ(c["losses"].size(), 20u);
    test::expect_curve(fixture, c, test::fixture(c["model"].get<std::string>()));
  }
}

}  // namespace
}  // namespace weft
