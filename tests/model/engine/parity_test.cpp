// SmolLM2-135M-Instruct against transformers: greedy ids and logprobs of 50 prompts in fp32, and
// how far bf16 is from fp32. The environment variable WEFT_PARITY_MODEL names another model's
// directory, with the bf16_parity.json that scripts/fixtures/make_bf16_fixtures.py leaves in it.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "base/json.h"
#include "model/engine/engine.h"
#include "tests/support/support.h"

namespace weft {
namespace {

constexpr double kTolerance = 1e-4;  // issue's bound; logits near 30 after 30 layers in fp32

std::variant<std::vector<int32_t>, std::string, std::vector<ChatMessage>> read_prompt(
    const Json& c) {
  if (c.contains("prompt")) return c["prompt"].get<std::string>();
  std::vector<ChatMessage> messages;
  for (const Json& m : c["messages"]) messages.push_back({m["role"], m["content"]});
  return messages;
}

class DefaultModelParity : public testing::Test {
 protected:
  void SetUp() override {
    const auto dir = test::source_dir() / "models" / "SmolLM2-135M-Instruct";
    if (!std::filesystem::exists(dir / "model.safetensors")) {
      GTEST_SKIP() << dir << " is absent: run scripts/bootstrap.sh";
    }
    EngineOptions options;
    options.max_context = 512;
    engine_ = Engine::from_directory(dir.string(), "f32", options);
    cases_ = read_json_file(test::fixture("smollm2_greedy.json"))["cases"];
  }

  std::unique_ptr<Engine> engine_;
  Json cases_;
};

// Two continuations closer than the tolerance may swap; the fixture says how close the closest was.
TEST_F(DefaultModelParity, GreedyTextAndLogprobsEqualTransformers) {
  std::vector<TextRequest> requests;
  for (const Json& c : cases_) {
    TextRequest request;
    request.prompt = read_prompt(c);
    request.sampling.temperature = 0;
    request.sampling.max_tokens = static_cast<int>(c["output_ids"].size());
    requests.push_back(request);
  }
  const auto responses = engine_->complete_all(requests);
  double worst = 0;
  for (size_t i = 0; i < responses.size(); ++i) {
    const Json& c = cases_[i];
    ASSERT_EQ(responses[i].status, ResponseStatus::kOk) << responses[i].error;
    EXPECT_EQ(responses[i].prompt_ids, c["prompt_ids"].get<std::vector<int32_t>>());
    if (c["min_margin"].get<double>() < 2 * kTolerance) continue;
    const Completion& got = responses[i].choices[0];
    EXPECT_EQ(got.ids, c["output_ids"].get<std::vector<int32_t>>()) << "case " << i;
    EXPECT_EQ(got.text, c["text"].get<std::string>());
    EXPECT_EQ(got.finish == FinishReason::kStop, c["finish_reason"] == "stop");
    for (size_t t = 0; t < std::min(got.ids.size(), c["logprobs"].size()); ++t) {
      worst = std::max(worst, std::abs(got.logprobs[t] - c["logprobs"][t].get<double>()));
    }
  }
  EXPECT_LE(worst, kTolerance);
  RecordProperty("worst_logprob_difference", std::to_string(worst));
}

TEST_F(DefaultModelParity, LogprobsEqualTransformers) {
  std::vector<LogprobRequest> requests;
  for (const Json& c : cases_) {
    requests.push_back({c["prompt_ids"].get<std::vector<int32_t>>(),
                        c["output_ids"].get<std::vector<int32_t>>(), ""});
  }
  const auto logprobs = engine_->logprobs(requests);
  double worst = 0;
  for (size_t i = 0; i < logprobs.size(); ++i) {
    for (size_t t = 0; t < logprobs[i].size(); ++t) {
      worst = std::max(worst, std::abs(logprobs[i][t] - cases_[i]["logprobs"][t].get<double>()));
    }
  }
  EXPECT_LE(worst, kTolerance);
}

// Mean and 99th percentile of absolute differences.
struct Distance {
  double mean = 0, p99 = 0;
};

Distance distance(const std::vector<std::vector<float>>& got, const Json& rows, const char* key) {
  std::vector<double> differences;
  for (size_t i = 0; i < got.size(); ++i) {
    const auto expected = rows[i][key].get<std::vector<float>>();
    EXPECT_EQ(got[i].size(), expected.size());
    for (size_t t = 0; t < expected.size(); ++t) {
      differences.push_back(std::abs(static_cast<double>(got[i][t]) - expected[t]));
    }
  }
  std::sort(differences.begin(), differences.end());
  Distance result;
  for (const double d : differences) result.mean += d / static_cast<double>(differences.size());
  result.p99 = differences[differences.size() * 99 / 100];
  return result;
}

std::vector<std::vector<float>> logprobs_of(const std::filesystem::path& dir, const char* dtype,
                                            const Json& rows) {
  EngineOptions options;
  options.max_context = 512;
  const auto engine = Engine::from_directory(dir.string(), dtype, options);
  std::vector<LogprobRequest> requests;
  for (const Json& row : rows) {
    const auto ids = row["ids"].get<std::vector<int32_t>>();
    requests.push_back({{ids[0]}, {ids.begin() + 1, ids.end()}, ""});
  }
  return engine->logprobs(requests);
}

// No further from transformers' fp32 than 1.25 times what its own bf16 is: both round at every
// pass, in orders of their own.
void expect_bf16_as_good(const std::filesystem::path& dir, const Json& rows) {
  std::vector<std::vector<float>> theirs;
  for (const Json& row : rows) theirs.push_back(row["bf16"].get<std::vector<float>>());
  const Distance bound = distance(theirs, rows, "f32");
  const Distance bf16 = distance(logprobs_of(dir, "bf16", rows), rows, "f32");
  EXPECT_LE(bf16.mean, 1.25 * bound.mean);
  EXPECT_LE(bf16.p99, 1.25 * bound.p99);
  EXPECT_LE(distance(logprobs_of(dir, "f32", rows), rows, "f32").p99, kTolerance);
  std::printf("bf16 from transformers' fp32: mean %.5f, 99%% %.5f; its own bf16 %.5f, %.5f\n",
              bf16.mean, bf16.p99, bound.mean, bound.p99);
}

TEST_F(DefaultModelParity, Bf16IsAsNearToFp32AsTransformersOwn) {
  expect_bf16_as_good(test::source_dir() / "models" / "SmolLM2-135M-Instruct",
                      read_json_file(test::fixture("smollm2_bf16.json"))["rows"]);
}

TEST(NamedModelParity, Bf16IsAsNearToFp32AsTransformersOwn) {
  const char* dir = std::getenv("WEFT_PARITY_MODEL");
  if (!dir) GTEST_SKIP() << "WEFT_PARITY_MODEL names no model";
  const std::filesystem::path path = dir;
  expect_bf16_as_good(path, read_json_file(path / "bf16_parity.json")["rows"]);
}

}  // namespace
}  // namespace weft
