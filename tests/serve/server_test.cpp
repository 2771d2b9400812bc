#include "serve/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <future>

#include "base/error.h"
#include "serve/api_error.h"
#include "serve/generation.h"
#include "serve/serve_program.h"
#include "tests/net/support.h"
#include "tests/serve/support.h"
#include "tests/support/config_sizes.h"

namespace weft {
namespace {

using test::post;
using test::ScriptedPrompt;
using test::sse_events;
using test::StreamingModel;
using ::testing::HasSubstr;

/// A server on a free port over a model that answers "Hello" slowly enough to be looked at.
class HttpServer : public ::testing::Test {
 protected:
  void start(int pause_ms = 0, HttpOptions options = {}) {
    model_ = std::make_unique<StreamingModel>(
        [](const ScriptedPrompt& prompt) {
          if (prompt.user == "very long") return std::string(30000, 'x');
          return prompt.user == "long" ? std::string(500, 'x') : std::string("Hello");
        },
        pause_ms);
    ServedModel served;
    served.model = model_.get();
    served.names = {{"base", "", "a small model"}, {"policy", "adapter", ""}};
    options.port = 0;
    options.drain_s = 5;
    server_ = std::make_unique<Server>(served, nullptr, WorkflowBudget{}, options);
    server_->start();
    client_ = std::make_unique<httplib::Client>("127.0.0.1", server_->port());
    client_->set_read_timeout(20);
  }

  static Json chat(const std::string& text, const Json& more = Json::object()) {
    Json body = {{"model", "base"},
                 {"messages", Json::array({Json{{"role", "user"}, {"content", text}}})}};
    body.update(more);
    return body;
  }

  Json ask(const std::string& path, const Json& body, int status = 200) {
    const auto result = post(*client_, path, body);
    EXPECT_TRUE(result) << "no answer";
    if (!result) return Json();
    EXPECT_EQ(result->status, status) << result->body;
    return parse_json(result->body, path);
  }

  std::unique_ptr<StreamingModel> model_;
  std::unique_ptr<Server> server_;
  std::unique_ptr<httplib::Client> client_;
};

TEST_F(HttpServer, ChatAnswersInOpenAiShape) {
  start();
  const Json json = ask("/v1/chat/completions", chat("hi", {{"n", 2}, {"max_tokens", 9}}));
  EXPECT_EQ(json["object"], "chat.completion");
  EXPECT_EQ(json["model"], "base");
  ASSERT_EQ(json["choices"].size(), 2u);
  EXPECT_EQ(json["choices"][1]["index"], 1);
  EXPECT_EQ(json["choices"][1]["message"]["role"], "assistant");
  EXPECT_EQ(json["choices"][1]["message"]["content"], "Hello");
  EXPECT_EQ(json["choices"][1]["finish_reason"], "stop");
  EXPECT_EQ(
      json["usage"]["total_tokens"].get<int>(),
      json["usage"]["prompt_tokens"].get<int>() + json["usage"]["completion_tokens"].get<int>());
  EXPECT_THAT(json["id"].get<std::string>(), ::testing::StartsWith("chatcmpl-"));
}

TEST_F(HttpServer, StreamHasRoleThenTextThenReasonThenDone) {
  start();
  const auto result = post(*client_, "/v1/chat/completions", chat("hi", {{"stream", true}}));
  ASSERT_TRUE(result);
  EXPECT_EQ(result->get_header_value("Content-Type"), "text/event-stream");
  const auto events = sse_events(result->body);
  ASSERT_EQ(events.size(), 1u + 5 + 1 + 1);
  EXPECT_EQ(parse_json(events[0], "")["choices"][0]["delta"]["role"], "assistant");
  std::string text;
  for (size_t i = 1; i < 6; ++i) {
    const Json chunk = parse_json(events[i], "");
    EXPECT_EQ(chunk["object"], "chat.completion.chunk");
    EXPECT_TRUE(chunk["choices"][0]["finish_reason"].is_null());
    EXPECT_FALSE(chunk.contains("usage"));
    text += chunk["choices"][0]["delta"]["content"].get<std::string>();
  }
  EXPECT_EQ(text, "Hello");
  const Json last = parse_json(events[6], "");
  EXPECT_EQ(last["choices"][0]["finish_reason"], "stop");
  EXPECT_TRUE(last["choices"][0]["delta"].empty());
  EXPECT_EQ(events[7], "[DONE]");
}

TEST_F(HttpServer, UsageChunkComesWhenAskedFor) {
  start();
  const auto result =
      post(*client_, "/v1/chat/completions",
           chat("hi", {{"stream", true}, {"stream_options", {{"include_usage", true}}}}));
  const auto events = sse_events(result->body);
  EXPECT_TRUE(parse_json(events[0], "")["usage"].is_null());
  const Json usage = parse_json(events[events.size() - 2], "");
  EXPECT_TRUE(usage["choices"].empty());
  EXPECT_GT(usage["usage"]["completion_tokens"].get<int>(), 0);
}

TEST_F(HttpServer, CompletionsNumberChoicesOverPrompts) {
  start();
  const Json json = ask("/v1/completions", {{"model", "policy"}, {"prompt", {"a", "b"}}, {"n", 2}});
  ASSERT_EQ(json["choices"].size(), 4u);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(json["choices"][size_t(i)]["index"], i);
  EXPECT_EQ(json["object"], "text_completion");
  EXPECT_EQ(model_->inner().requests()[0].adapter, "adapter");
}

TEST_F(HttpServer, LogprobsAndTokenIdsComeOnRequest) {
  start();
  const Json json =
      ask("/v1/completions",
          {{"model", "base"}, {"prompt", {1, 2, 3}}, {"logprobs", 1}, {"return_token_ids", true}});
  const Json& choice = json["choices"][0];
  EXPECT_EQ(choice["token_ids"].size(), 5u);
  EXPECT_EQ(choice["prompt_token_ids"], (Json{1, 2, 3}));
  EXPECT_EQ(choice["logprobs"]["token_logprobs"].size(), 5u);
  const Json chat_json = ask("/v1/chat/completions", chat("hi", {{"logprobs", true}}));
  EXPECT_EQ(chat_json["choices"][0]["logprobs"]["content"][0]["logprob"], -1.0);
}

TEST_F(HttpServer, EqualSeedsReachTheModelAndMissingOnesDiffer) {
  start();
  ask("/v1/chat/completions", chat("hi", {{"seed", 7}}));
  ask("/v1/chat/completions", chat("hi"));
  ask("/v1/chat/completions", chat("hi"));
  const auto requests = model_->inner().requests();
  EXPECT_EQ(requests[0].sampling.seed, 7u);
  EXPECT_NE(requests[1].sampling.seed, requests[2].sampling.seed);
}

TEST_F(HttpServer, ErrorsHaveOpenAiShapeAndTheRightCode) {
  start();
  const Json unknown = ask("/v1/chat/completions", chat("hi", {{"model", "gpt"}}), 404);
  EXPECT_EQ(unknown["error"]["code"], "model_not_found");
  EXPECT_THAT(ask("/v1/chat/completions", chat("hi", {{"n", "two"}}), 400)["error"]["message"]
                  .get<std::string>(),
              HasSubstr("n: expected"));
  EXPECT_EQ(ask("/v1/nothing", Json::object(), 404)["error"]["type"], "not_found_error");
  EXPECT_EQ(ask("/v1/workflows", {{"query", "q"}}, 501)["error"]["type"], "server_error");
  const auto broken = client_->Post("/v1/completions", "{\"prompt\":", "application/json");
  EXPECT_EQ(broken->status, 400);
}

TEST_F(HttpServer, ANameThatNoTemplateTakesIsRefused) {
  start();
  Json body = chat("hi");
  body["messages"][0]["name"] = "ada";
  const Json refused = ask("/v1/chat/completions", body, 400);
  EXPECT_THAT(refused["error"]["message"].get<std::string>(), HasSubstr("messages: name"));
  EXPECT_EQ(refused["error"]["code"], "unsupported_parameter");
  body["messages"][0]["name"] = nullptr;
  ask("/v1/chat/completions", body);
  body["messages"][0]["name"] = 5;
  ask("/v1/chat/completions", body, 400);
}

TEST(RenderMessages, GiveNamesToATemplateThatUsesThemAndRefuseThemElsewhere) {
  const ChatTemplate names(
      "{% for m in messages %}{{ m.role }}{% if m.name %} ({{ m.name }}){% endif %}: "
      "{{ m.content }}\n{% endfor %}");
  const ChatTemplate plain("{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}");
  const std::vector<ChatMessage> messages = {{"user", "a"}, {"user", "b"}};
  ServedModel served;
  served.chat_template = &names;
  EXPECT_EQ(render_messages(served, messages, {"", "ada"}, true), "user: a\nuser (ada): b\n");
  EXPECT_EQ(render_messages(served, messages, {}, true), "user: a\nuser: b\n");
  served.chat_template = &plain;
  EXPECT_EQ(render_messages(served, messages, {}, true), "user: a\nuser: b\n");
  EXPECT_THROW(render_messages(served, messages, {"ada", ""}, true), ApiError);
}

TEST_F(HttpServer, ModelsAreListed) {
  start();
  const Json list = parse_json(client_->Get("/v1/models")->body, "");
  ASSERT_EQ(list["data"].size(), 2u);
  EXPECT_EQ(list["data"][0]["description"], "a small model");
  EXPECT_EQ(list["data"][1]["id"], "policy");
  EXPECT_EQ(list["data"][1]["parent"], "base");
  EXPECT_FALSE(list["data"][1].contains("description"));
  EXPECT_EQ(parse_json(client_->Get("/v1/models/policy")->body, "")["id"], "policy");
  EXPECT_EQ(client_->Get("/v1/models/other")->status, 404);
}

TEST_F(HttpServer, HealthMetricsAndPageAnswer) {
  start();
  EXPECT_EQ(client_->Get("/health")->status, 200);
  ask("/v1/chat/completions", chat("hi"));
  EXPECT_THAT(
      client_->Get("/metrics")->body,
      HasSubstr("vllm:request_success_total{model_name=\"base\",finished_reason=\"stop\"} 1"));
  EXPECT_THAT(client_->Get("/")->body, HasSubstr("<title>Weft</title>"));
}

TEST_F(HttpServer, MetricsNameRoutesNotWhatClientsMakeUp) {
  start();
  for (int i = 0; i < 3; ++i) {
    client_->Get("/made/up/" + std::to_string(i));
    client_->Get("/v1/models/made-up-" + std::to_string(i));
  }
  const std::string metrics = client_->Get("/metrics")->body;
  EXPECT_THAT(metrics, HasSubstr("{handler=\"other\",status=\"404\"} 3"));
  EXPECT_THAT(metrics, HasSubstr("{handler=\"/v1/models\",status=\"404\"} 3"));
  EXPECT_EQ(metrics.find("made"), std::string::npos);
}

TEST_F(HttpServer, KeyIsWantedEverywhereButHealthAndPage) {
  setenv("WEFT_TEST_KEY", "sesame", 1);
  HttpOptions options;
  options.api_key_env = "WEFT_TEST_KEY";
  start(0, options);
  EXPECT_EQ(client_->Get("/v1/models")->status, 401);
  EXPECT_EQ(client_->Get("/metrics")->status, 401);
  EXPECT_EQ(client_->Get("/health")->status, 200);
  client_->set_bearer_token_auth("sesam");
  EXPECT_EQ(client_->Get("/v1/models")->status, 401);
  client_->set_bearer_token_auth("sesame");
  EXPECT_EQ(client_->Get("/v1/models")->status, 200);
}

TEST_F(HttpServer, ARefusedKeyIsAnsweredBeforeTheBodyIsSent) {
  setenv("WEFT_TEST_KEY", "sesame", 1);
  HttpOptions options;
  options.api_key_env = "WEFT_TEST_KEY";
  start(0, options);
  test::RawClient client(server_->port());
  client.send(
      "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
      "Content-Length: 1000000\r\n\r\n");
  const std::string answer = client.read_answer();
  EXPECT_EQ(test::status_of(answer), 401);
  EXPECT_EQ(parse_json(test::body_of(answer), "")["error"]["type"], "authentication_error");
}

TEST_F(HttpServer, RequestsThatParsersReadDifferentlyAreRefused) {
  start();
  for (const char* fields :
       {"Content-Length: 2\r\nTransfer-Encoding: chunked", "Content-Length: 2\r\nContent-Length: 3",
        "Transfer-Encoding: chunked, chunked", "Content-Length: +2", "X: a\r\n folded"}) {
    test::RawClient client(server_->port());
    client.send(std::string("POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n"
                            "Content-Type: application/json\r\n") +
                fields + "\r\n\r\n{}GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n");
    const std::string all = client.read_all();
    EXPECT_EQ(test::status_of(all), 400) << fields;
    EXPECT_EQ(all.find("\"object\""), std::string::npos) << "the second request was answered";
    EXPECT_EQ(parse_json(test::body_of(all), "")["error"]["type"], "invalid_request_error");
  }
  EXPECT_TRUE(model_->inner().requests().empty());
}

TEST_F(HttpServer, BodiesOfOtherTypesThanJsonGet415) {
  start();
  const std::string body = dump_json(chat("hi"));
  const auto refused = client_->Post("/v1/chat/completions", body, "text/plain");
  EXPECT_EQ(refused->status, 415);
  EXPECT_EQ(parse_json(refused->body, "")["error"]["type"], "invalid_request_error");
  EXPECT_EQ(test::status_of([this] {
              test::RawClient client(server_->port());
              client.send(test::post("/v1/completions", "{}", "Connection: close\r\n"));
              return client.read_all();
            }()),
            415);
  EXPECT_TRUE(model_->inner().requests().empty());
  const auto taken =
      client_->Post("/v1/chat/completions", body, "Application/JSON ; charset=utf-8");
  EXPECT_EQ(taken->status, 200);
}

TEST_F(HttpServer, OtherMethodsOfAPathGet405WithThoseItHas) {
  start();
  const auto result = client_->Get("/v1/chat/completions");
  EXPECT_EQ(result->status, 405);
  EXPECT_EQ(result->get_header_value("Allow"), "OPTIONS, POST");
  EXPECT_EQ(parse_json(result->body, "")["error"]["type"], "invalid_request_error");
}

TEST_F(HttpServer, AConnectionServesRequestsUntilItWasIdleForKeepAlive) {
  HttpOptions options;
  options.keep_alive_s = 0.2;
  start(0, options);
  test::RawClient client(server_->port());
  for (int i = 0; i < 2; ++i) {
    client.send(test::get("/health"));
    EXPECT_EQ(test::status_of(client.read_answer()), 200);
  }
  EXPECT_TRUE(client.is_closed_within(2));
}

TEST_F(HttpServer, TlsFilesThatCannotBeUsedAreInputErrors) {
  HttpOptions options;
  options.certificate_file = "no_certificate.pem";
  EXPECT_THROW(start(0, options), InputError);
  options.key_file = "no_key.pem";
  try {
    start(0, options);
    FAIL() << "it serves";
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), HasSubstr("no_certificate.pem"));
  }
}

TEST_F(HttpServer, KeyVariableThatIsNotSetIsAnInputError) {
  unsetenv("WEFT_TEST_NO_KEY");
  HttpOptions options;
  options.api_key_env = "WEFT_TEST_NO_KEY";
  EXPECT_THROW(start(0, options), InputError);
}

TEST_F(HttpServer, TooManyRequestsGet429) {
  HttpOptions options;
  options.max_requests = 1;
  start(1, options);
  auto first = std::async(std::launch::async, [&] {
    httplib::Client other("127.0.0.1", server_->port());
    other.set_read_timeout(20);
    return post(other, "/v1/chat/completions", chat("long"))->status;
  });
  while (model_->inner().requests().empty()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  const auto result = post(*client_, "/v1/chat/completions", chat("hi"));
  EXPECT_EQ(result->status, 429);
  EXPECT_TRUE(result->has_header("Retry-After"));
  EXPECT_EQ(first.get(), 200);
}

TEST_F(HttpServer, LargeBodyGets413) {
  HttpOptions options;
  options.max_body_kb = 1;
  start(0, options);
  const auto result = post(*client_, "/v1/chat/completions", chat(std::string(5000, 'a')));
  if (result) {
    EXPECT_EQ(result->status, 413);
  }
  EXPECT_TRUE(model_->inner().requests().empty());
}

TEST_F(HttpServer, ClosedClientCancelsItsRequest) {
  start(5);
  for (const bool stream : {false, true}) {
    const int before = model_->cancelled;
    httplib::Client hasty("127.0.0.1", server_->port());
    hasty.set_read_timeout(0, 200000);
    httplib::Request request;
    request.method = "POST";
    request.path = "/v1/chat/completions";
    request.headers = {{"Content-Type", "application/json"}};
    request.body = dump_json(chat("long", {{"stream", stream}}));
    request.content_receiver = [](const char*, size_t, uint64_t, uint64_t) { return false; };
    hasty.send(request);
    hasty.stop();
    for (int i = 0; i < 200 && model_->cancelled == before; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    EXPECT_EQ(model_->cancelled, before + 1) << "stream " << stream;
  }
  EXPECT_THAT(client_->Get("/metrics")->body,
              HasSubstr("{handler=\"/v1/chat/completions\",status=\"499\"} 1"));
}

TEST_F(HttpServer, AClientThatReadsLateGetsAllOfAStream) {
  start();
  test::RawClient client(server_->port(), 4096);
  client.send(test::post("/v1/chat/completions", dump_json(chat("very long", {{"stream", true}})),
                         "Content-Type: application/json\r\nConnection: close\r\n"));
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  const auto events = sse_events(test::dechunked(test::body_of(client.read_all())));
  ASSERT_EQ(events.size(), 1u + 30000 + 1 + 1);
  EXPECT_EQ(events.back(), "[DONE]");
  EXPECT_EQ(model_->cancelled, 0);
}

TEST_F(HttpServer, PortInUseIsOneClearError) {
  start();
  ServedModel served;
  served.model = model_.get();
  served.names = {{"base", "", ""}};
  HttpOptions options;
  options.port = server_->port();
  Server second(served, nullptr, {}, options);
  try {
    second.start();
    FAIL() << "both listen";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("127.0.0.1:" + std::to_string(options.port)));
    EXPECT_THAT(error.what(), HasSubstr("in use"));
  }
}

TEST_F(HttpServer, StopLetsRunningRequestsEnd) {
  start(1);
  auto running = std::async(std::launch::async, [&] {
    httplib::Client other("127.0.0.1", server_->port());
    other.set_read_timeout(20);
    return post(other, "/v1/chat/completions", chat("long"))->status;
  });
  while (model_->inner().requests().empty()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  server_->stop();
  EXPECT_EQ(running.get(), 200);
}

TEST(Server, EverySizeOfTheProgramsConfigIsBounded) {
  test::expect_bounded_sizes<ServeConfig>(
      Json::object(), {"max_requests", "max_choices", "default_max_tokens", "max_workflow_tokens",
                       "sandbox_slots", "runner.max_concurrent"});
}

}  // namespace
}  // namespace weft
