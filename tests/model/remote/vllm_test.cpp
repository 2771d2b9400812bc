// The remote model against vLLM. What vLLM 0.32.0 answered on a CPU is in fixtures/vllm.jsonl;
// WEFT_VLLM_URL names a server to ask instead, WEFT_VLLM_RECORD a file for its answers. It runs
//   vllm serve models/SmolLM2-135M-Instruct --served-model-name smollm2 --dtype bfloat16
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "base/error.h"
#include "model/engine/engine.h"
#include "model/remote/remote_model.h"
#include "model/remote/remote_sequences.h"
#include "tests/support/support.h"

namespace weft {
namespace {

const char* environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

class Vllm : public testing::Test {
 protected:
  Vllm() {
    setenv("no_proxy", "127.0.0.1", 1);
    const std::string url = environment("WEFT_VLLM_URL");
    RemoteModelOptions options;
    options.model = "smollm2";
    options.request_ids = true;
    options.request_logprobs = true;
    options.max_retries = 0;
    if (!url.empty()) options.base_url = url;
    options.record = url.empty() ? "" : environment("WEFT_VLLM_RECORD");
    options.replay = url.empty() ? test::fixture("vllm.jsonl").string() : "";
    is_live_ = !url.empty();
    model_ = std::make_unique<RemoteModel>(options);
  }

  static std::filesystem::path weights() {
    return test::source_dir() / "models" / "SmolLM2-135M-Instruct";
  }

  TextResponse ask(const decltype(TextRequest::prompt)& prompt, const SamplingParams& sampling,
                   int n = 1) {
    TextRequest request;
    request.prompt = prompt;
    request.sampling = sampling;
    request.n = n;
    return model_->complete(request);
  }

  std::unique_ptr<Tokenizer> tokenizer_ = Tokenizer::load(weights());
  std::unique_ptr<RemoteModel> model_;
  bool is_live_ = false;
};

SamplingParams sampling(double temperature, int max_tokens, uint64_t seed = 1) {
  SamplingParams params;
  params.temperature = temperature;
  params.max_tokens = max_tokens;
  params.seed = seed;
  return params;
}

TEST_F(Vllm, GivesTextIdsAndLogprobsOfEachChoice) {
  const std::vector<ChatMessage> question = {{"user", "What is the capital of France?"}};
  SamplingParams warm = sampling(0.8, 12, uint64_t{1} << 63 | 5);
  warm.top_k = 20, warm.top_p = 0.9, warm.min_p = 0.01;
  const TextResponse response = ask(question, warm, 3);
  ASSERT_EQ(response.status, ResponseStatus::kOk) << response.error;
  ASSERT_EQ(response.choices.size(), 3u);
  int64_t tokens = 0;
  for (const Completion& choice : response.choices) {
    EXPECT_EQ(tokenizer_->decode(choice.ids, /*skip_special=*/true), choice.text);
    ASSERT_EQ(choice.logprobs.size(), choice.ids.size());
    for (const float logprob : choice.logprobs) EXPECT_LE(logprob, 0);
    tokens += std::ssize(choice.ids);
  }
  EXPECT_NE(response.choices[0].text, response.choices[1].text);
  EXPECT_EQ(response.usage.completion_tokens, tokens);
  EXPECT_EQ(response.usage.prompt_tokens, std::ssize(response.prompt_ids));
  EXPECT_NE(tokenizer_->decode(response.prompt_ids, false).find("capital of France?"),
            std::string::npos);
}

TEST_F(Vllm, RepeatsAGreedyChoice) {
  const TextResponse response = ask(std::string("1, 2, 3, 4, 5,"), sampling(0, 6), 2);
  ASSERT_EQ(response.status, ResponseStatus::kOk) << response.error;
  ASSERT_EQ(response.choices.size(), 2u);
  EXPECT_EQ(response.choices[0].text, " 6, 7,");
  EXPECT_EQ(response.choices[0].finish, FinishReason::kLength);
  EXPECT_EQ(response.choices[1].ids, response.choices[0].ids);
  EXPECT_EQ(response.usage.completion_tokens, 6);
}

TEST_F(Vllm, SequencesGrowAndAreCutAtAStopString) {
  RemoteSequences sequences(*model_, *tokenizer_);
  const auto prompt = tokenizer_->encode("1, 2, 3, 4, 5,", false);
  const SequenceId stem = sequences.open(prompt);
  const SequenceId fork = sequences.fork(stem);
  SamplingParams until = sampling(0, 20);
  until.stop = {"8"};
  const TextResponse cut = sequences.extend({{stem, until}})[0];
  ASSERT_EQ(cut.status, ResponseStatus::kOk) << cut.error;
  EXPECT_EQ(cut.choices[0].finish, FinishReason::kStop);
  EXPECT_EQ(cut.choices[0].text, " 6, 7, ");
  EXPECT_EQ(tokenizer_->decode(sequences.ids(stem), false), "1, 2, 3, 4, 5, 6, 7, ");
  EXPECT_EQ(sequences.ids(fork), prompt);
  const TextResponse on = sequences.extend({{stem, sampling(0, 2)}})[0];
  ASSERT_EQ(on.status, ResponseStatus::kOk) << on.error;
  EXPECT_EQ(tokenizer_->decode(sequences.ids(stem), false), "1, 2, 3, 4, 5, 6, 7, 8,");
}

// vLLM's bf16 beside the engine's fp32. Another token's logprob would be nats away.
TEST_F(Vllm, GivesTheEnginesLogprobs) {
  const auto head = tokenizer_->encode("The capital of France is", false);
  const auto tail = tokenizer_->encode(" the city of Paris, which lies on the Seine.", false);
  RemoteSequences remote(*model_, *tokenizer_);
  const auto theirs = remote.logprobs({{remote.open(head), tail}})[0];
  const auto engine = Engine::from_directory(weights(), "f32", {});
  const auto ours = engine->logprobs({{head, tail, ""}})[0];
  ASSERT_EQ(theirs.size(), tail.size());
  float apart = 0;
  for (size_t i = 0; i < tail.size(); ++i) apart += std::abs(theirs[i] - ours[i]);
  EXPECT_LT(apart / static_cast<float>(tail.size()), 0.1);
}

TEST_F(Vllm, RefusalsAreTheRequestsFault) {
  if (!is_live_) GTEST_SKIP() << "WEFT_VLLM_URL is not set; refusals are not recorded";
  const auto refused = ask(std::vector<int32_t>{5, 1 << 30}, sampling(0, 2));
  EXPECT_EQ(refused.status, ResponseStatus::kRefused);
  EXPECT_NE(refused.error.find("out of vocabulary"), std::string::npos) << refused.error;
  EXPECT_EQ(ask(std::vector<int32_t>(100, 5), sampling(0, 1 << 20)).status,
            ResponseStatus::kRefused);
  TextRequest unknown;
  unknown.prompt = std::string("Once");
  unknown.adapter = "nobody";
  EXPECT_EQ(model_->complete(unknown).status, ResponseStatus::kFailed);
}

}  // namespace
}  // namespace weft
