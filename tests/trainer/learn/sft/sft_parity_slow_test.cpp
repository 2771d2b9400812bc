// Twenty steps of 2,000 packed tokens of the default model, over all weights and an adapter.
#include "tests/trainer/learn/sft/sft_curve.h"

namespace weft {
namespace {

TEST(SftParity, EachStepOfTheDefaultModelIsThatOfTransformersAndPeft) {
  const Json fixture = read_json_file(test::fixture("sft_smollm2.json"));
  ASSERT_EQ(fixture["cases"].size(), 2u);
  for (const Json& c : fixture["cases"]) {
    ASSERT_EQ(c["losses"].size(), 20u);
    const auto dir = test::source_dir() / "models" / c["model"].get<std::string>();
    if (!fs::exists(dir / "model.safetensors")) {
      GTEST_SKIP() << dir << " is absent: run scripts/bootstrap.sh";
    }
    test::expect_curve(fixture, c, dir);
  }
}

}  // namespace
}  // namespace weft
