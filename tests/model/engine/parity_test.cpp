// SmolLM2-135M-Instruct in fp32 against transformers: greedy ids and logprobs of 50 prompts.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
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

TEST_F(DefaultModelParity, ScoresEqualTransformers) {
  std::vector<ScoreRequest> requests;
  for (const Json& c : cases_) {
    requests.push_back({c["prompt_ids"].get<std::vector<int32_t>>(),
                        c["output_ids"].get<std::vector<int32_t>>(), ""});
  }
  const auto scores = engine_->score(requests);
  double worst = 0;
  for (size_t i = 0; i < scores.size(); ++i) {
    for (size_t t = 0; t < scores[i].size(); ++t) {
      worst = std::max(worst, std::abs(scores[i][t] - cases_[i]["logprobs"][t].get<double>()));
    }
  }
  EXPECT_LE(worst, kTolerance);
}

}  // namespace
}  // namespace weft
