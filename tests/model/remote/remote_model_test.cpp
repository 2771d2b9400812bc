#include "model/remote/remote_model.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <future>

#include "base/config.h"
#include "base/error.h"
#include "base/file.h"
#include "tests/model/remote/faulty_server.h"
#include "tests/support/support.h"

namespace weft {
namespace {

using test::completion_reply;
using test::FaultyServer;
using test::options_for;
using test::Reply;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

TextRequest chat(const std::string& text, int n = 1) {
  TextRequest request;
  request.prompt = std::vector<ChatMessage>{{"user", text}};
  request.n = n;
  request.sampling.max_tokens = 8;
  return request;
}

// Answers `bad` the first `times` times, then soundly.
FaultyServer::Answer first(int times, Reply bad) {
  return [=](int number, const std::string&, const Json& body, const std::string&) {
    return number < times ? bad : completion_reply(body);
  };
}

Reply status(int code, std::string body = "") {
  Reply reply;
  reply.status = code;
  reply.body = std::move(body);
  return reply;
}

TEST(RemoteModel, KeepsItsConnection) {
  FaultyServer server(first(0, {}));
  RemoteModel model(options_for(server));
  for (int i = 0; i < 4; ++i) ASSERT_EQ(model.complete(chat("x")).status, ResponseStatus::kOk);
  EXPECT_EQ(server.num_requests(), 4);
  EXPECT_EQ(server.num_connections(), 1);
}

TEST(RemoteModel, AnswersChatsAndCountsTheCost) {
  FaultyServer server([](int, const std::string& path, const Json& body, const std::string&) {
    return completion_reply(body, path + " " + body["messages"][0]["content"].get<std::string>());
  });
  RemoteModelOptions options = options_for(server);
  options.usd_per_mtok_in = 1e5;
  options.usd_per_mtok_out = 2e5;
  RemoteModel model(options);
  const TextResponse response = model.complete(chat("hello", 3));
  ASSERT_EQ(response.status, ResponseStatus::kOk) << response.error;
  ASSERT_EQ(response.choices.size(), 3u);
  EXPECT_EQ(response.choices[2].text, "/v1/chat/completions hello");
  EXPECT_EQ(response.choices[2].finish, FinishReason::kStop);
  EXPECT_EQ(response.usage.completion_tokens, 15);
  EXPECT_NEAR(response.usage.usd, 1.0 + 3.0, 1e-9);
  EXPECT_NEAR(model.total_usage().usd, 4.0, 1e-9);
  EXPECT_EQ(model.name(), "m");
}

TEST(RemoteModel, WaitsAsLongAsRetryAfterSays) {
  Reply busy = status(429, R"({"error": {"message": "slow down"}})");
  busy.headers = {{"Retry-After", "1"}};
  FaultyServer server(first(1, busy));
  RemoteModel model(options_for(server));
  const auto start = Clock::now();
  EXPECT_EQ(model.complete(chat("x")).status, ResponseStatus::kOk);
  EXPECT_GE(seconds_since(start), 1.0);
  EXPECT_EQ(server.num_requests(), 2);
}

TEST(RemoteModel, TriesAgainAfterServerErrors) {
  for (const int code : {500, 502, 503, 504}) {
    FaultyServer server(first(2, status(code, "oops")));
    RemoteModel model(options_for(server));
    EXPECT_EQ(model.complete(chat("x")).status, ResponseStatus::kOk) << code;
    EXPECT_EQ(server.num_requests(), 3);
  }
}

TEST(RemoteModel, TriesAgainAfterCutAndEmptyAnswers) {
  Reply cut = status(200, R"({"choices": [{"index)");
  Reply broken_off = cut;
  broken_off.cut = true;
  for (const Reply& bad : {cut, broken_off, status(200)}) {
    FaultyServer server(first(1, bad));
    RemoteModel model(options_for(server));
    EXPECT_EQ(model.complete(chat("x")).status, ResponseStatus::kOk) << bad.body;
    EXPECT_EQ(server.num_requests(), 2);
  }
}

TEST(RemoteModel, TriesAgainAfterATimeout) {
  Reply slow = status(200, "{}");
  slow.delay_ms = 700;
  FaultyServer server(first(1, slow));
  RemoteModelOptions options = options_for(server);
  options.timeout_s = 0.3;
  RemoteModel model(options);
  EXPECT_EQ(model.complete(chat("x")).status, ResponseStatus::kOk);
  EXPECT_EQ(server.num_requests(), 2);
}

TEST(RemoteModel, FailsInOneLineWhenTheAttemptsAreUsedUp) {
  FaultyServer server(first(1000, status(500, "a\nb\r\nc")));
  RemoteModel model(options_for(server));
  const TextResponse response = model.complete(chat("x"));
  EXPECT_EQ(response.status, ResponseStatus::kFailed);
  EXPECT_EQ(server.num_requests(), 4);
  EXPECT_NE(response.error.find("HTTP 500: a b c (attempt 4)"), std::string::npos)
      << response.error;
  EXPECT_EQ(response.error.find('\n'), std::string::npos);
}

TEST(RemoteModel, FailsWhenNobodyListens) {
  RemoteModelOptions options;
  options.base_url = "http://127.0.0.1:1/v1";
  options.max_retries = 1;
  options.backoff_base_s = 0.01;
  RemoteModel model(options);
  const TextResponse response = model.complete(chat("x"));
  EXPECT_EQ(response.status, ResponseStatus::kFailed);
  EXPECT_NE(response.error.find("127.0.0.1:1"), std::string::npos) << response.error;
}

TEST(RemoteModel, DoesNotRepeatWhatWouldFailAgain) {
  for (const int code : {400, 401, 404, 422}) {
    FaultyServer server(first(1000, status(code, R"({"error": {"message": "no"}})")));
    RemoteModel model(options_for(server));
    const bool of_request = code == 400 || code == 422;
    EXPECT_EQ(model.complete(chat("x")).status,
              of_request ? ResponseStatus::kRefused : ResponseStatus::kFailed)
        << code;
    EXPECT_EQ(server.num_requests(), 1);
  }
}

TEST(RemoteModel, SendsTheKeyAndNeverShowsIt) {
  const std::string key = "sk-secret-7f3a";
  setenv("WEFT_TEST_KEY", key.c_str(), 1);
  FaultyServer server(
      [&](int, const std::string&, const Json& body, const std::string& authorization) {
        if (body["messages"][0]["content"] == "right") {
          return authorization == "Bearer " + key ? completion_reply(body) : status(401);
        }
        return status(401, R"({"error": {"message": "Incorrect API key )" + authorization + "\"}}");
      });
  RemoteModelOptions options = options_for(server);
  options.api_key_env = "WEFT_TEST_KEY";
  RemoteModel model(options);
  EXPECT_EQ(model.complete(chat("right")).status, ResponseStatus::kOk);
  const TextResponse refused = model.complete(chat("wrong"));
  EXPECT_EQ(refused.status, ResponseStatus::kFailed);
  EXPECT_NE(refused.error.find("Incorrect API key Bearer ***"), std::string::npos) << refused.error;
  EXPECT_EQ(refused.error.find(key), std::string::npos);
  EXPECT_EQ(dump_json(config_to_json(options)).find(key), std::string::npos);
}

TEST(RemoteModel, RefusesALimitBelowZero) {
  RemoteModelOptions options;
  options.max_requests_per_minute = -1;
  try {
    RemoteModel model(options);
    FAIL() << "it is taken";
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("max_requests_per_minute"), std::string::npos);
  }
}

TEST(RemoteModel, RefusesToStartWithoutItsKey) {
  unsetenv("WEFT_TEST_KEY_UNSET");
  RemoteModelOptions options;
  options.api_key_env = "WEFT_TEST_KEY_UNSET";
  EXPECT_THROW(RemoteModel{options}, InputError);
  options.api_key_env.clear();
  options.base_url = "file:///etc/passwd";
  EXPECT_THROW(RemoteModel{options}, InputError);
}

TEST(RemoteModel, KeepsTheConcurrencyCap) {
  FaultyServer server([](int, const std::string&, const Json& body, const std::string&) {
    Reply reply = completion_reply(body);
    reply.delay_ms = 30;
    return reply;
  });
  RemoteModelOptions options = options_for(server);
  options.max_concurrent = 3;
  RemoteModel model(options);
  const auto responses = model.complete_all(std::vector<TextRequest>(15, chat("x")));
  for (const auto& response : responses) EXPECT_EQ(response.status, ResponseStatus::kOk);
  EXPECT_EQ(server.max_in_flight(), 3);
}

TEST(RemoteModel, SpacesItsAttempts) {
  FaultyServer server([](int number, const std::string&, const Json& body, const std::string&) {
    return number == 2 ? status(500) : completion_reply(body);
  });
  RemoteModelOptions options = options_for(server);
  options.max_requests_per_minute = 1500;
  RemoteModel model(options);
  const auto start = Clock::now();
  for (const TextResponse& r : model.complete_all(std::vector<TextRequest>(6, chat("x")))) {
    EXPECT_EQ(r.status, ResponseStatus::kOk) << r.error;
  }
  EXPECT_EQ(server.num_requests(), 7);
  EXPECT_GE(seconds_since(start), 6 * 60.0 / 1500);
}

TEST(RemoteModel, SpreadsRequestsOverItsServers) {
  const auto answer = [](int, const std::string&, const Json& body, const std::string&) {
    Reply reply = completion_reply(body);
    reply.delay_ms = 50;
    return reply;
  };
  FaultyServer first_server(answer), second(answer);
  RemoteModelOptions options = options_for(first_server);
  options.more_base_urls = {second.base_url() + "/"};
  options.max_concurrent = 3;
  RemoteModel model(options);
  const auto responses = model.complete_all(std::vector<TextRequest>(24, chat("x")));
  for (const TextResponse& r : responses) EXPECT_EQ(r.status, ResponseStatus::kOk) << r.error;
  for (const FaultyServer* server : {&first_server, &second}) {
    EXPECT_GE(server->num_requests(), 8);
    EXPECT_LE(server->max_in_flight(), 3);
  }
}

TEST(RemoteModel, LeavesASickServerAlone) {
  FaultyServer sick([](int, const std::string&, const Json&, const std::string&) {
    return status(503, "loading");
  });
  FaultyServer sound([](int, const std::string&, const Json& body, const std::string&) {
    return completion_reply(body);
  });
  for (const bool listens : {true, false}) {
    RemoteModelOptions options = options_for(sound);
    options.more_base_urls = {listens ? sick.base_url() : "http://127.0.0.1:1/v1"};
    options.max_concurrent = 2;
    RemoteModel model(options);
    const auto responses = model.complete_all(std::vector<TextRequest>(40, chat("x")));
    for (const TextResponse& r : responses) EXPECT_EQ(r.status, ResponseStatus::kOk) << r.error;
  }
  EXPECT_LT(sick.num_requests(), 10);
}

TEST(RemoteModel, GivesUpWhereAllServersAreSick) {
  FaultyServer sick(
      [](int, const std::string&, const Json&, const std::string&) { return status(500, "oops"); });
  RemoteModelOptions options = options_for(sick);
  options.more_base_urls = {"http://127.0.0.1:1/v1"};
  RemoteModel model(options);
  const auto responses = model.complete_all(std::vector<TextRequest>(6, chat("x")));
  for (const TextResponse& r : responses) {
    EXPECT_EQ(r.status, ResponseStatus::kFailed);
    EXPECT_NE(r.error.find("(attempt 4)"), std::string::npos) << r.error;
  }
}

TEST(RemoteModel, AReplayAnswersAsTheServerDid) {
  const test::TempDir dir;
  setenv("WEFT_TEST_REMOTE_KEY", "secret-key", 1);
  const std::vector<TextRequest> requests = {chat("a", 2), chat("b"), chat("a", 2), chat("c")};
  std::vector<TextResponse> recorded;
  RemoteModelOptions options;
  {
    FaultyServer server([](int number, const std::string&, const Json& body, const std::string&) {
      return number == 1 ? status(500) : completion_reply(body, "answer " + std::to_string(number));
    });
    options = options_for(server);
    options.api_key_env = "WEFT_TEST_REMOTE_KEY";
    options.record = (dir / "answers.jsonl").string();
    RemoteModel model(options);
    for (const TextRequest& request : requests) recorded.push_back(model.complete(request));
  }
  EXPECT_EQ(read_file(dir / "answers.jsonl").find("secret-key"), std::string::npos);
  unsetenv("WEFT_TEST_REMOTE_KEY");
  options.replay = std::exchange(options.record, "");
  options.max_requests_per_minute = 1;  // counts where requests are sent
  RemoteModel replay(options);
  for (size_t i = 0; i < requests.size(); ++i) {
    const TextResponse again = replay.complete(requests[i]);
    ASSERT_EQ(again.status, ResponseStatus::kOk) << again.error;
    EXPECT_EQ(again.choices[0].text, recorded[i].choices[0].text);
    EXPECT_EQ(again.usage.completion_tokens, recorded[i].usage.completion_tokens);
  }
  for (const char* text : {"b", "d"}) {
    const TextResponse missing = replay.complete(chat(text));
    EXPECT_EQ(missing.status, ResponseStatus::kFailed);
    EXPECT_NE(missing.error.find("no answer to this request is left in"), std::string::npos);
  }
}

TEST(RemoteModel, BadRecordingsAreNamed) {
  const test::TempDir dir;
  RemoteModelOptions options;
  options.replay = (dir / "missing.jsonl").string();
  EXPECT_THROW(RemoteModel{options}, InputError);
  options.record = options.replay;
  EXPECT_THROW(RemoteModel{options}, InputError);
  options.record.clear();
  write_file_atomically(dir / "bad.jsonl", "{\"path\": \"/completions\"}\n");
  options.replay = (dir / "bad.jsonl").string();
  try {
    RemoteModel model(options);
    FAIL() << "it is taken";
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("bad.jsonl:1"), std::string::npos) << error.what();
  }
}

TEST(RemoteModel, AFullDiskEndsTheRecordingAlone) {
  FaultyServer server(first(0, {}));
  RemoteModelOptions options = options_for(server);
  options.record = "/dev/full";
  RemoteModel model(options);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(model.complete(chat("x")).status, ResponseStatus::kOk);
}

TEST(RemoteModel, EndsACancelledRequestAtOnce) {
  FaultyServer server([](int, const std::string&, const Json& body, const std::string&) {
    Reply reply = completion_reply(body);
    reply.delay_ms = 1500;
    return reply;
  });
  RemoteModel model(options_for(server));
  TextRequest request = chat("x");
  request.cancelled = std::make_shared<std::atomic<bool>>(false);
  std::promise<TextResponse> answer;
  const auto start = Clock::now();
  model.submit(request, [&](TextResponse response) { answer.set_value(std::move(response)); });
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  request.cancelled->store(true);
  EXPECT_EQ(answer.get_future().get().status, ResponseStatus::kCancelled);
  EXPECT_LT(seconds_since(start), 1.0);
}

TEST(RemoteModel, EndsEverythingWhenItIsDestroyed) {
  FaultyServer server([](int, const std::string&, const Json& body, const std::string&) {
    Reply reply = completion_reply(body);
    reply.delay_ms = 500;
    return reply;
  });
  std::atomic<int> cancelled = 0;
  {
    RemoteModelOptions options = options_for(server);
    options.max_concurrent = 2;
    RemoteModel model(options);
    for (int i = 0; i < 5; ++i) {
      model.submit(chat("x"), [&](TextResponse response) {
        cancelled += response.status == ResponseStatus::kCancelled;
      });
    }
  }
  EXPECT_EQ(cancelled, 5);
}

}  // namespace
}  // namespace weft
