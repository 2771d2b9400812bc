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

TEST(Wire, ReadsUsageWithAndWithoutDetails) {
  const auto usage_of = [](const std::string& details) {
    const std::string text = R"({"choices": [{"text": "a", "finish_reason": "stop"}], "usage":
        {"prompt_tokens": 40, "completion_tokens": 1, "prompt_tokens_details": )" +
                             details + "}}";
    return decode_answer(200, text, 1, {}).response.usage;
  };
  EXPECT_EQ(usage_of(R"({"cached_tokens": 32})").cached_tokens, 32);
  EXPECT_EQ(usage_of("null").cached_tokens, 0);
  EXPECT_EQ(usage_of("null").prompt_tokens, 40);
}

TEST(Wire, ReadsIdsAndLogprobsOfBothInterfaces) {
  const std::string text = R"({"choices": [{"index": 0, "text": "a", "token_ids": [5, 6],
      "prompt_token_ids": [1], "finish_reason": "length",
      "logprobs": {"tokens": ["a", "b"], "token_logprobs": [-0.5, -1.5]}}]})";
  const auto completions = decode_answer(200, text, 1, {});
  ASSERT_EQ(completions.kind, WireAnswer::Kind::kAnswer);
  EXPECT_EQ(completions.response.choices[0].ids, (std::vector<int32_t>{5, 6}));
  EXPECT_EQ(completions.response.choices[0].logprobs, (std::vector<float>{-0.5f, -1.5f}));
  EXPECT_EQ(completions.response.choices[0].finish, FinishReason::kLength);
  EXPECT_EQ(completions.response.prompt_ids, (std::vector<int32_t>{1}));
  EXPECT_EQ(completions.response.usage.completion_tokens, 2) << "estimated without usage";
  const std::string chat = R"({"choices": [{"message": {"content": "b"}, "finish_reason": "stop",
      "logprobs": {"content": [{"token": "b", "logprob": -0.25}]}}]})";
  const auto answer = decode_answer(200, chat, 1, {});
  ASSERT_EQ(answer.kind, WireAnswer::Kind::kAnswer);
  EXPECT_EQ(answer.response.choices[0].logprobs, (std::vector<float>{-0.25f}));
  EXPECT_EQ(answer.response.choices[0].finish, FinishReason::kStop);
}

TEST(Wire, KeepsReasoningThatAServerGivesApart) {
  for (const char* key : {"reasoning_content", "reasoning"}) {
    const Json message = {{"content", "x = 1"}, {key, "because"}};
    const Json body = {{"choices", {{{"message", message}, {"finish_reason", "stop"}}}}};
    const auto answer = decode_answer(200, dump_json(body), 1, {});
    ASSERT_EQ(answer.kind, WireAnswer::Kind::kAnswer);
    EXPECT_EQ(answer.response.choices[0].reasoning, "because") << key;
    EXPECT_EQ(answer.response.choices[0].text, "x = 1");
    EXPECT_EQ(answer.response.choices[0].text_with_reasoning(),
              "<think>\nbecause\n</think>\n\nx = 1");
  }
}

TEST(Wire, OrdersChoicesByIndex) {
  const auto answer = decode_answer(
      200, R"({"choices": [{"index": 1, "text": "b"}, {"index": 0, "text": "a"}]})", 2, {});
  ASSERT_EQ(answer.kind, WireAnswer::Kind::kAnswer);
  EXPECT_EQ(answer.response.choices[0].text, "a");
}

TEST(Wire, TriesAgainWhatIsNoAnswer) {
  for (const char* body :
       {"", "{\"choices\": [{\"te", "[]", "{}", "null", "{\"choices\": []}", "{\"choices\": 3}",
        "{\"choices\": [{\"text\": 3}]}", "{\"choices\": [{}]}", "<html>",
        "{\"choices\": [{\"index\": 7, \"text\": \"a\"}]}",
        "{\"choices\": [{\"index\": -1, \"text\": \"a\"}]}"}) {
    EXPECT_EQ(decode_answer(200, body, 1, {}).kind, WireAnswer::Kind::kRetry) << body;
  }
}

TEST(Wire, TellsWhatToRepeatFromWhoseFaultItIs) {
  for (const long status : {408, 429, 500, 502, 503, 504}) {
    EXPECT_EQ(decode_answer(status, "", 1, {}).kind, WireAnswer::Kind::kRetry) << status;
  }
  for (const long status : {400, 413, 422}) {
    EXPECT_EQ(decode_answer(status, "", 1, {}).kind, WireAnswer::Kind::kRefused) << status;
  }
  for (const long status : {401, 402, 403, 404}) {
    EXPECT_EQ(decode_answer(status, "", 1, {}).kind, WireAnswer::Kind::kFailed) << status;
  }
  const auto answer = decode_answer(400, R"({"error": {"message": "too\n long"}})", 1, {});
  EXPECT_EQ(answer.response.error, "HTTP 400: too long");
}

}  // namespace
}  // namespace weft
