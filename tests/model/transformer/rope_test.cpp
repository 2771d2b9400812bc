#include "model/transformer/rope.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/json.h"
#include "tests/support/support.h"

namespace weft {
namespace {

// Frequencies of transformers are products of at most five numbers rounded to fp32, and angles are
// rounded once more: six roundings of 2^-24 of the angle. Each of the two cosines is off by one
// unit in the last place at most, which is 2^-24 below 1. YaRN's are sums of two such products, one
// of them by 1 - (1 - share): a share of 2^-24 of what is kept, which is up to `factor` times the
// sum. Its cosines are multiplied by a magnitude, rounded once more.
constexpr double kRounding = 0x1p-24;

double roundings_of(const Json& rope) {
  return rope["rope_type"] == "yarn" ? 12 + 2 * rope["factor"].get<double>() : 6;
}

class RopeTable : public testing::TestWithParam<const char*> {};

TEST_P(RopeTable, EqualsTransformers) {
  const Json fixture = read_json_file(test::fixture("rope.json"));
  const Json& expected = fixture["cases"][GetParam()];
  Json json = read_json_file(test::fixture("tiny_llama/config.json"));
  json["head_dim"] = expected["head_dim"];
  json["rope_parameters"] = expected["rope_parameters"];
  const at::Tensor table = make_rope_table(TransformerConfig::from_json(json, "config"));
  const int64_t half = expected["head_dim"].get<int64_t>() / 2;
  ASSERT_EQ(table.size(2), half);
  const auto positions = expected["positions"].get<std::vector<int64_t>>();
  ASSERT_EQ(positions[0], 0);
  const double magnitude = expected["cos"][0][0];
  const double roundings = roundings_of(expected["rope_parameters"]);
  for (size_t r = 0; r < positions.size(); ++r) {
    const float* row = table.const_data_ptr<float>() + positions[r] * 2 * half;
    for (int64_t i = 0; i < half; ++i) {
      // The frequency, from position 1; none exceeds 1, and so no angle there exceeds a quarter
      // turn.
      const double frequency = std::asin(expected["sin"][1][i].get<double>() / magnitude);
      const double angle = static_cast<double>(positions[r]) * frequency;
      const double bound = kRounding * magnitude * (4 + roundings * angle);
      ASSERT_NEAR(row[i], expected["cos"][r][i].get<float>(), bound) << positions[r] << " " << i;
      ASSERT_NEAR(row[half + i], expected["sin"][r][i].get<float>(), bound) << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Scalings, RopeTable,
                         testing::Values("plain", "linear", "llama31", "llama32", "yarn",
                                         "yarn_mscale", "yarn_given", "yarn_short"),
                         [](const auto& test) { return std::string(test.param); });

}  // namespace
}  // namespace weft
