#include "serve/request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "serve/api_error.h"

namespace weft {
namespace {

using ::testing::HasSubstr;

GenerationCall chat(const std::string& text) { return parse_chat_call(parse_body(text), {}); }
GenerationCall completion(const std::string& text) {
  return parse_completion_call(parse_body(text), {});
}

/// The message of the ApiError 400 that `call` throws.
template <class F>
std::string refusal(F call) {
  try {
    call();
  } catch (const ApiError& error) {
    EXPECT_EQ(error.status(), 400);
    return error.what();
  }
  ADD_FAILURE() << "not refused";
  return "";
}

TEST(ChatCall, ReadsEveryField) {
  const auto call = chat(R"({"model":"m","messages":[{"role":"user","content":"hi"}],"n":2,
    "temperature":0.5,"top_p":0.9,"max_completion_tokens":7,"stop":["a","b"],"seed":-1,
    "stream":true,"stream_options":{"include_usage":true},"logprobs":true,"top_logprobs":1,
    "return_token_ids":true,"user":"somebody"})");
  EXPECT_EQ(call.model, "m");
  EXPECT_EQ(call.n, 2);
  EXPECT_EQ(call.sampling.max_tokens, 7);
  EXPECT_EQ(call.sampling.stop.size(), 2u);
  EXPECT_EQ(call.sampling.seed, ~uint64_t{0});
  EXPECT_TRUE(call.has_seed && call.stream && call.include_usage && call.logprobs);
  EXPECT_TRUE(call.return_token_ids);
}

TEST(ChatCall, JoinsTextPartsAndTakesDeveloperAsSystem) {
  const auto call = chat(R"({"messages":[{"role":"developer","content":"d"},{"role":"user",
    "content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]})");
  const auto& messages = std::get<std::vector<ChatMessage>>(call.prompts[0]);
  EXPECT_EQ(messages[0].role, "system");
  EXPECT_EQ(messages[1].content, "ab");
}

TEST(ChatCall, NullFieldsAreDefaults) {
  const auto call = chat(R"({"messages":[{"role":"user","content":"x"}],"stop":null,"seed":null,
    "max_tokens":null,"stream_options":null,"tools":null,"temperature":null})");
  EXPECT_EQ(call.sampling.temperature, 1);
  EXPECT_FALSE(call.has_seed);
}

TEST(ChatCall, WrongTypesAreRefusedByName) {
  const char* one = R"("messages":[{"role":"user","content":"x"}])";
  for (const char* field :
       {R"("n":"2")", R"("temperature":3)", R"("max_tokens":0)", R"("logprobs":"abc")",
        R"("stop":5)", R"("stream":1)", R"("top_p":0)", R"("seed":1.5)", R"("model":4)",
        R"("stream_options":{})", R"("tools":[{"type":"function"}])", R"("repetition_penalty":1.2)",
        R"("response_format":{"type":"json_object"})", R"("response_format":{"type":5})"}) {
    const std::string text = "{" + std::string(one) + "," + field + "}";
    const std::string name = std::string(field).substr(1, std::string(field).find('"', 1) - 1);
    EXPECT_THAT(refusal([&] { chat(text); }), HasSubstr(name)) << field;
  }
}

TEST(ChatCall, FieldsThatAskForNothingAreTaken) {
  chat(R"({"messages":[{"role":"user","content":"x"}],"tools":[],"logit_bias":{},"suffix":"",
    "frequency_penalty":0.0,"repetition_penalty":1,"best_of":1,"echo":false,
    "response_format":{"type":"text"}})");
}

TEST(ChatCall, MessagesMustBeThere) {
  EXPECT_THAT(refusal([] { chat("{}"); }), HasSubstr("messages"));
  EXPECT_THAT(refusal([] { chat(R"({"messages":[]})"); }), HasSubstr("messages"));
  EXPECT_THAT(refusal([] { chat(R"({"messages":[{"role":"tool","content":"x"}]})"); }),
              HasSubstr("role"));
}

TEST(ChatCall, CallsOfToolsInMessagesAreRefused) {
  const auto message = [](const char* field) {
    return std::string(R"({"messages":[{"role":"assistant","content":"x",)") + field + "}]}";
  };
  EXPECT_THAT(refusal([&] { chat(message(R"("tool_calls":[{"id":"a"}])")); }),
              HasSubstr("tool_calls"));
  EXPECT_THAT(refusal([&] { chat(message(R"("tool_call_id":"a")")); }), HasSubstr("tool_call_id"));
  chat(message(R"("tool_calls":[],"function_call":null)"));
}

TEST(CompletionCall, TakesAllFourFormsOfPrompt) {
  EXPECT_EQ(completion(R"({"prompt":"a"})").prompts.size(), 1u);
  EXPECT_EQ(completion(R"({"prompt":["a","b"]})").prompts.size(), 2u);
  EXPECT_EQ(std::get<std::vector<int32_t>>(completion(R"({"prompt":[1,2]})").prompts[0]),
            (std::vector<int32_t>{1, 2}));
  EXPECT_EQ(completion(R"({"prompt":[[1],[2,3]]})").prompts.size(), 2u);
}

TEST(CompletionCall, RefusesOtherPrompts) {
  for (const char* text : {"{}", R"({"prompt":[]})", R"({"prompt":5})", R"({"prompt":[[]]})",
                           R"({"prompt":[-1]})", R"({"prompt":[1,"a"]})"}) {
    EXPECT_THAT(refusal([&] { completion(text); }), HasSubstr("prompt")) << text;
  }
}

TEST(CompletionCall, CountsPromptsTimesN) {
  EXPECT_THAT(refusal([] { completion(R"({"prompt":["a","b","c"],"n":64})"); }), HasSubstr("192"));
}

TEST(CompletionCall, LogprobsIsANumber) {
  EXPECT_TRUE(completion(R"({"prompt":"a","logprobs":0})").logprobs);
  EXPECT_FALSE(completion(R"({"prompt":"a"})").logprobs);
  EXPECT_THAT(refusal([] { completion(R"({"prompt":"a","logprobs":21})"); }),
              HasSubstr("logprobs"));
}

TEST(Body, MustBeAnObject) {
  EXPECT_THAT(refusal([] { parse_body("[1]"); }), HasSubstr("object"));
  EXPECT_THAT(refusal([] { parse_body("{\"a\":"); }), HasSubstr("request body"));
}

TEST(Body, MustNotNestDeeply) {
  const std::string deep = "{\"prompt\":" + std::string(1000000, '[');
  EXPECT_THAT(refusal([&] { parse_body(deep); }), HasSubstr("nested"));
  EXPECT_EQ(parse_body("{\"prompt\":\"" + std::string(100, '[') + "\\\"[\"}").size(), 1u);
  const std::string hidden = "{\"prompt\"/*\"*/:" + std::string(1000000, '[');
  EXPECT_THAT(refusal([&] { parse_body(hidden); }), HasSubstr("not valid JSON"));
}

TEST(Body, RefusesNumbersBeyondDouble) {
  EXPECT_THAT(refusal([] { parse_body(R"({"temperature": 1e999})"); }), HasSubstr("1e999"));
}

TEST(ApiErrors, HaveOpenAiShape) {
  const Json error = ApiError(404, "no", "model", "model_not_found").body()["error"];
  EXPECT_EQ(error["message"], "no");
  EXPECT_EQ(error["param"], "model");
  EXPECT_EQ(error["code"], "model_not_found");
  EXPECT_EQ(error["type"], "not_found_error");
  EXPECT_TRUE(ApiError(400, "no").body()["error"]["param"].is_null());
}

}  // namespace
}  // namespace weft
