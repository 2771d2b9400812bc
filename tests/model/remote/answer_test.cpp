#include "model/remote/answer.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace weft {
namespace {

TEST(Answer, ReadsUsageWithAndWithoutDetails) {
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

TEST(Answer, ReadsIdsAndLogprobsOfBothInterfaces) {
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

TEST(Answer, KeepsReasoningThatAServerGivesApart) {
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

TEST(Answer, OrdersChoicesByIndex) {
  const auto answer = decode_answer(
      200, R"({"choices": [{"index": 1, "text": "b"}, {"index": 0, "text": "a"}]})", 2, {});
  ASSERT_EQ(answer.kind, WireAnswer::Kind::kAnswer);
  EXPECT_EQ(answer.response.choices[0].text, "a");
}

/// Texts of the choices as they are delivered.
std::vector<std::string> texts_of(const std::string& body, int n) {
  const auto answer = decode_answer(200, body, n, {});
  EXPECT_EQ(answer.kind, WireAnswer::Kind::kAnswer) << answer.response.error;
  std::vector<std::string> texts;
  for (const Completion& choice : answer.response.choices) texts.push_back(choice.text);
  return texts;
}

using Texts = std::vector<std::string>;

// An index that is no place among the choices once gave one lost and one empty choice.
TEST(Answer, LosesNoChoiceWhateverItsIndex) {
  for (const char* indices : {"0 0", "1 1", "7 8", "-1 0", "null null"}) {
    const std::string words = indices;
    const size_t space = words.find(' ');
    const std::string body = "{\"choices\": [{\"index\": " + words.substr(0, space) +
                             ", \"text\": \"a\"}, {\"index\": " + words.substr(space + 1) +
                             ", \"text\": \"b\"}]}";
    EXPECT_EQ(texts_of(body, 2), (Texts{"a", "b"})) << indices;
  }
}

TEST(Answer, TakesFewerChoicesForWhatTheyAre) {
  EXPECT_EQ(texts_of(R"({"choices": [{"index": 0, "text": "a"}]})", 3), (Texts{"a"}));
}

TEST(Answer, ReadsNullPartsAndMissingContent) {
  const auto content = [](const std::string& message) {
    return texts_of("{\"choices\": [{\"message\": " + message +
                        ", \"finish_reason\": null, \"logprobs\": null}], \"usage\": null}",
                    1)
        .at(0);
  };
  EXPECT_EQ(content(R"({"content": null, "refusal": "I cannot"})"), "I cannot");
  EXPECT_EQ(content(R"({"content": null})"), "");
  EXPECT_EQ(content(R"({"tool_calls": [{"id": "1"}]})"), "");
  EXPECT_EQ(
      content(R"({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]})"),
      "ab");
  EXPECT_EQ(texts_of("{\"choices\": [{\"text\": \"a\xff\"}]}", 1), (Texts{"a\uFFFD"}));
}

TEST(Answer, NamesEachFinishReason) {
  const auto finish = [](const std::string& word) {
    const std::string body = "{\"choices\": [{\"text\": \"\", \"finish_reason\": " + word + "}]}";
    return decode_answer(200, body, 1, {}).response.choices.at(0).finish;
  };
  EXPECT_EQ(finish("\"stop\""), FinishReason::kStop);
  EXPECT_EQ(finish("\"length\""), FinishReason::kLength);
  EXPECT_EQ(finish("\"content_filter\""), FinishReason::kContentFilter);
  EXPECT_EQ(finish("\"tool_calls\""), FinishReason::kToolCalls);
  EXPECT_EQ(finish("\"abort\""), FinishReason::kOther);
  EXPECT_EQ(finish("null"), FinishReason::kOther);
}

// It was paid for: the same request would cost as much again, and come back the same.
TEST(Answer, CountsWhatItCannotUseAndDoesNotAskForItAgain) {
  for (const char* choices :
       {"[]", "3", "[{}]", R"([{"text": 3}])", R"([{"text": "a"}, {"text": "b"}])",
        R"([{"message": {"content": 3}}])", R"([{"message": {"content": [{"image": "x"}]}}])",
        R"([{"text": "a", "token_ids": ["x"]}])", "[[]]"}) {
    const std::string body = std::string("{\"choices\": ") + choices +
                             R"(, "usage": {"prompt_tokens": 40, "completion_tokens": 2}})";
    RemoteModelOptions options;
    options.usd_per_mtok_in = 1e6;
    const auto answer = decode_answer(200, body, 1, options);
    EXPECT_EQ(answer.kind, WireAnswer::Kind::kFailed) << body;
    EXPECT_EQ(answer.response.usage.prompt_tokens, 40) << body;
    EXPECT_EQ(answer.response.usage.usd, 40) << body;
    EXPECT_NE(answer.response.error.find("expected"), std::string::npos) << answer.response.error;
  }
  for (const char* body : {"[]", "{}", "null", "3"}) {
    EXPECT_EQ(decode_answer(200, body, 1, {}).kind, WireAnswer::Kind::kFailed) << body;
  }
}

TEST(Answer, TakesAnErrorForOneUnderAnyStatus) {
  const auto busy = decode_answer(200, R"({"error": {"message": "busy", "code": 429}})", 1, {});
  EXPECT_EQ(busy.kind, WireAnswer::Kind::kRetry);
  EXPECT_EQ(busy.response.error, "HTTP 429: busy");
  const auto bad = decode_answer(200, R"({"error": {"message": "no", "code": "x"}})", 1, {});
  EXPECT_EQ(bad.kind, WireAnswer::Kind::kFailed);
  EXPECT_EQ(decode_answer(201, R"({"choices": [{"text": "a"}], "error": null})", 1, {}).kind,
            WireAnswer::Kind::kAnswer);
}

TEST(Answer, MarksUsageThatItHadToEstimate) {
  for (const char* usage : {"null", "{}", R"({"prompt_tokens": 0, "completion_tokens": 0})"}) {
    const auto answer = decode_answer(
        200, std::string(R"({"choices": [{"text": "twelve bytes"}], "usage": )") + usage + "}", 1,
        {});
    EXPECT_TRUE(answer.response.usage.estimated) << usage;
    EXPECT_EQ(answer.response.usage.completion_tokens, 4) << usage;
  }
}

TEST(Answer, TriesAgainWhatWasCutOnItsWay) {
  for (const char* body : {"", "{\"choices\": [{\"te", "<html>"}) {
    EXPECT_EQ(decode_answer(200, body, 1, {}).kind, WireAnswer::Kind::kRetry) << body;
  }
}

TEST(Answer, TellsWhatToRepeatFromWhoseFaultItIs) {
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
