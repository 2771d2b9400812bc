#include "model/remote/wire.h"

#include <gtest/gtest.h>

namespace weft {
namespace {

TextRequest chat_request() {
  TextRequest request;
  request.prompt = std::vector<ChatMessage>{{"user", "hi"}};
  return request;
}

TEST(Wire, SendsEverySamplingFieldAlsoWhenNeutral) {
  const Json body = Json::parse(encode_request(chat_request(), {}).body);
  for (const char* key : {"n", "temperature", "top_p", "max_tokens", "seed", "top_k", "min_p",
                          "repetition_penalty", "ignore_eos"}) {
    EXPECT_TRUE(body.contains(key)) << key;
  }
  EXPECT_EQ(body["top_k"], 1 << 30);
}

TEST(Wire, KeepsToOpenAisFieldsWhenAsked) {
  RemoteModelOptions options;
  options.strict_openai = true;
  const Json body = Json::parse(encode_request(chat_request(), options).body);
  for (const char* key : {"top_k", "min_p", "repetition_penalty", "ignore_eos"}) {
    EXPECT_FALSE(body.contains(key)) << key;
  }
}

TEST(Wire, ChoosesThePathByTheKindOfPrompt) {
  EXPECT_EQ(encode_request(chat_request(), {}).path, "/chat/completions");
  TextRequest request;
  request.prompt = std::vector<int32_t>{1, 2};
  const WireRequest ids = encode_request(request, {});
  EXPECT_EQ(ids.path, "/completions");
  EXPECT_EQ(Json::parse(ids.body)["prompt"], Json({1, 2}));
  request.prompt = std::string("text");
  EXPECT_EQ(Json::parse(encode_request(request, {}).body)["prompt"], "text");
}

TEST(Wire, AsksForOneGreedyChoice) {
  TextRequest request = chat_request();
  request.n = 4;
  EXPECT_EQ(Json::parse(encode_request(request, {}).body)["n"], 4);
  request.sampling.temperature = 0;
  const WireRequest greedy = encode_request(request, {});
  EXPECT_EQ(Json::parse(greedy.body)["n"], 1);
  EXPECT_EQ(greedy.n, 1);
  RemoteModelOptions warm;
  warm.extra_body = {{"temperature", 0.5}};
  EXPECT_EQ(encode_request(request, warm).n, 4);
}

TEST(Wire, PutsExtraFieldsIn) {
  RemoteModelOptions options;
  options.extra_body = {{"temperature", 0.5}, {"user", "x"}};
  const Json body = Json::parse(encode_request(chat_request(), options).body);
  EXPECT_EQ(body["temperature"], 0.5);
  EXPECT_EQ(body["user"], "x");
}

}  // namespace
}  // namespace weft
