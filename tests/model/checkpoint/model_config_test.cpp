#include "model/checkpoint/model_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/file.h"
#include "model/transformer/rope.h"
#include "tests/support/input_error.h"
#include "tests/support/support.h"

namespace weft {
namespace {

using testing::HasSubstr;

// Frequencies below 1 to a few roundings of fp32 each, which YaRN's sum of a kept and a stretched
// one multiplies by at most its factor, 4 here; the table's own cosine and sine add two.
constexpr double kRounding = 0x1p-24;
constexpr double kRoundings = 24;

void expect_rope(const TransformerConfig& config, const Json& expected) {
  const at::Tensor table = make_rope_table(config);
  const int64_t half = config.head_dim / 2;
  const float* row = table.const_data_ptr<float>() + 2 * half;  // of position 1
  ASSERT_EQ(expected["frequencies"].size(), static_cast<size_t>(half));
  for (int64_t i = 0; i < half; ++i) {
    const double cosine = row[i], sine = row[half + i];
    EXPECT_NEAR(std::atan2(sine, cosine), expected["frequencies"][i].get<double>(),
                kRoundings * kRounding);
    EXPECT_NEAR(std::hypot(sine, cosine), expected["attention_factor"].get<double>(),
                kRoundings * kRounding);
  }
}

// Every field that is read, in every architecture.
TEST(ModelConfig, MeansWhatTransformersTakesItFor) {
  const Json fixture = read_json_file(test::fixture("model_configs.json"));
  ASSERT_GT(fixture["cases"].size(), 100u);
  for (const auto& [name, one] : fixture["cases"].items()) {
    SCOPED_TRACE(name);
    const Json& expected = one["expected"];
    TransformerConfig config;
    ASSERT_EQ(test::input_error([&, &one = one] {
                config = TransformerConfig::from_json(one["config"], "config.json");
              }),
              "no error");
    EXPECT_EQ(config.num_kv_heads, expected["num_kv_heads"].get<int64_t>());
    EXPECT_EQ(config.head_dim, expected["head_dim"].get<int64_t>());
    EXPECT_EQ(config.rms_norm_eps, expected["rms_norm_eps"].get<double>());
    EXPECT_EQ(config.tie_word_embeddings, expected["tie_word_embeddings"].get<bool>());
    EXPECT_EQ(config.qkv_bias, expected["qkv_bias"].get<bool>());
    EXPECT_EQ(config.o_bias, expected["o_bias"].get<bool>());
    EXPECT_EQ(config.mlp_bias, expected["mlp_bias"].get<bool>());
    EXPECT_EQ(config.bos_id ? Json(*config.bos_id) : Json(), expected["bos_id"]);
    EXPECT_EQ(config.stored_dtype, expected["dtype"].get<std::string>());
    const Json& eos = expected["eos_ids"];
    EXPECT_EQ(Json(config.eos_ids), eos.is_array()  ? eos
                                    : eos.is_null() ? Json::array()
                                                    : Json{eos});
    if (!expected["window"].is_null()) {
      EXPECT_LE(config.max_positions, expected["window"].get<int64_t>());
    } else {
      EXPECT_GE(config.max_positions, 512);
    }
    expect_rope(config, expected);
  }
}

class Config {
 public:
  Config() : json_(read_json_file(test::fixture("tiny_llama") / "config.json")) {}
  Config& set(const char* key, const Json& value) {
    json_[key] = value;
    return *this;
  }
  std::string refusal() const {
    return test::input_error([this] { TransformerConfig::from_json(json_, "config.json"); });
  }
  const Json& json() const { return json_; }

 private:
  Json json_;
};

const Json kYarn = {
    {"rope_type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 256}};

TEST(ModelConfig, TwoFieldsThatSayDifferentThingsAreRefused) {
  EXPECT_THAT(Config().set("rope_scaling", kYarn).refusal(),
              HasSubstr("config.json: rope_scaling and rope_parameters say different things"));
  EXPECT_THAT(Config().set("rope_theta", 500000.0).refusal(),
              HasSubstr("config.json: rope_theta: expected one value, got 500000.0 and, under "
                        "rope_parameters, 10000.0"));
  EXPECT_THAT(Config().set("model_type", "mistral").refusal(),
              HasSubstr("expected one architecture, got \"LlamaForCausalLM\" and \"mistral\""));
  Json rope = kYarn;
  rope["type"] = "linear";
  EXPECT_THAT(Config().set("rope_parameters", rope).refusal(),
              HasSubstr("rope_type and type: expected one of them, got \"yarn\" and \"linear\""));
  EXPECT_THAT(
      Config().set("rope_parameters", kYarn).set("original_max_position_embeddings", 512).refusal(),
      HasSubstr("original_max_position_embeddings: expected one value, got 512"));
}

TEST(ModelConfig, WhatThisArchitectureDoesNotHaveIsRefused) {
  Json rope = kYarn;
  rope["orignal_max_position_embeddings"] = 256;
  EXPECT_THAT(Config().set("rope_parameters", rope).refusal(),
              HasSubstr("(did you mean \"original_max_position_embeddings\"?)"));
  EXPECT_THAT(Config().set("partial_rotary_factor", 0.5).refusal(),
              HasSubstr("partial_rotary_factor: expected 1"));
  EXPECT_THAT(Config().set("rope_parameters", {{"rope_type", "longrope"}}).refusal(),
              HasSubstr("expected default, linear, llama3 or yarn, got \"longrope\""));
  EXPECT_THAT(Config().set("rope_parameters", {{"rope_type", "linear"}, {"factor", 0}}).refusal(),
              HasSubstr("\"factor\": expected a positive number"));
}

TEST(ModelConfig, YarnReachesAsFarAsItsFactorSays) {
  const auto context_of = [](double factor) {
    Json rope = kYarn;
    rope["factor"] = factor;
    const Config config = Config().set("rope_parameters", rope);
    return TransformerConfig::from_json(config.json(), "config.json").max_positions;
  };
  EXPECT_EQ(context_of(4), 1024);
  EXPECT_EQ(context_of(1), 512);  // as the file says
}

TEST(ModelConfig, OfLlamasEndOfTextIsTwoWhereNoFileNamesOne) {
  const test::TempDir dir;
  Json json = Config().json();
  const auto eos_of = [&](const Json& generation) {
    write_file_atomically(dir / "config.json", dump_json(json));
    write_file_atomically(dir / "generation_config.json", dump_json(generation));
    return TransformerConfig::from_directory(dir.path().string()).eos_ids;
  };
  EXPECT_EQ(eos_of({{"eos_token_id", 7}}), (std::vector<int32_t>{2, 7}));
  json.erase("eos_token_id");
  EXPECT_EQ(eos_of({{"eos_token_id", 7}}), (std::vector<int32_t>{7}));
  EXPECT_EQ(eos_of(Json::object()), (std::vector<int32_t>{2}));
  json["eos_token_id"] = nullptr;
  EXPECT_EQ(eos_of(Json::object()), (std::vector<int32_t>{}));
}

}  // namespace
}  // namespace weft
