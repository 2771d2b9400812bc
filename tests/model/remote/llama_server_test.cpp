// The remote model against llama-cpp-python's own server. WEFT_LLAMA_PYTHON names a Python with
// llama-cpp-python[server], WEFT_LLAMA_GGUF a chat model for it.
#include <gtest/gtest.h>
#include <httplib.h>

#include <cstdlib>

#include "model/remote/remote_model.h"
#include "tests/support/support.h"

namespace weft {
namespace {

constexpr const char* kPort = "18437";

class LlamaServer : public testing::Test {
 protected:
  void SetUp() override {
    const char* python = std::getenv("WEFT_LLAMA_PYTHON");
    const char* gguf = std::getenv("WEFT_LLAMA_GGUF");
    if (!python || !gguf) GTEST_SKIP() << "WEFT_LLAMA_PYTHON and WEFT_LLAMA_GGUF are not set";
    setenv("no_proxy", "127.0.0.1", 1);
    server_ = std::make_unique<test::BackgroundProgram>(
        std::vector<std::string>{python, "-m", "llama_cpp.server", "--model", gguf, "--port", kPort,
                                 "--n_ctx", "1024", "--logits_all", "true", "--n_threads", "2"},
        dir_ / "server.log");
    httplib::Client client("127.0.0.1", std::atoi(kPort));
    ASSERT_TRUE(test::wait_until([&] { return bool(client.Get("/v1/models")); }, 120));
    options_.base_url = std::string("http://127.0.0.1:") + kPort + "/v1";
    options_.model = "any";
    options_.max_retries = 1;
  }

  static TextRequest greedy(const decltype(TextRequest::prompt)& prompt, int max_tokens) {
    TextRequest request;
    request.prompt = prompt;
    request.sampling.temperature = 0;
    request.sampling.max_tokens = max_tokens;
    return request;
  }

  test::TempDir dir_;
  std::unique_ptr<test::BackgroundProgram> server_;
  RemoteModelOptions options_;
};

TEST_F(LlamaServer, AnswersChatsAndTexts) {
  options_.request_logprobs = true;
  RemoteModel model(options_);
  const std::vector<ChatMessage> question = {{"user", "What is the capital of France?"}};
  const auto chat = model.complete_all({greedy(question, 24), greedy(question, 24)});
  ASSERT_EQ(chat[0].status, ResponseStatus::kOk) << chat[0].error;
  EXPECT_FALSE(chat[0].choices[0].text.empty());
  EXPECT_EQ(chat[1].choices[0].text, chat[0].choices[0].text);
  EXPECT_GT(chat[0].usage.prompt_tokens, 6);

  const std::string head = "1, 2, 3, 4, 5,";
  const TextResponse text = model.complete(greedy(head, 6));
  ASSERT_EQ(text.status, ResponseStatus::kOk) << text.error;
  EXPECT_EQ(text.choices[0].finish, FinishReason::kLength);
  EXPECT_EQ(text.usage.completion_tokens, 6);
  ASSERT_EQ(text.choices[0].logprobs.size(), 6u);
  for (const float logprob : text.choices[0].logprobs) EXPECT_LE(logprob, 0);

  TextRequest until_comma = greedy(head, 20);
  until_comma.sampling.stop = {","};
  const TextResponse stopped = model.complete(until_comma);
  ASSERT_EQ(stopped.status, ResponseStatus::kOk) << stopped.error;
  EXPECT_EQ(stopped.choices[0].finish, FinishReason::kStop);
  EXPECT_EQ(stopped.choices[0].text, " 6");
}

// This server takes no ids (and says so with a status of 500), and gives one choice only: neither
// may pass for an answer.
TEST_F(LlamaServer, WhatItCannotDoIsSaid) {
  RemoteModel model(options_);
  const TextResponse ids = model.complete(greedy(std::vector<int32_t>{1, 2, 3}, 4));
  EXPECT_NE(ids.status, ResponseStatus::kOk);
  EXPECT_FALSE(ids.error.empty());
  TextRequest two = greedy(std::string("Once"), 4);
  two.sampling.temperature = 1;
  two.n = 2;
  const TextResponse response = model.complete(two);
  EXPECT_NE(response.status, ResponseStatus::kOk);
  EXPECT_FALSE(response.error.empty());
}

TEST_F(LlamaServer, AServerThatDiesIsAFailureInOneLine) {
  RemoteModel model(options_);
  ASSERT_EQ(model.complete(greedy(std::string("Once"), 2)).status, ResponseStatus::kOk);
  server_.reset();
  const TextResponse response = model.complete(greedy(std::string("Once"), 2));
  EXPECT_EQ(response.status, ResponseStatus::kFailed);
  EXPECT_EQ(response.error.find('\n'), std::string::npos);
}

}  // namespace
}  // namespace weft
